"""Adam (Kingma and Ba) on named variables, for progressive growing, and dynamic loss scaling for float16.

The loss is multiplied by a large scale, so that its gradients do not underflow in float16; the optimiser divides by it
in float32. The scale doubles after a number of finite steps in a row and is halved by a step that overflowed, which is
skipped.

A step with any non-finite gradient is skipped as a whole, and the state is reset when the set of trained layers
changes. Keras' optimisers do neither; the update itself is TensorFlow's fused kernel.
"""

from collections.abc import Mapping

import tensorflow as tf

from stylegan_tf.config import TrainConfig

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


class Adam:
    """One optimiser: first and second moments per variable, the number of steps taken, and `loss_scale`.

    `variables` has all its variables by name, for the checkpoint. Create it in the strategy's scope.
    """

    def __init__(self, trained: Mapping[str, tf.Variable], beta1: float, beta2: float, epsilon: float):
        self._trained = dict(trained)
        self._beta1, self._beta2, self._epsilon = beta1, beta2, epsilon
        self._m = {name: _zeros_like(variable) for name, variable in trained.items()}
        self._v = {name: _zeros_like(variable) for name, variable in trained.items()}
        self._steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._skipped = tf.Variable(0, dtype=tf.int64, trainable=False)  # Since the start of the run.
        self._skipped_in_a_row = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.loss_scale = LossScale()

    @classmethod
    def of_run(cls, config: TrainConfig, trained: Mapping[str, tf.Variable]) -> "Adam":
        """With the settings of a run."""
        return cls(trained, config.adam_beta1, config.adam_beta2, config.adam_epsilon)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        moments = {f"m/{name}": variable for name, variable in self._m.items()}
        moments.update({f"v/{name}": variable for name, variable in self._v.items()})
        scale = {f"loss_scale/{name}": variable for name, variable in self.loss_scale.variables.items()}
        counts = {"steps": self._steps, "skipped": self._skipped, "skipped_in_a_row": self._skipped_in_a_row}
        return {**moments, **counts, **scale}

    @property
    def skipped(self) -> int:
        """Number of steps skipped for a non-finite gradient, without those that only lowered the loss scale."""
        return int(self._skipped.numpy())

    @property
    def skipped_in_a_row(self) -> int:
        """Number of such steps since the last one that was applied."""
        return int(self._skipped_in_a_row.numpy())

    def reset(self) -> None:
        """Zeroes the moments and the step count; the count of skipped steps and the loss scale stay."""
        for variable in (*self._m.values(), *self._v.values(), self._steps):
            variable.assign(tf.zeros_like(variable))

    def apply(self, gradients: Mapping[str, tf.Tensor], learning_rate: tf.Tensor, scaled: bool = False) -> None:
        """One step. Called in replica context, with gradients that are already summed over the replicas.

        Variables without a gradient (layers beyond the current resolution) stay as they are. scaled: these are the
        gradients of a loss times `loss_scale`, which follows from them.
        """
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients.values()])
        skipped = tf.logical_not(finite)
        if scaled:
            gradients = {name: gradient / self.loss_scale.value for name, gradient in gradients.items()}
            skipped = tf.logical_and(skipped, tf.logical_not(self.loss_scale.can_fall()))
        args = (dict(gradients), learning_rate, finite, skipped, scaled)
        tf.distribute.get_replica_context().merge_call(self._apply, args=args)

    def _apply(self, strategy, gradients, learning_rate, finite, skipped, scaled):
        step = tf.cast(self._steps + 1, tf.float32)
        updated = [(self._trained[name], self._m[name], self._v[name], gradients[name]) for name in gradients]
        args = (updated, step, learning_rate, finite)
        strategy.extended.update(self._steps, self._update, args=args, group=False)
        for counter, event in ((self._steps, finite), (self._skipped, skipped), (self._skipped_in_a_row, skipped)):
            strategy.extended.update(counter, _count, args=(event,), group=False)
        strategy.extended.update(self._skipped_in_a_row, _zero_if, args=(finite,), group=False)
        if scaled:
            self.loss_scale.update(strategy, finite)

    def _update(self, _, updated, step, learning_rate, finite):
        """All variables of one replica at once: a single branch over all of them."""
        powers = {"beta1_power": tf.pow(self._beta1, step), "beta2_power": tf.pow(self._beta2, step)}

        def apply():
            for variable, m, v, gradient in updated:
                tf.raw_ops.ResourceApplyAdam(
                    var=variable.handle,
                    m=m.handle,
                    v=v.handle,
                    **powers,
                    lr=learning_rate,
                    beta1=self._beta1,
                    beta2=self._beta2,
                    epsilon=self._epsilon,
                    grad=gradient,
                )

        tf.cond(finite, apply, lambda: None)


def _count(counter, event):
    counter.assign_add(tf.cast(event, counter.dtype))


def _zero_if(counter, event):
    counter.assign(tf.where(event, tf.zeros_like(counter), counter))


def _zeros_like(variable):
    return tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False)
