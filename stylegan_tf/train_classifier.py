"""Trains classifiers of attributes, which linear separability (`evaluate --metrics ls`) needs.

    python -m stylegan_tf.create_tfrecords --source demo --dest datasets/demo --labels has_glasses,has_hat,has_beard
    python -m stylegan_tf.train_classifier --data_dir datasets/demo --all --out classifiers/demo
    python -m stylegan_tf.evaluate --network runs/demo --classifiers classifiers/demo --metrics ls

One network file for each attribute goes to --out, with its accuracy on every tenth image, which is held out from
training. Attributes whose files exist are skipped, so that the same command resumes.
"""

import pathlib
import tempfile

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import ClassifierTraining
from stylegan_tf.errors import UserError

FLAGS = flags.FLAGS
flags.define_data_dir("A folder of TFRecords with labels of 0 and 1.")
flags.define("attribute", None, "Names of attributes, separated by commas.")
flags.define("all", False, "All attributes of the dataset.")
flags.define("out", None, "A folder for the classifiers.")
flags.define("overwrite", False, "Train again those whose files exist.")
flags.define("resolution", None, "Size of the images; left out: the dataset's, 256 at most.", int)
flags.define_options(ClassifierTraining)

_LARGEST = 256


def main():
    flags.require("data_dir", "out")
    training = flags.read_options(ClassifierTraining)
    if bool(FLAGS.attribute) == FLAGS.all:
        raise UserError("give either --attribute=NAME or --all.")
    from stylegan_tf.data.dataset_files import find_dataset
    from stylegan_tf.files.atomic_write import make_folder
    from stylegan_tf.metrics.classifier_training import train_classifier
    from stylegan_tf.metrics.images.labelled import attribute_columns, labelled_images

    info = find_dataset(FLAGS.data_dir)
    resolution = FLAGS.resolution or min(info.resolution, _LARGEST)
    info.shards(resolution)  # UserError if the dataset lacks that level.
    attributes = list(attribute_columns(info)) if FLAGS.all else [name.strip() for name in FLAGS.attribute.split(",")]
    sets = {attribute: labelled_images(info, resolution, attribute) for attribute in attributes}
    with tempfile.TemporaryFile(dir=make_folder(FLAGS.out)):
        pass  # Fails before training if the folder is not writable.
    for attribute, images in sets.items():
        path = pathlib.Path(FLAGS.out) / file_name(attribute)
        if path.exists() and not FLAGS.overwrite:
            print(f"{path} exists already", flush=True)
            continue
        accuracy = train_classifier(attribute, images, training, path, ProgressBar)
        print(
            f"{path}: {accuracy.correct:.2%} of {accuracy.count} validation images are right "
            f"({accuracy.majority:.2%} belong to the more frequent class)",
            flush=True,
        )


def file_name(attribute: str) -> str:
    """`Smiling.npz`; characters that are unsafe in file names become underscores."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in attribute) + ".npz"


if __name__ == "__main__":
    command_line.run(main)
