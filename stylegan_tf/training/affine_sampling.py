"""Affine maps of images, one for each image; linear in the images, so that it can be differentiated twice.

A map is (a, b, c, d, x0, y0), each [n] or a number: the pixel at (x, y) of the result comes from
(a x + b y + x0, c x + d y + y0), in pixels from the centre. Written out without matrix products, which some devices
compute with rounded factors.
"""

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


def sampled(images: tf.Tensor, inverse: tuple) -> tf.Tensor:
    """Images [n, r, r, C] through a map: bilinear, reflected at the middle of the border pixels."""
    size, channels, middle = images.shape[1], images.shape[3], (images.shape[1] - 1) / 2
    places = tf.range(size, dtype=images.dtype) - middle
    x, y = places[tf.newaxis, tf.newaxis, :], places[tf.newaxis, :, tf.newaxis]
    a, b, c, d, x0, y0 = (tf.reshape(tf.cast(value, images.dtype), [-1, 1, 1]) for value in inverse)
    columns, rows = a * x + b * y + x0 + middle, c * x + d * y + y0 + middle  # [n, r, r]
    left, top = tf.floor(columns), tf.floor(rows)
    x_weight, y_weight = columns - left, rows - top
    indices, weights = [], []
    for row, in_y in ((top, 1 - y_weight), (top + 1, y_weight)):
        for column, in_x in ((left, 1 - x_weight), (left + 1, x_weight)):
            indices.append(_reflected(row, size) * size + _reflected(column, size))
            weights.append(in_y * in_x)
    pixels = tf.reshape(images, [-1, size * size, channels])
    indices = tf.reshape(tf.stack(indices, axis=1), [-1, 4 * size * size])
    corners = tf.reshape(tf.gather(pixels, indices, batch_dims=1), [-1, 4, size, size, channels])
    return tf.reduce_sum(corners * tf.stack(weights, axis=1)[..., tf.newaxis], axis=1)


def _reflected(places: tf.Tensor, size: int) -> tf.Tensor:
    """... 2 1 0 1 2 ... r-2 r-1 r-2 ..."""
    places = tf.math.floormod(tf.cast(places, tf.int32), 2 * (size - 1))
    return tf.minimum(places, 2 * (size - 1) - places)


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
