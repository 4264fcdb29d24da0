"""ProGAN's layers: equalised dense and convolution (its Sec. 4.1), minibatch standard deviation (Sec. 3)."""

import contextlib
import inspect
import math

import tensorflow as tf

from stylegan_tf.ops import resampling
from stylegan_tf.ops.elementwise import add_broadcast

SQRT_2 = math.sqrt(2.0)  # He's gain for (leaky) ReLU.
_AUTOCAST = "autocast" if "autocast" in inspect.signature(tf.keras.layers.Layer.add_weight).parameters else None
_AUTOCAST = _AUTOCAST or "experimental_autocast"  # Its name in Keras 2.
_BUILD_OPENS_SCOPE = hasattr(tf.keras, "name_scope")  # In Keras 3 `build` does it by itself.
name_scope = getattr(tf.keras, "name_scope", tf.name_scope)


def build_named(layer: tf.keras.layers.Layer, input_shape, *path: str) -> None:
    """`layer.build`, with variables called path/layer/variable: no two of a network have the same name."""
    with contextlib.ExitStack() as scopes:
        for name in path if _BUILD_OPENS_SCOPE else (*path, layer.name):
            scopes.enter_context(name_scope(name))
        layer.build(input_shape)


class PreciseLayer(tf.keras.layers.Layer):
    """A layer that reads its variables in float32 whatever it computes in, and casts inputs and variables itself.

    Keras 2 would hand out rounded variables under a mixed policy: scaled weights would be rounded twice.
    """

    def __init__(self, **kwargs):
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)

    def add_weight(self, **kwargs):
        return super().add_weight(**{_AUTOCAST: False}, **kwargs)


class _Equalized(PreciseLayer):
    """What both layers share: the scaled weight and the bias, float32 in storage, in the compute dtype when used."""

    def __init__(self, gain=SQRT_2, lrmul=1.0, use_bias=True, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain
        self.lrmul = lrmul
        self.use_bias = use_bias

    def _add_weights(self, shape):
        self._scale = self.gain / math.sqrt(math.prod(shape[:-1])) * self.lrmul
        initializer = tf.keras.initializers.RandomNormal(stddev=1 / self.lrmul)
        self.weight = self.add_weight(name="weight", shape=shape, initializer=initializer)
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self._bias_size(shape),), initializer="zeros")

    def _bias_size(self, weight_shape):
        return weight_shape[-1]

    def scaled_weight(self) -> tf.Tensor:
        """Float32."""
        return self.weight * self._scale

    def scaled_bias(self) -> tf.Tensor:
        """Float32."""
        return self.bias * self.lrmul

    def with_bias(self, y: tf.Tensor) -> tf.Tensor:
        return add_broadcast(y, self.scaled_bias()) if self.use_bias else y

    def get_config(self):
        return {**super().get_config(), "gain": self.gain, "lrmul": self.lrmul, "use_bias": self.use_bias}


class EqualizedDense(_Equalized):
    """y = x W * gain / sqrt(I) * lrmul + b * lrmul: [N, I] -> [N, units]."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self._add_weights((input_shape[-1], self.units))
        super().build(input_shape)

    def call(self, x):
        return self.with_bias(self.product(x))

    def product(self, x):
        """Without the bias. The scale goes to x, which is smaller than the weight."""
        x = tf.cast(tf.cast(x, tf.float32) * self._scale, self.compute_dtype)
        return tf.matmul(x, tf.cast(self.weight, self.compute_dtype))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class EqualizedConv2D(_Equalized):
    """Convolution with stride 1 and zero padding, optionally with resampling by two and the blur of config B.

    resample=None: conv. "up": upscale, conv, blur. "down": blur, conv, downscale. Then the bias, and with `clamp` the
    limits -clamp and clamp, for float16. [N, H, W, I] -> [N, H', W', filters].
    """

    def __init__(self, filters, kernel_size=3, resample=None, blur=True, clamp=None, **kwargs):
        super().__init__(**kwargs)
        if resample not in (None, "up", "down"):
            raise ValueError(f'resample must be None, "up" or "down", got {resample!r}.')
        if resample and kernel_size != 3:
            raise ValueError(f"resampling convolutions have a 3x3 kernel, got kernel_size={kernel_size}.")
        self.filters = filters
        self.kernel_size = kernel_size
        self.resample = resample
        self.blur = blur
        self.clamp = clamp

    def build(self, input_shape):
        self._add_weights((self.kernel_size, self.kernel_size, input_shape[-1], self.filters))
        super().build(input_shape)

    def call(self, x):
        return self.with_bias(self.convolve(x))

    def convolve(self, x):
        """Without the bias."""
        x = tf.cast(x, self.compute_dtype)
        weight = self.scaled_weight()
        if self.resample == "up":
            x = resampling.upscale_conv_2d(x, weight)
            x = resampling.blur_2d(x) if self.blur else x
        elif self.resample == "down":
            x = resampling.blur_2d(x) if self.blur else x
            x = resampling.conv_downscale_2d(x, weight)
        else:
            x = tf.nn.conv2d(x, tf.cast(weight, x.dtype), strides=1, padding="SAME")
        return x

    def with_bias(self, y):
        y = super().with_bias(y)
        return y if self.clamp is None else tf.clip_by_value(y, -self.clamp, self.clamp)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "resample": self.resample,
            "blur": self.blur,
            "clamp": self.clamp,
        }


class MinibatchStddev(tf.keras.layers.Layer):
    """Appends one channel that tells how much the images of a group differ: [N, H, W, C] -> [N, H, W, C + 1].

    Image i of N is in group i mod M, with M = ceil(N / G) groups for G = min(group_size, N): G images N / G apart, or
    one less in some groups where N is not a multiple of G. The channel holds the mean over pixels and channels of
    sqrt(variance over the group + 1e-8), computed in float32.
    """

    def __init__(self, group_size=4, **kwargs):
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        if group_size < 1:
            raise ValueError(f"group_size must be at least 1, got {group_size}.")
        self.group_size = group_size

    def call(self, x):
        _, height, width, channels = x.shape
        batch = tf.shape(x)[0] if x.shape[0] is None else x.shape[0]
        size = tf.minimum(self.group_size, batch) if x.shape[0] is None else min(self.group_size, batch)
        groups = -(-batch // size)
        y = tf.cast(x, tf.float32)
        if x.shape[0] is not None and batch % size == 0:
            y = self._deviations(tf.reshape(y, [size, groups, height, width, channels]), 1.0 / size)
        else:
            missing = size * groups - batch  # Images of zeros, which do not count.
            y = tf.reshape(tf.pad(y, [[0, missing], [0, 0], [0, 0], [0, 0]]), [size, groups, height, width, channels])
            counts = tf.reshape(tf.pad(tf.ones([batch]), [[0, missing]]), [size, groups, 1, 1, 1])
            y = self._deviations(y, counts / tf.reduce_sum(counts, axis=0))
        y = tf.tile(tf.cast(y, x.dtype), [size, height, width, 1])[:batch]  # [N, H, W, 1]
        return tf.concat([x, y], axis=-1)

    @staticmethod
    def _deviations(y, shares):
        """[G, M, H, W, C], share of every image in its group [G, M, 1, 1, 1] or 1 / G -> [M, 1, 1, 1]."""
        y -= tf.reduce_sum(y * shares, axis=0, keepdims=True)
        y = tf.sqrt(tf.reduce_sum(tf.square(y) * shares, axis=0) + 1e-8)  # [M, H, W, C]
        return tf.reduce_mean(y, axis=[1, 2, 3], keepdims=True)

    def get_config(self):
        return {**super().get_config(), "group_size": self.group_size}
