"""Describes a dataset of TFRecords, written by this project or by the authors' code, and verifies every record.

    python -m stylegan_tf.inspect_tfrecords --data_dir datasets/demo
    python -m stylegan_tf.inspect_tfrecords --data_dir datasets/demo --preview preview.png
    python -m stylegan_tf.inspect_tfrecords --data_dir datasets/demo --extract pictures --resolution 32
    python -m stylegan_tf.inspect_tfrecords --data_dir datasets/demo --compare datasets/other

With --preview, --extract or --compare, records are verified only if --verify_levels is also given. Damaged records are
listed with their file and number; the exit code is 1 if there are any.
"""

import pathlib

from stylegan_tf.cli import command_line, flags

FLAGS = flags.FLAGS
flags.define_data_dir()
flags.define("verify", True, "Verify the checksum of every record, and decode the record.")
flags.define("verify_levels", False, "Also verify that every lower level matches the images of the largest one.")
flags.define("preview", None, "PNG file for a grid of images.")
flags.define("images", 64, "Number of images in the preview.")
flags.define("extract", None, "New folder to which all images are written as PNG files.")
flags.define("crop", True, "Extract letterboxed pictures without their bars.")
flags.define("compare", None, "Folder of another dataset whose differences from this one are listed.")
flags.define("resolution", None, "Resolution of the level for --preview and --extract. Default: the largest.", int)


def main() -> None:
    flags.require("data_dir")
    flags.only_with(FLAGS.preview, "--preview", "images")
    flags.only_with(FLAGS.extract, "--extract", "crop")
    flags.only_with(FLAGS.preview or FLAGS.extract, "--preview or --extract", "resolution")
    from stylegan_tf.data import inspection
    from stylegan_tf.data.dataset_files import find_dataset

    info = find_dataset(FLAGS.data_dir)
    resolution = FLAGS.resolution or info.resolution
    info.shards(resolution)
    if FLAGS.preview:
        write_preview(info, resolution)
    if FLAGS.extract:
        count = inspection.extract(info, resolution, FLAGS.extract, FLAGS.crop)
        print(f"{count} images are in {FLAGS.extract}")
    if FLAGS.verify_levels or not (FLAGS.preview or FLAGS.extract or FLAGS.compare):
        print(inspection.describe(info))
        verify(info)
    if FLAGS.compare:
        differences = inspection.compare(info, find_dataset(FLAGS.compare))
        print("\n".join(differences) or "both hold the same images and labels, in the same order")
        if differences:
            flags.fail(f"{FLAGS.data_dir} and {FLAGS.compare} differ.")


def write_preview(info, resolution) -> None:
    from stylegan_tf.data import inspection
    from stylegan_tf.visualize.picture_files import as_shown, save_image_grid

    path = pathlib.Path(FLAGS.preview)
    save_image_grid(as_shown(inspection.preview(info, resolution, FLAGS.images)), path)
    print(f"{min(FLAGS.images, info.count)} images are in {path}")


def verify(info) -> None:
    from stylegan_tf.data import inspection

    if FLAGS.verify:
        count, text = inspection.listed(inspection.bad_records(info))
        if count:
            print(text)
            flags.fail(f"{count} records are damaged: write the dataset again, or copy it again.")
        print("every record is intact")
    if FLAGS.verify_levels:
        count, text = inspection.listed(inspection.level_mismatches(info))
        if count:
            print(text)
            flags.fail(f"{count} images of lower levels differ from their largest one.")
        print("every level fits the largest one")


if __name__ == "__main__":
    command_line.run(main)
