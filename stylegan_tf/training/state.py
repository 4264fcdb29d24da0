"""Everything that a run resumes from, in one object: networks, optimisers, images seen."""

import zlib
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.keras_model import named_variables, trainable_variables
from stylegan_tf.networks.network_file import Networks
from stylegan_tf.training.adam import Adam
from stylegan_tf.training.augmentation import AugmentationStrength


class _Counter:
    """An integer of the state's clock: an int to read and assign, a variable in the checkpoint."""

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, state, owner=None) -> int:
        return int(state.clock[self._name].numpy())

    def __set__(self, state, value: int) -> None:
        state.clock[self._name].assign(value)


class TrainState:
    """Generator, discriminator, averaged generator, both optimisers and the clock.

    All randomness of a step follows from the seed and `images_seen`: there is no other random state. Create it in the
    strategy's scope.
    """

    images_seen = _Counter()  # Real images so far.
    schedule_images = _Counter()  # Images seen at the last schedule update.
    tick_images = _Counter()  # Images seen at the last tick.
    ticks = _Counter()  # Ticks so far, without that at the end of a run.

    def __init__(self, config: TrainConfig, generator: GeneratorConfig, discriminator: DiscriminatorConfig):
        self.generator = Generator(generator, config.precision, config.half_precision_levels)
        self.discriminator = Discriminator(discriminator, config.precision, config.half_precision_levels)
        self.generator_ema = Generator(generator)
        self._precision, self._augment = config.precision, config.augment
        self.generator_variables = named_variables(self.generator)
        self.ema_variables = named_variables(self.generator_ema)
        for name, variable in self.ema_variables.items():
            variable.assign(self.generator_variables[name])
        self.generator_adam = Adam.of_run(config, trainable_variables(self.generator))
        self.discriminator_adam = Adam.of_run(config, trainable_variables(self.discriminator))
        self.augmentation = AugmentationStrength(config.augment_p, config.augment_target)
        counters = [name for name, value in vars(TrainState).items() if isinstance(value, _Counter)]
        self.clock = {name: tf.Variable(0, dtype=tf.int64, trainable=False) for name in counters}
        self.clock["lod"] = tf.Variable(-1.0, dtype=tf.float64, trainable=False)

    @property
    def lod(self) -> Optional[float]:
        """Level of detail of the last iteration, None before the first: decides when the optimisers are reset."""
        value = float(self.clock["lod"].numpy())
        return None if value < 0 else value

    @lod.setter
    def lod(self, value: float) -> None:
        self.clock["lod"].assign(value)

    @property
    def optimizers(self) -> dict[str, Adam]:
        return {"generator": self.generator_adam, "discriminator": self.discriminator_adam}

    def reset_optimizers(self) -> None:
        for adam in self.optimizers.values():
            adam.reset()

    def step_counts(self) -> dict[str, float]:
        """The state's part of a tick's report: skipped steps, if there are any; ADA's p; in float16 the loss scales.

        `skipped_steps` counts both networks' since the start, without the `overflows` that only lowered a loss scale.
        """
        skipped = sum(adam.skipped for adam in self.optimizers.values())
        counts: dict[str, float] = {"skipped_steps": skipped} if skipped else {}
        if self._augment == "ada":
            counts["augment_p"] = float(self.augmentation.p)
        if self._precision == "float16":
            counts.update({f"{name[0]}_loss_scale": float(a.loss_scale.value) for name, a in self.optimizers.items()})
            counts["overflows"] = sum(adam.loss_scale.overflows for adam in self.optimizers.values())
        return counts

    @property
    def variables(self) -> dict[str, dict[str, tf.Variable]]:
        """All that a checkpoint holds, by part and name: the same on both Keras versions."""
        return {
            "generator": self.generator_variables,
            "discriminator": named_variables(self.discriminator),
            "generator_ema": self.ema_variables,
            "generator_adam": self.generator_adam.variables,
            "discriminator_adam": self.discriminator_adam.variables,
            "augmentation": self.augmentation.variables,
            "clock": self.clock,
        }

    def first_non_finite(self) -> Optional[str]:
        """Name of a variable that holds NaN or infinity, None if all are finite."""
        for part, named in self.variables.items():
            for name, variable in named.items():
                if variable.dtype.is_floating and not np.isfinite(np.sum(variable.numpy(), dtype=np.float64)):
                    return f"{part}/{name}"
        return None

    @property
    def fingerprint(self) -> int:
        """A 32-bit checksum of the three networks."""
        crc = 0
        for part in ("generator", "discriminator", "generator_ema"):
            for _, variable in sorted(self.variables[part].items()):
                crc = zlib.crc32(variable.numpy().tobytes(), crc)
        return crc

    def networks(self, metadata: dict[str, Any]) -> Networks:
        return Networks(self.generator, self.discriminator, self.generator_ema, metadata)
