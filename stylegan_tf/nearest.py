"""Shows the real images nearest to generated ones, and reports whether a network repeats its training images.

    python -m stylegan_tf.nearest --network runs/demo --data_dir datasets/demo --seeds 0-199 --table nearest.json
    python -m stylegan_tf.nearest --network runs/faces --data_dir datasets/train --held_out_dir datasets/test
    python -m stylegan_tf.nearest --images pictures --data_dir datasets/demo --image_distance features

Each row of the picture shows an image, then the real images nearest to it with their distances; --table lists the
record numbers and distances of all. The conclusion compares these distances with those of held-out images of the same
source (the better test), or with the distances of real images to each other. It needs a few hundred images to be
meaningful.
"""

from stylegan_tf.cli import command_line, flags, sampling_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.config import NearestOptions, PictureOptions

FLAGS = flags.FLAGS
FLAGS.set_default("truncation_psi", 1.0)  # Truncated images are nearer to all others than they should be.
flags.define_data_dir("A folder of TFRecords with the training images.")
flags.define("held_out_dir", None, "Folder of TFRecords with images that the network was not trained on.")
flags.define("seeds", "0-99", "Seeds of the generated images.")
flags.define("images", None, "Pictures to compare in place of a network's, of the dataset's size: folder or archive.")
flags.define_options(
    PictureOptions, "white", "black", fit="How --images are fitted to the size of the dataset's images."
)
flags.define("output", "nearest.png", "The picture to write: .png, .jpg or .webp.")
flags.define("table", None, "A .json file for all distances.")
flags.define_options(NearestOptions)


def main():
    flags.require("data_dir")
    if bool(FLAGS.network) == bool(FLAGS.images):
        flags.fail("give either --network or --images.")
    generated = ("seeds", "class", "truncation_psi", "truncation_cutoff", "truncation_centre")
    flags.only_with(FLAGS.network, "--network", *generated)
    flags.only_with(FLAGS.images, "--images", "fit", "white", "black")
    options, seeds = flags.read_options(NearestOptions), parse_seeds(FLAGS.seeds)
    source = FLAGS.images or sampling_flags.painter()
    if FLAGS.image_distance == "features":
        flags.require_extractor()
    from stylegan_tf.metrics.nearest import report_nearest

    data, files = (FLAGS.data_dir, FLAGS.held_out_dir), (FLAGS.output, FLAGS.table)
    outputs = (command_line.show, ProgressBar, flags.read_options(PictureOptions))
    report_nearest(source, seeds, *data, *files, options, *outputs)


if __name__ == "__main__":
    command_line.run(main, renamed={"source": "images"})
