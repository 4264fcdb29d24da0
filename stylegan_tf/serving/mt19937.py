"""NumPy's `RandomState(seed).randn(1, size)` as a graph: a server answers seeds with the images of `generate`.

The stream is fixed for good: Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), seeded by its `init_genrand`,
53-bit fractions, and Marsaglia's polar method, which draws pairs until one lies inside the unit circle.
"""

import tensorflow as tf
from tensorflow import bitwise

_WORDS = 624  # Words of the generator's state, 32 bits each.
_SHIFT = 397
_UNROLLED = 48  # Words per iteration of the seeding loop; a divisor of 624. More are no faster.


def standard_normal(seeds: tf.Tensor, size: int) -> tf.Tensor:
    """int64 [N] in [0, 2^32) -> float32 [N, size], computed in float64.

    Equal to NumPy's, but for the last bit of float32 where a device rounds log or sqrt of float64 differently.
    """
    pairs = (size + 1) // 2
    state = _twist(_initial_state(tf.cast(seeds, tf.uint32)))
    points = _points(state)

    def too_few(_, points):
        return tf.reduce_any(tf.math.count_nonzero(_is_inside(points), axis=1) < pairs)

    def draw_more(state, points):
        state = _twist(state)
        return state, tf.concat([points, _points(state)], axis=1)

    shapes = [state.shape, tf.TensorShape([None, None, 2])]
    _, points = tf.while_loop(too_few, draw_more, [state, points], shape_invariants=shapes)
    rejected = tf.cast(~_is_inside(points), tf.int32)
    first = tf.argsort(rejected, axis=1, stable=True)[:, :pairs]  # The first that are inside, in order.
    points = tf.gather(points, first, batch_dims=1)  # [N, pairs, 2]
    radius = tf.reduce_sum(points * points, axis=-1, keepdims=True)
    normal = tf.sqrt(-2.0 * tf.math.log(radius) / radius) * points
    normal = tf.reverse(normal, axis=[-1])  # NumPy returns the second of each pair first.
    normal = tf.reshape(normal, [-1, 2 * pairs])[:, :size]
    return tf.cast(normal, tf.float32)


def _initial_state(seeds: tf.Tensor) -> tf.Tensor:
    """s[0] = seed; s[i] = 1812433253 * (s[i-1] ^ (s[i-1] >> 30)) + i. uint32 [N] -> [N, 624]."""

    def draw(index, word, words):
        start, drawn = tf.cast(index * _UNROLLED, tf.uint32), []
        for offset in range(1, _UNROLLED + 1):
            drawn.append(word)
            mixed = bitwise.bitwise_xor(word, bitwise.right_shift(word, _u32(30)))
            word = mixed * _u32(1812433253) + (start + _u32(offset))
        return index + 1, word, words.write(index, tf.stack(drawn))

    rounds = _WORDS // _UNROLLED
    words = tf.TensorArray(tf.uint32, rounds, element_shape=[_UNROLLED, None])
    _, _, words = tf.while_loop(lambda index, *_: index < rounds, draw, [0, seeds, words])
    state = tf.transpose(words.concat())  # [N, 624]
    return tf.ensure_shape(state, [None, _WORDS])


def _twist(state: tf.Tensor) -> tf.Tensor:
    """The next 624 words: s'[i] depends on s[i], s[i+1] and on the word 397 further, which is new for i >= 227."""
    lag = _WORDS - _SHIFT  # 227: that many words at once depend on nothing new, or only on what was just made.
    first = _next_words(state[:, :lag], state[:, 1 : lag + 1], state[:, _SHIFT:])
    second = _next_words(state[:, lag : 2 * lag], state[:, lag + 1 : 2 * lag + 1], first)
    third = _next_words(state[:, 2 * lag : -1], state[:, 2 * lag + 1 :], second[:, : _SHIFT - lag - 1])
    last = _next_words(state[:, -1:], first[:, :1], second[:, _SHIFT - lag - 1 : _SHIFT - lag])
    return tf.concat([first, second, third, last], axis=1)


def _next_words(word, following, further):
    joined = bitwise.bitwise_or(
        bitwise.bitwise_and(word, _u32(0x80000000)), bitwise.bitwise_and(following, _u32(0x7FFFFFFF))
    )
    odd = bitwise.bitwise_and(joined, _u32(1))
    return bitwise.bitwise_xor(
        bitwise.bitwise_xor(further, bitwise.right_shift(joined, _u32(1))), odd * _u32(0x9908B0DF)
    )


def _points(state: tf.Tensor) -> tf.Tensor:
    """The words of a state as points of the square [-1, 1)^2: float64 [N, 156, 2], two words a coordinate."""
    words = tf.reshape(_tempered(state), [-1, _WORDS // 4, 2, 2])
    high = tf.cast(bitwise.right_shift(words[..., 0], _u32(5)), tf.float64)
    low = tf.cast(bitwise.right_shift(words[..., 1], _u32(6)), tf.float64)
    return 2.0 * ((high * 2.0**26 + low) / 2.0**53) - 1.0


def _is_inside(points: tf.Tensor) -> tf.Tensor:
    radius = tf.reduce_sum(points * points, axis=-1)
    return (radius < 1.0) & (radius > 0.0)


def _tempered(word: tf.Tensor) -> tf.Tensor:
    word = bitwise.bitwise_xor(word, bitwise.right_shift(word, _u32(11)))
    word = bitwise.bitwise_xor(word, bitwise.bitwise_and(bitwise.left_shift(word, _u32(7)), _u32(0x9D2C5680)))
    word = bitwise.bitwise_xor(word, bitwise.bitwise_and(bitwise.left_shift(word, _u32(15)), _u32(0xEFC60000)))
    return bitwise.bitwise_xor(word, bitwise.right_shift(word, _u32(18)))


def _u32(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)
