"""Converts pictures of nearly any kind to TFRecords for training.

    python -m stylegan_tf.create_tfrecords --source demo --dest datasets/demo
    python -m stylegan_tf.create_tfrecords --source ~/photos --dest datasets/photos --fit crop --resolution 256

--source takes a folder of images (with folders inside), a zip or tar archive of images, a .txt list of paths, .npy,
.npz, HDF5, the folder of an LSUN database, of MNIST or Fashion-MNIST, of CIFAR-10 or CIFAR-100, of
CelebA, a .mat of SVHN, a folder of TFRecords (ours or the authors'), 'demo' or 'synthetic'.

Every level from full size down to 4x4 is written. With --shards 1 the files have the names and the content that the
authors' 2019 code reads; training here reads both kinds. An interrupted conversion goes on with the same command.

Several machines share the work with --part 1/3, 2/3 and 3/3, and the same command with --join finishes the set.
"""

import re

from absl import flags

from stylegan_tf.cli import command_line
from stylegan_tf.errors import UserError

SOURCE = flags.DEFINE_string("source", None, "where the pictures are, see above")
DEST = flags.DEFINE_string("dest", None, "folder to create; its name becomes the name of the dataset")
LABELS = flags.DEFINE_string(
    "labels",
    "",
    "labels for conditional training: classes (the source's own), folders (one class each), a .json (StyleGAN2's "
    "dataset.json), .csv or .npy file in the source or here, or attributes (demo set, CelebA): a,b",
)
MAX_IMAGES = flags.DEFINE_integer("max_images", None, "take the first N pictures only; how many 'synthetic' has")
with command_line.flag_group("Pictures"):
    RESOLUTION = flags.DEFINE_integer("resolution", None, "side of the images, a power of two; left out: the source's")
    FIT = flags.DEFINE_enum(
        "fit",
        None,
        ["crop", "pad", "stretch"],
        "for pictures of other sizes: central square, letterbox (its content box is recorded), or distort; with "
        "--resolution crop, unless told otherwise",
    )
    FILTER = flags.DEFINE_enum("filter", "lanczos", ["lanczos", "box"], "of resizing")
    CHANNELS = flags.DEFINE_integer("channels", None, "1 (gray) or 3 (RGB); left out: what fits the source")
    BACKGROUND = flags.DEFINE_string("background", "white", "behind transparent pictures, and beside letterboxed ones")
    WHITE = flags.DEFINE_float(
        "white", None, "the value that becomes white in pictures of 16 bits or floats; left out: 65535, no floats"
    )
    SKIP_BAD = flags.DEFINE_bool("skip_bad", False, "leave out damaged pictures, instead of failing")
with command_line.flag_group("Files"):
    SHARDS = flags.DEFINE_integer("shards", None, "files per level; 1 for the authors' code; left out: 4")
    SHARD_MB = flags.DEFINE_float("shard_mb", None, "instead of --shards: about so many MB per file of the full size")
    ENCODING = flags.DEFINE_enum("encoding", "raw", ["raw", "png"], "of the records; png is smaller and slower to read")
    SHUFFLE = flags.DEFINE_bool("shuffle", True, "shuffle the pictures once, here")
    SEED = flags.DEFINE_integer("seed", 123, "of the order of the pictures; 123 gives the authors' order")
    OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace the dataset that is at --dest")
    RESTART = flags.DEFINE_bool("restart", False, "throw away what an interrupted conversion has written")
with command_line.flag_group("Speed"):
    WORKERS = flags.DEFINE_integer("workers", None, "processes; left out: one per core. The result is the same")
    PART = flags.DEFINE_string("part", None, "i/n: write the i-th of n parts of the shards only, i from 1")
    JOIN = flags.DEFINE_bool("join", False, "check the parts that were written and finish the dataset")


def main() -> None:
    for flag in (SOURCE, DEST):
        if not flag.value:
            raise UserError(f"--{flag.name} is missing: {flags.FLAGS[flag.name].help}.")
    # Late, so that a wrong flag is told at once.
    from stylegan_tf.data.making.decoding import parse_background
    from stylegan_tf.data.making.sources import open_source
    from stylegan_tf.data.making.writer import write_tfrecords

    options = write_options()
    source = open_source(
        SOURCE.value,
        resolution=RESOLUTION.value,
        labels=LABELS.value,
        fit=FIT.value,
        filter=FILTER.value,
        channels=CHANNELS.value,
        background=parse_background(BACKGROUND.value),
        max_images=MAX_IMAGES.value,
        white=WHITE.value,
    )
    dest = write_tfrecords(source, DEST.value, options, report=print)
    if dest is None:
        print(f"part {PART.value} is written; --join finishes the dataset when all parts are there")
    else:
        print(f"{dest} is ready: images of {source.resolution}x{source.resolution} pixels")


def write_options():
    """The flags about files and speed."""
    from stylegan_tf.data.making.record_workers import available_cores
    from stylegan_tf.data.making.writer import WriteOptions

    part = re.fullmatch(r"(\d+)/(\d+)", PART.value or "1/1")
    if part is None:
        raise UserError(f"--part takes i/n, like 2/4 for the second of four, got {PART.value}.")
    if JOIN.value and PART.value:
        raise UserError("--part writes a part, --join finishes the set: give one of them.")
    if WORKERS.value is not None and not 1 <= WORKERS.value <= 1000:
        raise UserError(f"--workers must be between 1 and 1000, got {WORKERS.value}.")
    return WriteOptions(
        num_shards=SHARDS.value,
        shard_bytes=None if SHARD_MB.value is None else int(SHARD_MB.value * 1e6),
        seed=SEED.value if SHUFFLE.value else None,
        encoding=ENCODING.value,
        skip_bad=SKIP_BAD.value,
        overwrite=OVERWRITE.value,
        restart=RESTART.value,
        num_workers=WORKERS.value or available_cores(),
        part=(int(part[1]), int(part[2])) if PART.value else None,
        join=JOIN.value,
    )


if __name__ == "__main__":
    command_line.run(main)
