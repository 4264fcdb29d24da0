"""One whole iteration against the paper's equations, written out one after the other; all variables compared.

What the networks compute is tests/networks' to check: here they are called in their plain form, one operation after
the other. Loss, R1, optimisers, w_avg, the average and their order are written here once more.
"""

import types

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks.keras_model import trainable_variables
from stylegan_tf.ops import forms
from stylegan_tf.ops.forms import plain_form
from stylegan_tf.training.random_inputs import FakeInputs, RandomInputs
from stylegan_tf.training.step import build_iteration
from tests.helpers.tiny_step import arrays_of, build, inputs

LEVELS = types.SimpleNamespace(folder="none", resolution=8, num_channels=3, label_size=0)  # 4x4 and 8x8.
N, RATE, GAMMA, W_AVG_BETA, EMA_KIMG = 8, 0.02, 10.0, 0.75, 0.024
BETA1, BETA2, EPSILON, STEPS = 0.5, 0.9, 0.1, 2  # An epsilon that keeps steps proportional to gradients.
OPTIONS = {"adam_beta1": BETA1, "adam_beta2": BETA2, "adam_epsilon": EPSILON}
OPTIONS.update(w_avg_beta=W_AVG_BETA, ema_kimg=EMA_KIMG, losses={"r1_gamma": GAMMA})


def started():
    """(config, state) in the middle of a run: the average and the moments are something of their own."""
    config, state = build(LEVELS, **OPTIONS)
    random = np.random.RandomState(2)
    for variable in state.ema_variables.values():
        variable.assign_add(random.randn(*variable.shape).astype(np.float32))
    for adam in state.optimizers.values():
        for name, variable in adam.variables.items():
            if name[0] in "mv" and "/" in name:
                variable.assign(np.square(random.randn(*variable.shape)).astype(np.float32) * 0.1)
        adam.variables["steps"].assign(STEPS)
    return config, state


def drawn(resolution):
    """(reals uint8, random inputs of the discriminator's pass, of the generator's)."""
    random = np.random.RandomState(3)
    passes = []
    for crossover in (1, 2):
        z, other_z = random.randn(2, N, 16).astype(np.float32)
        sizes = [size for size in (4, 8) if size <= resolution for _ in range(2)]
        noise = [tf.constant(random.randn(N, size, size, 1), tf.float32) for size in sizes]
        passes.append(RandomInputs(FakeInputs(tf.constant(z), tf.constant(other_z), noise), tf.constant(crossover)))
    return random.randint(0, 256, [N, resolution, resolution, 3]).astype(np.uint8), *passes


def fakes(generator, random, resolution, alpha):
    """(images, mean of w): style mixing takes the layers from `crossover` on from the second latents (Sec. 3.1)."""
    w, other_w = generator.mapping_network(random.fakes.z), generator.mapping_network(random.fakes.other_z)
    layers = range(len(random.fakes.noise))
    ws = tf.stack([w if layer < random.crossover else other_w for layer in layers], axis=1)
    images = generator.synthesis(ws, resolution=resolution, alpha=alpha, noise=random.fakes.noise)
    return images, np.mean(w, axis=0)


def adam_step(adam, variables, gradients):
    """theta <- theta - rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon) (Kingma and Ba, Sec. 2)."""
    steps = int(adam.variables["steps"].numpy()) + 1
    adam.variables["steps"].assign(steps)
    rate = RATE * np.sqrt(1 - BETA2**steps) / (1 - BETA1**steps)
    for name, gradient in gradients.items():
        if gradient is None:
            continue  # A layer beyond the level.
        m, v = adam.variables[f"m/{name}"], adam.variables[f"v/{name}"]
        m.assign(BETA1 * m + (1 - BETA1) * gradient)
        v.assign(BETA2 * v + (1 - BETA2) * gradient**2)
        variables[name].assign_sub(rate * m / (np.sqrt(v) + EPSILON))


def move(average, value, beta):
    average.assign(beta * average + (1 - beta) * value)


