"""Affine maps of images, one for each image; linear in the images, so that it can be differentiated twice.

A map is (a, b, c, d, x0, y0), each [n] or a number: the pixel at (x, y) of the result comes from
(a x + b y + x0, c x + d y + y0), in pixels from the centre. Written out without matrix products, which some devices
compute with rounded factors.
"""

import functools
import math

import numpy as np
import tensorflow as tf

IDENTITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def then(first: tuple, second: tuple) -> tuple:
    """The inverse map of `first`, then `second` (both given as inverse maps)."""
    a, b, c, d, x0, y0 = first
    e, f, g, h, x1, y1 = second
    linear = (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)
    return (*linear, a * x1 + b * y1 + x0, c * x1 + d * y1 + y0)


def inverse_scaling(x: tf.Tensor, y: tf.Tensor) -> tuple:
    return (1 / x, 0.0, 0.0, 1 / y, 0.0, 0.0)


def inverse_rotation(cos: tf.Tensor, sin: tf.Tensor) -> tuple:
    return (cos, sin, -sin, cos, 0.0, 0.0)


def inverse_translation(x: tf.Tensor, y: tf.Tensor) -> tuple:
    return (1.0, 0.0, 0.0, 1.0, -x, -y)


def blitted(images: tf.Tensor, inverse: tuple) -> tf.Tensor:
    """Images [n, r, r, C] through a map that takes pixels to pixels, reflected at the middle of the border pixels."""
    size, channels = images.shape[1], images.shape[3]
    middle = (size - 1) / 2
    places = _places(inverse, size, middle, middle, 1, images.dtype)
    columns, rows = (reflected(tf.cast(tf.round(place), tf.int32), size) for place in places)
    sources = tf.reshape(tf.transpose(rows * size + columns, [0, 2, 1]), [-1, size * size])
    moved = tf.gather(tf.reshape(images, [-1, size * size, channels]), sources, batch_dims=1)
    return tf.reshape(moved, [-1, size, size, channels])


def sampled(images: tf.Tensor, inverse: tuple, for_xla: bool = False) -> tf.Tensor:
    """Images [n, r, r, C] through a map, filtered against aliasing (ADA, App. B.2), reflected at the border.

    Twice enlarged with the filter of the wavelet sym6, sampled bilinearly at twice the resolution, and reduced with
    the same filter: where nothing moves, the result is the image. The filters are matrices, and so is the sampling,
    a sparse one: faster than gathering pixels and scattering their gradients.

    for_xla: gathers them all the same: XLA has no sparse matrices.
    """
    size, channels, count = images.shape[1], images.shape[3], images.shape[0] or tf.shape(images)[0]
    enlarge, reduce = (tf.constant(matrix, images.dtype) for matrix in _filters(size))
    large, wanted = enlarge.shape[0], reduce.shape[1]
    # Along y, then along x, which makes [n, x, y, C] of it.
    x = tf.reshape(enlarge @ tf.reshape(images, [-1, size, size * channels]), [-1, large, size, channels])
    x = enlarge @ tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, size, large * channels])
    middle = size - 1 + _CENTRE  # Middle of the image, from where its first pixel's filter begins.
    columns, rows = _places(inverse, wanted, middle, middle + 1, 2, images.dtype)
    columns, rows = (_folded(place, size, middle + 1, large) for place in (columns, rows))
    columns, rows = (tf.broadcast_to(place, [count, wanted, wanted]) for place in (columns, rows))
    x = _bilinear(tf.reshape(x, [-1, channels]), columns, rows, large, for_xla)
    # Along x, then along y: [n, y, x, C] again.
    x = tf.reshape(reduce @ tf.reshape(x, [-1, wanted, wanted * channels]), [-1, size, wanted, channels])
    x = reduce @ tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, wanted, size * channels])
    return tf.reshape(x, [images.shape[0] or -1, size, size, channels])


def _places(inverse, wanted: int, middle: float, source_middle: float, scale: int, dtype):
    """Where the pixels of a result [wanted, wanted] come from: columns and rows of the source, [n, x, y].

    scale: pixels of either for one of those that the map is measured in.
    """
    places = tf.range(wanted, dtype=dtype) - middle
    x, y = places[:, tf.newaxis], places[tf.newaxis, :]
    a, b, c, d, x0, y0 = (tf.reshape(tf.cast(value, dtype), [-1, 1, 1]) for value in inverse)
    return a * x + b * y + scale * x0 + source_middle, c * x + d * y + scale * y0 + source_middle


