"""StyleGAN (Karras, Laine, Aila; CVPR 2019) for TensorFlow 2.

    >>> import stylegan_tf
    >>> images = stylegan_tf.generate_images("demo", seeds=[0, 1, 2])  # The network in the package.
    >>> images.shape, images.dtype
    ((3, 32, 32, 3), dtype('uint8'))

Each name is imported, and TensorFlow with it, when it is first used.
"""

import sys
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

from stylegan_tf import deprecated

if TYPE_CHECKING:
    from stylegan_tf.config import (
        DiscriminatorConfig,
        GeneratorConfig,
        LossConfig,
        ProjectionConfig,
        ScheduleConfig,
        ServingOptions,
        TrainConfig,
    )
    from stylegan_tf.config.callbacks import Note, StartProgress
    from stylegan_tf.config.errors import UserError
    from stylegan_tf.editing.projecting import project
    from stylegan_tf.metrics.evaluation import evaluate
    from stylegan_tf.networks.discriminator import Discriminator
    from stylegan_tf.networks.generator import Generator
    from stylegan_tf.networks.network_file import Networks, load_networks, save_networks
    from stylegan_tf.networks.truncation import Truncation
    from stylegan_tf.serving.saved_model import export_generator
    from stylegan_tf.training.reports.log_backends import LogBackend
    from stylegan_tf.visualize.generating import generate_images

__version__ = "0.1.0.dev0"
__all__ = [
    "Discriminator",
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "LossConfig",
    "Networks",
    "ProjectionConfig",
    "ScheduleConfig",
    "ServingOptions",
    "TrainConfig",
    "Truncation",
    "UserError",
    "evaluate",
    "export_generator",
    "generate_images",
    "load_networks",
    "project",
    "save_networks",
    "train",
]
_MODULES = {
    "config": ("DiscriminatorConfig", "GeneratorConfig", "LossConfig", "ProjectionConfig", "ScheduleConfig"),
    "config.serving": ("ServingOptions",),
    "config.training": ("TrainConfig",),
    "editing.projecting": ("project",),
    "config.errors": ("UserError",),
    "metrics.evaluation": ("evaluate",),
    "networks.discriminator": ("Discriminator",),
    "networks.generator": ("Generator",),
    "networks.network_file": ("Networks", "load_networks", "save_networks"),
    "networks.truncation": ("Truncation",),
    "serving.saved_model": ("export_generator",),
    "visualize.generating": ("generate_images",),
}


def train(
    config: "TrainConfig",
    note: "Optional[Note]" = None,
    progress: "Optional[StartProgress]" = None,
    warn: "Optional[Note]" = None,
    on_stop: "Optional[Note]" = None,
    trackers: "Sequence[LogBackend]" = (),
) -> None:
    """Trains from the start, or from the newest checkpoint in `config.run_dir`, to `config.total_kimg`.

    Args:
      config: its `run_dir` may be in a bucket.
      note: gets every line of the log, such as `print`; progress: see `stylegan_tf.config.callbacks`.
      warn: gets lines about a bucket that cannot be written to; on_stop: one at a stop signal, in its handler.
      trackers: what the run reports to besides the files of the run folder (docs/troubleshooting.md has an example).
    Seeds the global random generators of Python, NumPy and TensorFlow with `config.seed`; with `config.deterministic`,
    TensorFlow's operations stay deterministic afterwards.
    Raises:
      UserError for data, checkpoints or options that do not fit, and if training diverges.
      SystemExit after a stop signal (SIGINT, SIGTERM, SIGHUP), once all is saved. Outside the main thread signals are
        left to the program.

    >>> from stylegan_tf import ScheduleConfig, TrainConfig, train
    >>> schedule = ScheduleConfig(batch_sizes={4: 8})
    >>> train(TrainConfig("datasets/demo", "runs/tiny", resolution=8, total_kimg=0.016, schedule=schedule))
    """
    from stylegan_tf.config.callbacks import Progress, ignore
    from stylegan_tf.training.run import loop, setup

    note = note or ignore
    with setup.local_run_folder(config, note, warn or ignore) as (config, check):
        prepare_metrics = None
        if config.metrics:
            from stylegan_tf.metrics.during_training import TrainingMetrics

            prepare_metrics = TrainingMetrics(config)
        loop.train(config, prepare_metrics, note, progress or Progress, on_stop or ignore, trackers, check)


def __getattr__(name: str) -> Any:
    import importlib

    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"stylegan_tf.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Package(types.ModuleType):
    """The import of a command's module, `stylegan_tf.train`, does not replace the function of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, types.ModuleType) and name in __all__):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


deprecated.install()
