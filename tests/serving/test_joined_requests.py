"""Requests that TensorFlow's own batching library, which TensorFlow Serving uses, has joined into one."""

import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config import ServingOptions
from stylegan_tf.serving.saved_model import export_generator
from tests.helpers import tiny_networks as tiny

REQUESTS = 8


def answers(folder, latents):
    """What each of the requests gets, of one row each and sent at once: its outputs, or the error; and the batches."""
    model = tf.saved_model.load(str(folder))  # It keeps the weights.
    signature = model.signatures["serving_default"]
    batches = []

    @tf.nondifferentiable_batch_function(1, REQUESTS, 2_000_000, [REQUESTS], max_enqueued_batches=REQUESTS)
    def joined(rows, psi):
        tf.py_function(lambda count: batches.append(int(count)), [tf.shape(rows)[0]], [])
        found = signature(latents=rows, truncation_psi=psi)
        return [found[name] for name in sorted(found)]

    @tf.function(input_signature=[tf.TensorSpec([None, latents.shape[1]])])  # None: joined ones have more rows.
    def request(row):
        return joined(row, tf.ones(tf.shape(row)[:1]))

    def send(row):
        try:
            return [value.numpy() for value in request(tf.constant(row[None]))]
        except tf.errors.InvalidArgumentError as error:
            return str(error)

    request.get_concrete_function()  # Traced once, not by eight threads.
    with concurrent.futures.ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(send, latents)), batches


@pytest.fixture(scope="module")
def generator():
    return tiny.generator(seed=3)[0]


def test_a_bad_row_of_one_user_fails_all_who_are_joined_with_it_or_is_marked_alone(generator, tmp_path):
    latents = tiny.normal(REQUESTS, generator.config.latent_size)
    for name in ("fail", "mark"):
        export_generator(generator, tmp_path / name, options=ServingOptions(bad_rows=name))
    expected, batches = answers(next((tmp_path / "fail").iterdir()), latents)
    assert batches == [REQUESTS]
    latents[5] = np.nan
    failed, _ = answers(next((tmp_path / "fail").iterdir()), latents)
    assert all("must be finite" in text for text in failed)
    marked, batches = answers(next((tmp_path / "mark").iterdir()), latents)
    assert batches == [REQUESTS]
    for index, ((image, ok), (wanted,)) in enumerate(zip(marked, expected)):
        assert ok.tolist() == [index != 5]
        assert np.abs(image.astype(int) - (128 if index == 5 else wanted)).max() <= 1
