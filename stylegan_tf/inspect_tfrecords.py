"""Looks into a dataset of TFRecords, ours or the authors': says what is in it and checks every record.

    python -m stylegan_tf.inspect_tfrecords --data_dir datasets/demo
    python -m stylegan_tf.inspect_tfrecords --data_dir datasets/demo --preview preview.png
    python -m stylegan_tf.inspect_tfrecords --data_dir datasets/demo --extract pictures --resolution 32
    python -m stylegan_tf.inspect_tfrecords --data_dir datasets/demo --compare datasets/other

Damaged records are listed with their file and number, and the exit code is then 1.
"""

import pathlib

from absl import flags

from stylegan_tf.cli import command_line
from stylegan_tf.errors import UserError

DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of the dataset")
VERIFY = flags.DEFINE_bool("verify", True, "compare the checksum of every record, and decode it")
LEVELS = flags.DEFINE_bool("verify_levels", False, "also compare every level with what the largest one gives")
PREVIEW = flags.DEFINE_string("preview", None, "write a grid of images to this PNG file")
IMAGES = flags.DEFINE_integer("images", 64, "of the preview")
EXTRACT = flags.DEFINE_string("extract", None, "write all images as PNGs into this new folder")
CROP = flags.DEFINE_bool("crop", True, "extract letterboxed pictures without their bars")
COMPARE = flags.DEFINE_string("compare", None, "folder of another dataset: tell the differences")
RESOLUTION = flags.DEFINE_integer("resolution", None, "level for --preview and --extract; left out: the largest")


def main() -> None:
    if not DATA_DIR.value:
        raise UserError("--data_dir is missing: give the folder of a dataset.")
    from stylegan_tf.data import inspection
    from stylegan_tf.data.dataset_files import find_dataset

    info = find_dataset(DATA_DIR.value)
    resolution = RESOLUTION.value or info.resolution
    info.shards(resolution)
    if PREVIEW.value:
        write_preview(info, resolution)
    elif EXTRACT.value:
        count = inspection.extract(info, resolution, EXTRACT.value, CROP.value)
        print(f"{count} images are in {EXTRACT.value}")
    elif COMPARE.value:
        differences = inspection.compare(info, find_dataset(COMPARE.value))
        print("\n".join(differences) or "both hold the same images and labels, in the same order")
        if differences:
            raise UserError(f"{DATA_DIR.value} and {COMPARE.value} differ.")
    else:
        print(inspection.describe(info))
        verify(info)


def write_preview(info, resolution) -> None:
    from stylegan_tf.data import inspection
    from stylegan_tf.visualize import save_image_grid

    path = pathlib.Path(PREVIEW.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image_grid(inspection.preview(info, resolution, IMAGES.value), path)
    print(f"{min(IMAGES.value, info.count)} images are in {path}")


def verify(info) -> None:
    from stylegan_tf.data import inspection

    if VERIFY.value:
        found = (f"record {index} of {path}: {reason}" for path, index, reason in inspection.damages(info))
        count, text = inspection.listed(found)
        if count:
            print(text)
            raise UserError(f"{count} records are damaged: write the dataset again, or copy it again.")
        print("every record is sound")
    if LEVELS.value:
        count, text = inspection.listed(inspection.level_damages(info))
        if count:
            print(text)
            raise UserError(f"{count} images of lower levels differ from their largest one.")
        print("every level fits the largest one")


if __name__ == "__main__":
    command_line.run(main)
