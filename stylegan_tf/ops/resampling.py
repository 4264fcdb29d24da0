"""Changing resolution by two: nearest-neighbour up, box down, blur, and convolutions fused with them; uint8.

All tensors are [N, H, W, C]. Everything here is linear in x, so gradients of any order exist.
"""

import numpy as np
import tensorflow as tf

from stylegan_tf.ops.forms import custom_gradient, is_plain


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Float images in [-1, 1] -> uint8: 127.5 x + 127.5, rounded (halves up) and clipped, as `visualize.to_uint8`."""
    return tf.cast(tf.clip_by_value(tf.floor(images * 127.5 + 128.0), 0.0, 255.0), tf.uint8)


def upscale_2d(x: tf.Tensor) -> tf.Tensor:
    """Nearest-neighbour upscaling by two: [N, H, W, C] -> [N, 2H, 2W, C]."""
    x = tf.repeat(x, 2, axis=1)
    return tf.repeat(x, 2, axis=2)


def enlarge_2d(x: tf.Tensor, resolution: int) -> tf.Tensor:
    """`upscale_2d` until the square images [N, r, r, C] have this resolution, r times a power of two."""
    while x.shape[1] < resolution:
        x = upscale_2d(x)
    return x


def downscale_2d(x: tf.Tensor) -> tf.Tensor:
    """Mean of each 2x2 box: [N, H, W, C] -> [N, H/2, W/2, C]."""
    return tf.nn.avg_pool2d(x, ksize=2, strides=2, padding="VALID")


def blur_2d(x: tf.Tensor) -> tf.Tensor:
    """Low-pass filter [1,2,1] x [1,2,1] / 16 per channel, zeros beyond the border (Sec. 2, config B)."""
    channels = x.shape[-1]
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    kernel = np.tile(kernel[:, :, None, None], [1, 1, channels, 1])  # [3, 3, C, 1]
    return tf.nn.depthwise_conv2d(x, tf.constant(kernel, x.dtype), [1, 1, 1, 1], "SAME")


def upscale_conv_2d(x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """`conv2d(upscale_2d(x), weight)` in a quarter of the multiply-adds.

    Upscaling is putting zeros between the pixels and adding up every 2x2 box. Both are linear and shift-invariant,
    so the boxes can come last. What is left is a transposed convolution with stride 2, which skips the zeros:
    9 multiply-adds per pixel of the small image in place of 9 per pixel of the large one.

    Args:
      x: [N, H, W, I].
      weight: [3, 3, I, O], may be more precise than x.
    Returns:
      [N, 2H, 2W, O].
    """
    if is_plain():
        return tf.nn.conv2d(upscale_2d(x), tf.cast(weight, x.dtype), strides=1, padding="SAME")
    # A transposed convolution is the adjoint of a convolution and applies its kernel mirrored: mirror it first. Along
    # one axis: OpenVINO, which reads exports, does not reverse several.
    kernel = tf.reshape(tf.cast(4 * weight, x.dtype), [9, *weight.shape[2:]])  # 4: the sum of a box from its mean.
    kernel = tf.reshape(tf.reverse(kernel, axis=[0]), weight.shape)
    kernel = tf.transpose(kernel, [0, 1, 3, 2])  # [3, 3, O, I]
    shape = tf.shape(x)
    size = [shape[0], 2 * shape[1] + 1, 2 * shape[2] + 1, weight.shape[-1]]
    y = tf.nn.conv2d_transpose(x, kernel, size, strides=2, padding="VALID")
    height, width = (2 * s + 1 if s is not None else None for s in x.shape[1:3])
    y.set_shape([x.shape[0], height, width, weight.shape[-1]])  # An operation for it would have no forward derivative.
    return _box_means(y)


def conv_downscale_2d(x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """`downscale_2d(conv2d(x, weight))` in a quarter of the multiply-adds.

    The means of the 2x2 boxes are taken first, at every pixel, and the convolution computes every other pixel only.

    Args:
      x: [N, H, W, I].
      weight: [3, 3, I, O], may be more precise than x.
    Returns:
      [N, H/2, W/2, O].
    """
    if is_plain():
        return downscale_2d(tf.nn.conv2d(x, tf.cast(weight, x.dtype), strides=1, padding="SAME"))
    return tf.nn.conv2d(_box_means_beyond(x), tf.cast(weight, x.dtype), strides=2, padding="VALID")


@custom_gradient
def _box_means(x):
    """Means of all 2x2 boxes inside the image: [N, H, W, C] -> [N, H - 1, W - 1, C].

    Transposed, this is `_box_means_beyond`, and the other way round: each is the other's gradient, of any order.
    """
    return tf.nn.avg_pool2d(x, ksize=2, strides=1, padding="VALID"), _box_means_beyond


@custom_gradient
def _box_means_beyond(x):
    """Means of all 2x2 boxes that touch the image, which has zeros around it: [N, H, W, C] -> [N, H + 1, W + 1, C]."""
    kernel = tf.fill([2, 2, x.shape[-1], 1], tf.constant(0.25, x.dtype))
    padding = [[0, 0], [1, 1], [1, 1], [0, 0]]
    return tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], padding), _box_means
