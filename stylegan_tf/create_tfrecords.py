"""Converts pictures in many formats to TFRecords for training.

    python -m stylegan_tf.create_tfrecords --source demo --dest datasets/demo
    python -m stylegan_tf.create_tfrecords --source ~/photos --dest datasets/photos --fit crop --resolution 256

--source takes a folder of images (including its subfolders), a zip or tar archive of images, a .txt list of paths, an
.npy, .npz, HDF5, Parquet or Arrow file, a dataset folder of Hugging Face, the folder of an LSUN database, of MNIST or
Fashion-MNIST, of CIFAR-10 or CIFAR-100, or of CelebA, a .mat file of SVHN, a folder of TFRecords (written by this
project or by the authors' code), 'demo' or 'synthetic'; all but the last two also as an address in a bucket.

Every level from the full resolution down to 4x4 is written. With --shards 1 the files have the names and the content
that the authors' 2019 code reads; `train` reads both kinds. The same command resumes an interrupted conversion.

Several machines can share the work with --part 1/3, 2/3 and 3/3; the same command with --join then completes the
dataset.
"""

import os

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import SourceOptions, WriteOptions

FLAGS = flags.FLAGS
flags.define("source", None, "The pictures: a folder, an archive, a list, or any other kind listed above.")
flags.define("dest", None, "The folder to create; its name becomes the name of the dataset.")
flags.define_options(SourceOptions)
flags.define_options(WriteOptions)


def main() -> None:
    flags.require("source", "dest")
    pictures, options = flags.read_options(SourceOptions), flags.read_options(WriteOptions)
    from stylegan_tf.data.making.writer import write_tfrecords  # Late: wrong flags are reported at once.
    from stylegan_tf.data.sources import open_source

    if FLAGS.source not in ("demo", "synthetic") and os.path.realpath(FLAGS.source) == os.path.realpath(FLAGS.dest):
        flags.fail("`dest` is the folder of the source, which the dataset would replace: give another folder.")
    address = FLAGS.dest if command_line.is_address("dest") else None
    if address and (options.part or options.join):
        flags.fail("`dest`: parts are written to a folder that all machines share, not to a bucket.")
    source = open_source(FLAGS.source, pictures)
    with command_line.output_path("dest", replace=True) as folder:
        dest = write_tfrecords(source, folder, options, command_line.show, ProgressBar, address)
    if dest is None:
        print(f"part {FLAGS.part} is written; --join finishes the dataset when all parts are there")
    else:
        print(f"{address or dest} is ready: images of {source.resolution}x{source.resolution} pixels")


if __name__ == "__main__":
    command_line.run(main, addresses=["source", "dest"])
