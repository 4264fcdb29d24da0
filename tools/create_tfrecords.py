"""Converts a folder of images, or the embedded demo set, to TFRecords for training.

    python tools/create_tfrecords.py --source demo --dest datasets/demo
    python tools/create_tfrecords.py --source ~/photographs --dest datasets/photographs --resolution 256

Every level from full size down to 4x4 is written. With --shards 1 the files have the names and the content that the
authors' 2019 code reads; training here reads both kinds.
"""

import pathlib
import sys

from absl import flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))  # Works from a checkout without installing.

from stylegan_tf import command_line  # noqa: E402
from stylegan_tf.errors import UserError  # noqa: E402

SOURCE = flags.DEFINE_string("source", None, "folder of images (nested folders too), or 'demo'")
DEST = flags.DEFINE_string("dest", None, "folder to create; its name becomes the name of the dataset")
RESOLUTION = flags.DEFINE_integer("resolution", None, "crop images to the central square and resize to this side")
SHARDS = flags.DEFINE_integer("shards", 4, "files per level; 1 for the authors' code")
LABELS = flags.DEFINE_string("labels", "", "demo set: one-hot classes of an attribute, or of several: a,b")
SEED = flags.DEFINE_integer("seed", 123, "of the order of the images; 123 gives the authors' order")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace the dataset that is at --dest")


def main() -> None:
    for flag in (SOURCE, DEST):
        if not flag.value:
            raise UserError(f"--{flag.name} is missing: {flags.FLAGS[flag.name].help}.")
    # Late, so that a wrong flag is told at once.
    from stylegan_tf.data.sources import open_source
    from stylegan_tf.data.writer import write_tfrecords

    attributes = [name.strip() for name in LABELS.value.split(",") if name.strip()]
    source = open_source(SOURCE.value, RESOLUTION.value, attributes)
    dest = write_tfrecords(source, DEST.value, SHARDS.value, SEED.value, OVERWRITE.value)
    print(f"{len(source)} images of {source.resolution}x{source.resolution} pixels in {dest}")


if __name__ == "__main__":
    command_line.run(main)
