"""Shows the nearest real images of generated or given ones, and says whether a network repeats its training images.

    python -m stylegan_tf.nearest --network runs/demo --data_dir datasets/demo --seeds 0-199 --table nearest.json
    python -m stylegan_tf.nearest --network runs/faces --data_dir datasets/train --held_out_dir datasets/test
    python -m stylegan_tf.nearest --images pictures --data_dir datasets/demo --image_distance features

A row of the picture has an image, then its nearest real ones with their distances; --table has the record numbers and
distances of all. The conclusion compares with held-out images of the same source (the better test), or with the
distances of real images to each other. It needs some hundred images to say anything.
"""

from stylegan_tf.cli import command_line, flags, sampling_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.config import NearestOptions

FLAGS = flags.FLAGS
FLAGS.set_default("truncation_psi", 1.0)  # Truncated images are nearer to all others than they should be.
flags.define("data_dir", None, "Folder of TFRecords with the training images.")
flags.define("held_out_dir", None, "Folder of TFRecords of the same source that the network has not seen.")
flags.define("seeds", "0-99", "Of the generated images.")
flags.define("images", None, "In place of a network: pictures of the dataset's size, a folder or an archive.")
flags.define("output", "nearest.png", "The picture.")
flags.define("table", None, "A file for all distances, .json.")
flags.define_options(NearestOptions)


def main():
    flags.require("data_dir")
    flags.require_one("network", "images")
    options, seeds = flags.read_options(NearestOptions), parse_seeds(FLAGS.seeds)
    source = FLAGS.images or sampling_flags.painter()
    if FLAGS.image_distance == "features":
        flags.require_extractor()
    from stylegan_tf.metrics.nearest import report_nearest

    data, files = (FLAGS.data_dir, FLAGS.held_out_dir), (FLAGS.output, FLAGS.table)
    report_nearest(source, seeds, *data, *files, options, print, ProgressBar)


if __name__ == "__main__":
    command_line.run(main)
