"""Dynamic loss scaling for float16 (Micikevicius et al.: *Mixed Precision Training*, ICLR 2018, Sec. 3.2).

The loss is multiplied by a large scale, so that its gradients do not underflow in float16; the optimiser divides by it
in float32. The scale doubles after a number of finite steps in a row and is halved by a step that overflowed, which is
skipped.
"""

import tensorflow as tf

INITIAL_SCALE = 2.0**16
MINIMUM_SCALE = 1.0
MAXIMUM_SCALE = 2.0**24
GOOD_STEPS = 2000  # In a row, before the scale doubles.


class LossScale:
    """The scale of one optimiser's loss, as variables. Create it in the strategy's scope."""

    def __init__(self):
        self._scale = tf.Variable(INITIAL_SCALE, dtype=tf.float32, trainable=False)
        self._good_steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._overflows = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        return {"scale": self._scale, "good_steps": self._good_steps, "overflows": self._overflows}

    @property
    def value(self) -> tf.Tensor:
        """A power of two, float32."""
        return tf.convert_to_tensor(self._scale)

    @property
    def overflows(self) -> int:
        """How often the scale was halved since the start of the run; each time a step was skipped."""
        return int(self._overflows.numpy())

    def can_fall(self) -> tf.Tensor:
        """Whether the scale can be lowered after a step that was not finite."""
        return self.value > MINIMUM_SCALE

    def update(self, strategy, finite: tf.Tensor) -> None:
        """After a step, in cross-replica context. finite: whether its gradients were, a scalar bool."""
        update = strategy.extended.update
        update(self._overflows, _count_overflow, args=(self._scale, finite), group=False)
        update(self._scale, _next_scale, args=(self._good_steps, finite), group=False)
        update(self._good_steps, _next_good_steps, args=(finite,), group=False)


def _count_overflow(overflows, scale, finite):
    overflows.assign_add(tf.cast(tf.logical_and(tf.logical_not(finite), scale > MINIMUM_SCALE), overflows.dtype))


def _next_scale(scale, good_steps, finite):
    grown = tf.where(tf.equal(good_steps, GOOD_STEPS - 1), tf.minimum(scale * 2, MAXIMUM_SCALE), scale)
    scale.assign(tf.where(finite, grown, tf.maximum(scale / 2, MINIMUM_SCALE)))


def _next_good_steps(good_steps, finite):
    good_steps.assign(tf.where(finite, (good_steps + 1) % GOOD_STEPS, tf.zeros_like(good_steps)))
