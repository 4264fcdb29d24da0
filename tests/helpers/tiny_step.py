"""Single steps of a tiny run, without the loop."""

import numpy as np
import tensorflow as tf

from stylegan_tf.distribution.strategy import training_batches
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs, build_iteration
from tests.helpers.tiny_run import tiny_config


def build(info, strategy=None, **options):
    """(config, state) with weights that leave no path at zero; the same ones at every call."""
    config = tiny_config(info.folder, "unused", **options)
    strategy = strategy or tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        state = TrainState(config, *config.network_configs(info.resolution, info.num_channels, info.label_size))
    random = np.random.RandomState(1)
    for part in ("generator", "discriminator"):
        for name, variable in state.variables[part].items():
            spread = 100.0 if name.startswith("mapping/") else 1.0  # Its weights are stored divided by lrmul = 0.01.
            variable.assign(random.randn(*variable.shape).astype(np.float32) * spread)
    for name, variable in state.ema_variables.items():
        variable.assign(state.generator_variables[name])
    return config, state


def inputs(images_seen=0, alpha=1.0, learning_rate=0.001):
    values = (tf.constant(images_seen, tf.int64), tf.constant(alpha), tf.constant(learning_rate))
    return StepInputs(*values)


def run(info, iterations, strategy=None, resolution=16, batch_size=8, alpha=0.75, **options):
    """Trains for some iterations; returns (means of the metrics, all variables as arrays)."""
    strategy = strategy or tf.distribute.OneDeviceStrategy("CPU:0")
    config, state = build(info, strategy, **options)
    batches = training_batches(strategy, info, resolution, batch_size, seed=3)
    iteration = build_iteration(config, state, strategy, resolution, batch_size)
    found = [iteration(batches, inputs(batch_size * index, alpha=alpha)) for index in range(iterations)]
    arrays = {name: variable.numpy() for name, variable in arrays_of(state)}
    return {name: float(np.mean([metrics[name] for metrics in found])) for name in found[0]}, arrays


def arrays_of(state):
    return [(f"{part}/{name}", v) for part, named in state.variables.items() for name, v in named.items()]
