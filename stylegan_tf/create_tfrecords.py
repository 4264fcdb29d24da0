"""Converts pictures of nearly any kind to TFRecords for training.

    python -m stylegan_tf.create_tfrecords --source demo --dest datasets/demo
    python -m stylegan_tf.create_tfrecords --source ~/photos --dest datasets/photos --fit crop --resolution 256

--source takes a folder of images (with folders inside), a zip or tar archive of images, a .txt list of paths, .npy,
.npz, HDF5, the folder of an LSUN database, of MNIST or Fashion-MNIST, of CIFAR-10 or CIFAR-100, of
CelebA, a .mat of SVHN, a folder of TFRecords (ours or the authors'), 'demo' or 'synthetic'.

Every level from full size down to 4x4 is written. With --shards 1 the files have the names and the content that the
authors' 2019 code reads; training here reads both kinds. An interrupted conversion resumes with the same command.

Several machines share the work with --part 1/3, 2/3 and 3/3, and the same command with --join finishes the set.
"""

import re

from absl import flags

from stylegan_tf.cli import command_line
from stylegan_tf.errors import UserError
from stylegan_tf.progress import ProgressBar

FLAGS = flags.FLAGS
flags.DEFINE_string("source", None, "The pictures: a folder, an archive, a list or the like, see above.")
flags.DEFINE_string("dest", None, "The folder to create; its name becomes the name of the dataset.")
flags.DEFINE_string(
    "labels",
    "",
    "Labels for conditional training: classes (the source's own), folders (one class each), a .json (StyleGAN2's "
    "dataset.json), .csv or .npy file in the source or here, or attributes (demo set, CelebA): a,b.",
)
flags.DEFINE_integer("max_images", None, "Take the first N pictures only; how many 'synthetic' has.")
with command_line.flag_group("Pictures"):
    flags.DEFINE_integer("resolution", None, "Side of the images, a power of two; left out: the source's.")
    flags.DEFINE_enum(
        "fit",
        None,
        ["crop", "pad", "stretch"],
        "For pictures of other sizes: central square, letterbox (its content box is recorded), or distort; with "
        "--resolution the default is crop.",
    )
    flags.DEFINE_enum("filter", "lanczos", ["lanczos", "box"], "Of resizing.")
    flags.DEFINE_integer("channels", None, "1 (gray), 3 (RGB) or 4 (with transparency); left out: gray or RGB.")
    flags.DEFINE_string("background", "white", "Behind transparent pictures, and beside letterboxed ones.")
    flags.DEFINE_float(
        "white", None, "The value that becomes white in pictures of 16 bits or floats; left out: 65535, no floats."
    )
    flags.DEFINE_bool("skip_bad", False, "Leave out damaged pictures, instead of failing.")
with command_line.flag_group("Files"):
    flags.DEFINE_integer("shards", None, "Files per level; 1 for the authors' code; left out: 4.")
    flags.DEFINE_float("shard_mb", None, "Instead of --shards: about so many MB per file of the full size.")
    flags.DEFINE_enum(
        "encoding",
        "raw",
        ["raw", "png", "jpeg"],
        "Of the records; png is smaller and slower to read. jpeg keeps the files of JPEG sources as they are where "
        "their size fits, encodes other pictures at quality 95, and has png at the levels below.",
    )
    flags.DEFINE_bool("shuffle", True, "Shuffle the pictures once, here.")
    flags.DEFINE_integer("seed", 123, "Of the order of the pictures; 123 gives the authors' order.")
    flags.DEFINE_bool("overwrite", False, "Replace the dataset that is at --dest.")
    flags.DEFINE_bool("restart", False, "Throw away what an interrupted conversion has written; not for parts.")
with command_line.flag_group("Speed"):
    flags.DEFINE_integer("workers", None, "Processes; left out: one per core. The result is the same.")
    flags.DEFINE_string("part", None, "i/n: write the i-th of n parts of the shards only, i from 1.")
    flags.DEFINE_bool("join", False, "Check the parts that were written and finish the dataset.")


def main() -> None:
    command_line.require("source", "dest")
    # Late, so that a wrong flag is reported at once.
    from stylegan_tf.data.making.writer import write_tfrecords
    from stylegan_tf.data.sources import open_source
    from stylegan_tf.data.sources.decoding import parse_background

    options = write_options()
    source = open_source(
        FLAGS.source,
        resolution=FLAGS.resolution,
        labels=FLAGS.labels,
        fit=FLAGS.fit,
        filter=FLAGS.filter,
        channels=FLAGS.channels,
        background=parse_background(FLAGS.background),
        max_images=FLAGS.max_images,
        white=FLAGS.white,
    )
    dest = write_tfrecords(source, FLAGS.dest, options, print_note, ProgressBar)
    if dest is None:
        print(f"part {FLAGS.part} is written; --join finishes the dataset when all parts are there")
    else:
        print(f"{dest} is ready: images of {source.resolution}x{source.resolution} pixels")


def print_note(line: str) -> None:
    print(command_line.with_flags(line))


def write_options():
    """The flags about files and speed."""
    from stylegan_tf.data.making.record_workers import available_cores
    from stylegan_tf.data.making.writer import WriteOptions

    part = re.fullmatch(r"(\d+)/(\d+)", FLAGS.part or "1/1")
    if part is None:
        raise UserError(f"--part takes i/n, like 2/4 for the second of four, got {FLAGS.part}.")
    if FLAGS.join and FLAGS.part:
        raise UserError("--part writes a part, --join finishes the set: give one of them.")
    if FLAGS.workers is not None and not 1 <= FLAGS.workers <= 1000:
        raise UserError(f"--workers must be between 1 and 1000, got {FLAGS.workers}.")
    return WriteOptions(
        num_shards=FLAGS.shards,
        shard_bytes=None if FLAGS.shard_mb is None else int(FLAGS.shard_mb * 1e6),
        seed=FLAGS.seed if FLAGS.shuffle else None,
        encoding=FLAGS.encoding,
        skip_bad=FLAGS.skip_bad,
        overwrite=FLAGS.overwrite,
        restart=FLAGS.restart,
        num_workers=FLAGS.workers or available_cores(),
        part=(int(part[1]), int(part[2])) if FLAGS.part else None,
        join=FLAGS.join,
    )


if __name__ == "__main__":
    command_line.run(main)
