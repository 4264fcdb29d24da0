"""Changing resolution by two: nearest-neighbour up, box down, blur, and the convolutions fused with them.

All tensors are [N, H, W, C]. Everything here is linear in x, so gradients of any order exist.
"""

import numpy as np
import tensorflow as tf

from stylegan_tf.ops.plain_form import is_plain

# Sum of the four placements of a 3-tap kernel in a window of 4: [4, 3].
_SHIFTS = np.eye(4, 3) + np.eye(4, 3, k=-1)


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
    """`conv2d(upscale_2d(x), weight)` as one transposed convolution with stride 2.

    Each output pixel sees only 2x2 input pixels, so the 3x3 kernel over the upscaled image collapses to the
    four 2x2 kernels of a 4x4 one: 16 multiply-adds for four outputs instead of 36.

    Args:
      x: [N, H, W, I].
      weight: [3, 3, I, O], may be more precise than x.
    Returns:
      [N, 2H, 2W, O].
    """
    if is_plain():
        return tf.nn.conv2d(upscale_2d(x), tf.cast(weight, x.dtype), strides=1, padding="SAME")
    # A transposed convolution is the adjoint of a convolution and applies its kernel mirrored: mirror it first.
    kernel = _spread(weight, _SHIFTS[:, ::-1])
    kernel = tf.transpose(tf.cast(kernel, x.dtype), [0, 1, 3, 2])  # [4, 4, O, I]
    shape = tf.shape(x)
    size = [shape[0], 2 * shape[1], 2 * shape[2], weight.shape[-1]]
    y = tf.nn.conv2d_transpose(x, kernel, size, strides=2, padding="SAME")
    height, width = (2 * s if s is not None else None for s in x.shape[1:3])
    return tf.ensure_shape(y, [x.shape[0], height, width, weight.shape[-1]])


def conv_downscale_2d(x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """`downscale_2d(conv2d(x, weight))` as one 4x4 convolution with stride 2.

    Args:
      x: [N, H, W, I].
      weight: [3, 3, I, O], may be more precise than x.
    Returns:
      [N, H/2, W/2, O].
    """
    if is_plain():
        return downscale_2d(tf.nn.conv2d(x, tf.cast(weight, x.dtype), strides=1, padding="SAME"))
    return tf.nn.conv2d(x, tf.cast(_spread(weight, _SHIFTS / 2), x.dtype), strides=2, padding="SAME")


def _spread(weight: tf.Tensor, taps: np.ndarray) -> tf.Tensor:
    """[3, 3, I, O] -> [4, 4, I, O] by the linear map `taps` [4, 3] in both directions.

    One small matrix product, and another one as its gradient: that of sums of slices takes far longer.
    """
    both = tf.constant(np.kron(taps, taps), weight.dtype)  # [16, 9]
    spread = tf.matmul(both, tf.reshape(weight, [9, -1]))
    return tf.reshape(spread, [4, 4, *weight.shape[2:]])
