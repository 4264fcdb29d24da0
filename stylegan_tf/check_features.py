"""Shows FID, KID, precision and recall of a dataset that is blurred, noisy or incomplete.

    python -m stylegan_tf.check_features --data_dir datasets/demo --feature_extractor efficientnet_lite0

Half of the images serve as the real ones, the other half, progressively degraded, as a generator's. The first line
compares them as they are: no generator can be expected to do better with as many images. A feature extractor is
useful for a dataset if the numbers grow from line to line.
"""

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import TrainConfig
from stylegan_tf.errors import UserError

FLAGS = flags.FLAGS
flags.define_data_dir()
flags.define_options(TrainConfig, "feature_extractor")
flags.define("images", 4096, "How many of the dataset's first images to use.", lower_bound=80)
flags.define("resolution", None, "Level of the dataset; left out: the full one.", int)
flags.define("seed", 0, "Seed of the halves and of the noise.", lower_bound=0)


def main():
    flags.require("data_dir")
    import numpy as np

    from stylegan_tf.data.dataset_files import find_dataset
    from stylegan_tf.distribution.strategy import create_strategy
    from stylegan_tf.metrics.features.extractors import load_extractor
    from stylegan_tf.metrics.features.self_check import self_check
    from stylegan_tf.metrics.images.real import RealImages

    info = find_dataset(FLAGS.data_dir)
    reals = RealImages(info, FLAGS.resolution or info.resolution)
    count = reals.count(FLAGS.images)
    if count < 80:
        raise UserError(f"{FLAGS.data_dir} has {count} images, at least 80 are needed.")
    strategy = create_strategy("auto")
    with strategy.scope():
        extractor = load_extractor(FLAGS.feature_extractor)
    images = np.concatenate(list(reals.batches(0, count, 256)))
    print(f"{extractor.name} ({extractor.resize}), {count // 2} images of {info.name} against {count // 2} others")
    print(f"{'degradation':<14}{'level':>7}{'FID':>10}{'KID':>10}{'+-':>9}{'precision':>11}{'recall':>8}")
    for check in self_check(images, extractor, strategy, FLAGS.seed, ProgressBar):
        print(
            f"{check.degradation:<14}{check.level:>7g}{check.fid:>10.3f}{check.kid:>10.5f}{check.kid_error:>9.5f}"
            f"{check.precision:>11.3f}{check.recall:>8.3f}",
            flush=True,
        )


if __name__ == "__main__":
    command_line.run(main)
