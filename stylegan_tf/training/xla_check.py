"""Whether XLA can compile for the devices of a run (--jit_compile)."""

import tensorflow as tf

from stylegan_tf.errors import UserError


def check_jit_compile(strategy: tf.distribute.Strategy) -> None:
    """Compiles a small function on every device; UserError if that fails there."""

    @tf.function(jit_compile=True)
    def compiled(x):
        return tf.reduce_sum(x * x)

    try:
        strategy.run(compiled, args=(tf.ones([2]),))
    except (tf.errors.OpError, ValueError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        devices = ", ".join(strategy.extended.worker_devices)
        raise UserError(f"jit_compile: XLA does not work on {devices} ({reason}). Leave --jit_compile out.") from None