def _folded(places: tf.Tensor, size: int, middle: float, large: int) -> tf.Tensor:
    """Those beyond an enlarged image reflected at the middle of the border pixels of the small one."""
    period = 4.0 * (size - 1)
    back = size - 1 - tf.abs(tf.math.floormod(places - middle + size - 1, period) - period / 2)
    return tf.where((places < 0) | (places > large - 1), back + middle, places)


def _bilinear(pixels: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor, side: int, for_xla: bool):
    """Values between the pixels [n * side * side, C] at places [n, x, y] -> [n * x * y, C]."""
    left, top = (tf.clip_by_value(tf.floor(place), 0.0, side - 2.0) for place in (columns, rows))
    right, below = columns - left, rows - top
    weights = [(1 - right) * (1 - below), (1 - right) * below, right * (1 - below), right * below]
    weights = tf.reshape(tf.stack(weights, axis=-1), [-1])
    index = tf.int32 if for_xla else tf.int64
    image = tf.range(tf.shape(columns)[0])[:, tf.newaxis, tf.newaxis]
    corner = (tf.cast(image, index) * side + tf.cast(left, index)) * side + tf.cast(top, index)
    corners = tf.reshape(corner[..., tf.newaxis] + tf.constant([0, 1, side, side + 1], index), [-1])
    if for_xla:
        values = tf.gather(pixels, corners) * weights[:, tf.newaxis]
        return tf.reduce_sum(tf.reshape(values, [-1, 4, pixels.shape[1]]), axis=1)
    count = tf.size(corner, index)
    indices = tf.stack([tf.repeat(tf.range(count), 4), corners], axis=1)
    matrix = tf.SparseTensor(indices, weights, [count, tf.shape(pixels, index)[0]])
    return tf.sparse.sparse_dense_matmul(matrix, pixels)


# The low-pass filter of the symlet of order 6 (Daubechies, Ten Lectures on Wavelets, Table 6.3): orthonormal, so that
# reducing is the inverse of enlarging.
_SYM6 = np.array(
    [
        *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466),
        *(0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578),
        *(0.0017677118642428036, -0.007800708325034148),
    ]
)
_CENTRE = np.arange(12) @ _SYM6 / math.sqrt(2)  # Its centre of gravity, 5.1: it is not quite symmetric.
_MARGIN = 6  # Pixels of an enlarged image around what 2 r pixels show: as far as the reducing filter reaches, and one.


@functools.lru_cache(maxsize=16)
def _filters(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis: enlarging [2 r + 12, r] of an image reflected at its border, and reducing [r, 2 r + 10]."""
    enlarge, reduce = np.zeros([2 * size + 2 * _MARGIN, size]), np.zeros([size, 2 * size + 10])
    taps = np.arange(12)
    for pixel in range(-_MARGIN, size + _MARGIN):
        rows = 2 * pixel + taps - 5 + _MARGIN
        inside = (rows >= 0) & (rows < len(enlarge))
        enlarge[rows[inside], reflected(pixel, size)] += math.sqrt(2) * _SYM6[inside]
        if 0 <= pixel < size:
            reduce[pixel, 2 * pixel + taps] = _SYM6 / math.sqrt(2)
    return enlarge, reduce


def reflected(places, size: int):
    """... 2 1 0 1 2 ... r-2 r-1 r-2 ..., of whole numbers."""
    return size - 1 - abs(places % (2 * (size - 1)) - (size - 1))


def shifted(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Images [n, r, r, C] moved by whole pixels [n], filled up with 0."""
    size = images.shape[1]
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    for axis, by in ((1, down), (2, right)):
        places = tf.clip_by_value(tf.range(1, size + 1) - by[:, tf.newaxis], 0, size + 1)
        if axis == 1:
            padded = tf.gather(padded, places, batch_dims=1)
        else:
            padded = tf.transpose(tf.gather(tf.transpose(padded, [0, 2, 1, 3]), places, batch_dims=1), [0, 2, 1, 3])
    return padded