def iterate_by_hand(state, reals, for_discriminator, for_generator, resolution, alpha):
    """Changes the state as one iteration does; returns what it reports."""
    generator, discriminator = state.generator, state.discriminator
    w_avg = state.generator_variables["truncation/w_avg"]
    # The discriminator's pass. The penalty is that of the image at full resolution, of which it sees the means.
    reals = tf.constant(reals, tf.float32) / 127.5 - 1
    reals = alpha * reals + (1 - alpha) * tf.repeat(tf.repeat(tf.nn.avg_pool2d(reals, 2, 2, "VALID"), 2, 1), 2, 2)
    factor = LEVELS.resolution // resolution
    full = tf.repeat(tf.repeat(reals, factor, 1), factor, 2)
    images, w = fakes(generator, for_discriminator, resolution, alpha)
    move(w_avg, w, W_AVG_BETA)
    trained = trainable_variables(discriminator)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(full)
            real_scores = discriminator(tf.nn.avg_pool2d(full, factor, factor, "VALID"), alpha=alpha)
            total = tf.reduce_sum(real_scores)
        norms = tf.reduce_sum(inner.gradient(total, full) ** 2, axis=[1, 2, 3])
        fake_scores = discriminator(images, alpha=alpha)
        d_loss = tf.reduce_mean(tf.math.log(1 + tf.exp(fake_scores)) + tf.math.log(1 + tf.exp(-real_scores)))
        d_loss += GAMMA / 2 * tf.reduce_mean(norms)
    adam_step(state.discriminator_adam, trained, outer.gradient(d_loss, trained))
    # The moving average, of the generator before its own pass.
    for name, average in state.ema_variables.items():
        beta = 0.5 ** (N / (1000 * EMA_KIMG)) if average.trainable else 0.0
        move(average, state.generator_variables[name], beta)
    # The generator's pass, against the discriminator as it is now.
    trained = trainable_variables(generator)
    with tf.GradientTape() as tape:
        images, w = fakes(generator, for_generator, resolution, alpha)
        g_loss = tf.reduce_mean(tf.math.log(1 + tf.exp(-discriminator(images, alpha=alpha))))
    move(w_avg, w, W_AVG_BETA)
    adam_step(state.generator_adam, trained, tape.gradient(g_loss, trained))
    scores = {"real_score": tf.reduce_mean(real_scores), "fake_score": tf.reduce_mean(fake_scores)}
    return {"d_loss": d_loss, "g_loss": g_loss, "r1": tf.reduce_mean(norms), **scores}


@pytest.mark.parametrize(
    "resolution, alpha, min_elements",
    [(4, 1.0, forms._MIN_ELEMENTS), (8, 0.75, 1)],
    ids=["as it is", "compiled"],
)
def test_an_iteration_is_the_papers(monkeypatch, resolution, alpha, min_elements):
    monkeypatch.setattr(forms, "_MIN_ELEMENTS", min_elements)
    reals, *passes = drawn(resolution)
    config, state = started()
    before = {name: variable.numpy() for name, variable in arrays_of(state)}
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    run = build_iteration(config, state, strategy, resolution, N, draw=lambda _, stream: passes[stream])
    data = tf.data.Dataset.from_tensors({"images": reals, "labels": np.zeros([N, 0], np.float32)})
    batches = iter(strategy.distribute_datasets_from_function(lambda _: data))
    metrics = run(batches, inputs(alpha=alpha, learning_rate=RATE))
    _, by_hand = started()
    with plain_form():
        expected = iterate_by_hand(by_hand, reals, *passes, resolution, alpha)
    for name, value in expected.items():
        assert float(metrics[name]) == pytest.approx(float(value), rel=1e-5), name
    ours = dict(arrays_of(state))
    for name, value in arrays_of(by_hand):
        start, end = before[name].astype(np.float64), value.numpy().astype(np.float64)
        rounding = 2 * np.spacing(np.abs(before[name]).max()) if before[name].dtype == np.float32 else 0
        limit = 1e-4 * np.abs(end - start).max() + rounding
        np.testing.assert_allclose(ours[name].numpy() - start, end - start, rtol=0, atol=limit, err_msg=name)
