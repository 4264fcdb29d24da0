"""Shows FID, KID, precision and recall between a dataset and blurred, noisy or incomplete versions of it.

    python -m stylegan_tf.check_features --data_dir datasets/demo --feature_extractor efficientnet_lite0

Half of the images serve as the real ones; the other half, progressively degraded, stand for those of a generator. The
first line compares the two halves without degradation: no generator can be expected to do better with as many images.
A feature extractor is useful for a dataset if the values increase from line to line.
"""

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import TrainConfig

FLAGS = flags.FLAGS
flags.define_data_dir()
flags.define_options(TrainConfig, "feature_extractor")
flags.define("images", 4096, "Number of images to use, the first ones of the dataset.", lower_bound=80)
flags.define("resolution", None, "Resolution of the level of the dataset to use. Default: the full resolution.", int)
flags.define("seed", 0, "Seed of the split into halves and of the noise.", lower_bound=0)


def main():
    flags.require("data_dir")
    flags.require_extractor()
    from stylegan_tf.metrics.features.self_check import check_features

    options = {"count": FLAGS.images, "resolution": FLAGS.resolution, "seed": FLAGS.seed}
    check_features(FLAGS.data_dir, FLAGS.feature_extractor, **options, note=command_line.show, progress=ProgressBar)


if __name__ == "__main__":
    command_line.run(main)
