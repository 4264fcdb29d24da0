"""Converts a folder of images, or the embedded demo set, to TFRecords for training.

    python tools/create_tfrecords.py --source demo --dest datasets/demo
    python tools/create_tfrecords.py --source ~/photographs --dest datasets/photographs --resolution 256

Every level from full size down to 4x4 is written. With --shards 1 the files have the names and the content that the
authors' 2019 code reads; training here reads both kinds.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))  # Works from a checkout without installing.

from stylegan_tf.errors import UserError  # noqa: E402


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, help="folder of images (nested folders too), or 'demo'")
    parser.add_argument("--dest", required=True, help="folder to create; its name becomes the name of the dataset")
    parser.add_argument("--resolution", type=int, help="crop to the central square and resize to this side")
    parser.add_argument("--shards", type=int, default=4, help="files per level (default 4); 1 for the authors' code")
    parser.add_argument(
        "--labels",
        default="",
        metavar="ATTRIBUTE",
        help="demo set: one-hot classes of an attribute, or several: a,b",
    )
    parser.add_argument("--seed", type=int, default=123, help="of the order of the images (default 123, the authors')")
    parser.add_argument("--overwrite", action="store_true", help="replace the dataset that is at --dest")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    from stylegan_tf.data.sources import open_source
    from stylegan_tf.data.writer import write_tfrecords

    label_attributes = [name.strip() for name in arguments.labels.split(",") if name.strip()]
    source = open_source(arguments.source, arguments.resolution, label_attributes)
    dest = write_tfrecords(source, arguments.dest, arguments.shards, arguments.seed, arguments.overwrite)
    print(f"{len(source)} images of {source.resolution}x{source.resolution} pixels in {dest}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
