"""One level of progressive growing: the traced step of a resolution and batch size, and its data."""

import time
from typing import Callable

import tensorflow as tf

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_files import DatasetInfo, data_errors_named
from stylegan_tf.distribution.strategy import training_batches
from stylegan_tf.training.random_inputs import RandomInputs, SeededDraw
from stylegan_tf.training.schedule import Phase
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs, build_iteration


class Level:
    """Created anew when resolution or batch size change; `iterate` is one iteration of training."""

    def __init__(
        self,
        config: TrainConfig,
        info: DatasetInfo,
        strategy: tf.distribute.Strategy,
        state: TrainState,
        phase: Phase,
        inputs: StepInputs,
        check: Callable[[], None],
    ):
        """Traces the step, which changes nothing of the state.

        inputs: an example of the step's. check: called now and then; what it raises ends the tracing.
        """
        start = time.monotonic()
        self._info = info
        self._size = (phase.resolution, phase.batch_size)
        seeded = SeededDraw(config, state.generator, *self._size)

        def draw(images_seen: tf.Tensor, stream: int) -> RandomInputs:
            check()
            return seeded(images_seen, stream)

        self._iteration = build_iteration(config, state, strategy, *self._size, draw)
        self._batches = training_batches(
            strategy,
            info,
            *self._size,
            seed=config.seed,
            shuffle_images=config.shuffle_images,
            mirror=config.mirror_augment,
            balance_classes=config.balance_classes,
            first_image=state.images_seen,
        )
        self._iteration.get_concrete_function(self._batches, inputs)
        check()
        self.prepared_in = time.monotonic() - start  # Seconds.

    def fits(self, phase: Phase) -> bool:
        return self._size == (phase.resolution, phase.batch_size)

    def iterate(self, inputs: StepInputs) -> dict[str, tf.Tensor]:
        """Returns its metrics. UserError if the data cannot be read: the state is then as it was before."""
        with data_errors_named(self._info, self._size[0]):
            return self._iteration(self._batches, inputs)


def level_name(phase: Phase) -> str:
    return f"{phase.resolution}x{phase.resolution}, batch {phase.batch_size}"
