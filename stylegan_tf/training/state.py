"""Everything that a run needs to go on, in one object: networks, optimisers, images seen."""

import os
import pathlib
from typing import Any, Optional

import tensorflow as tf

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.errors import UserError
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.network_file import Networks
from stylegan_tf.networks.variables import named_variables, trainable_variables
from stylegan_tf.training.adam import Adam


class TrainState:
    """Generator, discriminator, averaged generator, both optimisers and the clock.

    All randomness of a step follows from the seed and `images_seen`, so that no other random state exists.
    Create it in the strategy's scope.
    """

    def __init__(self, config: TrainConfig, generator: GeneratorConfig, discriminator: DiscriminatorConfig):
        self.generator = Generator(generator, config.precision)
        self.discriminator = Discriminator(discriminator, config.precision)
        self.generator_ema = Generator(generator)
        self.generator_variables = named_variables(self.generator)
        self.ema_variables = named_variables(self.generator_ema)
        for name, variable in self.ema_variables.items():
            variable.assign(self.generator_variables[name])
        beta_and_epsilon = (config.adam_beta1, config.adam_beta2, config.adam_epsilon)
        self.generator_adam = Adam(trainable_variables(self.generator), *beta_and_epsilon)
        self.discriminator_adam = Adam(trainable_variables(self.discriminator), *beta_and_epsilon)
        self._images_seen = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._lod = tf.Variable(-1.0, dtype=tf.float64, trainable=False)

    @property
    def images_seen(self) -> int:
        return int(self._images_seen.numpy())

    @images_seen.setter
    def images_seen(self, value: int) -> None:
        self._images_seen.assign(value)

    @property
    def lod(self) -> Optional[float]:
        """Level of detail of the last iteration, None before the first: it tells when to reset the optimisers."""
        value = float(self._lod.numpy())
        return None if value < 0 else value

    @lod.setter
    def lod(self, value: float) -> None:
        self._lod.assign(value)

    def reset_optimizers(self) -> None:
        self.generator_adam.reset()
        self.discriminator_adam.reset()

    @property
    def variables(self) -> dict[str, dict[str, tf.Variable]]:
        """All that a checkpoint holds, by part and name: the same on both Keras versions."""
        return {
            "generator": self.generator_variables,
            "discriminator": named_variables(self.discriminator),
            "generator_ema": self.ema_variables,
            "generator_adam": self.generator_adam.variables,
            "discriminator_adam": self.discriminator_adam.variables,
            "clock": {"images_seen": self._images_seen, "lod": self._lod},
        }

    def networks(self, metadata: dict[str, Any]) -> Networks:
        return Networks(self.generator, self.discriminator, self.generator_ema, metadata)


class Checkpoints:
    """The `checkpoints/` of a run folder. TensorFlow's checkpoints: written aside, each tensor with a checksum."""

    def __init__(self, state: TrainState, run_dir, keep: int):
        self._state = state
        self._folder = pathlib.Path(run_dir) / "checkpoints"
        parts = {part: tf.train.Checkpoint(**variables) for part, variables in state.variables.items()}
        self._checkpoint = tf.train.Checkpoint(**parts)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(self._folder), max_to_keep=keep, checkpoint_name="images"
        )

    def save(self) -> str:
        """Writes a checkpoint named after the images seen; returns its path."""
        return self._manager.save(checkpoint_number=self._state.images_seen)

    @property
    def latest(self) -> Optional[str]:
        return self._manager.latest_checkpoint

    def restore(self) -> bool:
        """Restores the newest checkpoint into the state. False if there is none.

        Raises UserError if it does not fit the networks that the flags describe, or is damaged.
        """
        if self.latest is None:
            return False
        try:
            self._checkpoint.restore(self.latest).assert_consumed()
        except (ValueError, AssertionError, tf.errors.OpError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise UserError(
                f"checkpoint {os.path.relpath(self.latest)} does not fit this run or is damaged ({reason}). Start with "
                f"the flags of {os.path.relpath(self._folder.parent / 'flags.cfg')}, or choose another --run_dir."
            ) from None
        return True
