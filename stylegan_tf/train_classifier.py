"""Trains classifiers of attributes, which linear separability (`evaluate --metrics ls`) needs.

    python -m stylegan_tf.create_tfrecords --source demo --dest datasets/demo --labels has_glasses,has_hat,has_beard
    python -m stylegan_tf.train_classifier --data_dir datasets/demo --all --out classifiers/demo
    python -m stylegan_tf.evaluate --network runs/demo --classifiers classifiers/demo --metrics ls

One network file per attribute is written to --out, with its accuracy on every tenth image, which is held out from
training. Attributes whose files exist are skipped, so that the same command resumes after an interruption.
"""

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import ClassifierTraining

FLAGS = flags.FLAGS
flags.define_data_dir("A folder of TFRecords with labels of 0 and 1.")
flags.define("attribute", None, "Attributes to train classifiers for, separated by commas.")
flags.define("all", False, "Train classifiers for all attributes of the dataset.")
flags.define("out", None, "A folder for the classifiers.")
flags.define("overwrite", False, "Train again the classifiers whose files exist.")
flags.define("resolution", None, "Resolution of the images. Default: the dataset's, at most 256.", int)
flags.define_options(ClassifierTraining)


def main():
    flags.require("data_dir", "out")
    training = flags.read_options(ClassifierTraining)
    if bool(FLAGS.attribute) == FLAGS.all:
        flags.fail("give either --attribute=NAME or --all.")
    from stylegan_tf.metrics.attribute_classifiers import train_classifiers

    attributes = None if FLAGS.all else [name.strip() for name in FLAGS.attribute.split(",")]
    options = {"training": training, "resolution": FLAGS.resolution, "overwrite": FLAGS.overwrite}
    train_classifiers(FLAGS.data_dir, FLAGS.out, attributes, **options, note=command_line.show, progress=ProgressBar)


if __name__ == "__main__":
    command_line.run(main)
