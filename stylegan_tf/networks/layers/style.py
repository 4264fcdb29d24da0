"""The style-based generator's layers: its input, noise, styles, a whole synthesis layer, truncation (Sec. 2)."""

import tensorflow as tf

from stylegan_tf.networks.layers.progan import SQRT_2, EqualizedConv2D, EqualizedDense, PreciseLayer, build_named
from stylegan_tf.ops.elementwise import (
    add_broadcast,
    instance_norm_layer,
    leaky_relu,
    multiply_broadcast,
    noise_activation_adain,
    pixel_norm,
)
from stylegan_tf.ops.forms import is_compiled


class LearnedConstant(PreciseLayer):
    """The constant 4x4 input, initialised with ones (Sec. 2, config D), plus a bias: w [N, W] -> [N, 4, 4, filters].

    Only the batch size of w is used.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        self.const = self.add_weight(name="const", shape=(1, 4, 4, self.filters), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        super().build(input_shape)

    def call(self, w):
        x = tf.tile(self.const + self.bias, [tf.shape(w)[0], 1, 1, 1])
        return tf.cast(x, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


class DenseInput(EqualizedDense):
    """The traditional input layer: w [N, W] -> dense -> [N, 4, 4, filters], with one bias per channel.

    The dense outputs are ordered (channel, row, column). Its gain is sqrt(2) / 4, as in ProGAN.
    """

    def __init__(self, filters, **kwargs):
        kwargs.setdefault("gain", SQRT_2 / 4)
        kwargs.pop("units", None)  # Follows from `filters`; present in a saved config.
        super().__init__(units=16 * filters, **kwargs)
        self.filters = filters

    def _bias_size(self, weight_shape):
        return self.filters

    def call(self, w):
        x = tf.reshape(self.product(w), [-1, self.filters, 4, 4])  # [N, C, H, W]
        return self.with_bias(tf.transpose(x, [0, 2, 3, 1]))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


class NoiseInput(PreciseLayer):
    """x + strength * noise, one learned strength per channel, one noise value per pixel shared by all channels.

    Variables: `strength` [C], initialised with zeros; `map` [1, H, W, 1], a fixed N(0, 1) sample that is used
    when no noise is given ("const" noise).
    """

    def build(self, input_shape):
        _, height, width, channels = input_shape
        self.strength = self.add_weight(name="strength", shape=(channels,), initializer="zeros")
        normal = tf.keras.initializers.RandomNormal(stddev=1.0)
        self.map = self.add_weight(name="map", shape=(1, height, width, 1), initializer=normal, trainable=False)
        super().build(input_shape)

    def call(self, x, noise=None):
        """x: [N, H, W, C]; noise: [N or 1, H, W, 1] of N(0, 1) samples, or None for the fixed map."""
        noise = tf.cast(self.map if noise is None else noise, self.compute_dtype)
        return x + multiply_broadcast(noise, tf.convert_to_tensor(self.strength))


class StyleModulation(EqualizedDense):
    """x * (y_s + 1) + y_b, with (y_s, y_b) a learned affine map "A" of w.

    x: [N, H, W, C], already normalised per image and channel; w: [N, W]. The affine map has 2C outputs, first all
    y_s, then all y_b; its bias starts at 0, so that an untrained style leaves x as it is on average.
    """

    def __init__(self, channels, **kwargs):
        kwargs.setdefault("gain", 1.0)
        kwargs.pop("units", None)  # Follows from `channels`; present in a saved config.
        super().__init__(units=2 * channels, **kwargs)
        self.channels = channels

    def call(self, w, x=None):
        style = super().call(w)  # [N, 2C]
        style = tf.reshape(style, [-1, 2, 1, 1, self.channels])
        return add_broadcast(multiply_broadcast(x, style[:, 0] + 1), style[:, 1])

    def scale_and_offset(self, w):
        """(y_s + 1, y_b), each float32 [N, C]."""
        style = tf.cast(super().call(w), tf.float32)
        return style[:, : self.channels] + 1, style[:, self.channels :]

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


class SynthesisLayer(tf.keras.layers.Layer):
    """x -> source -> + noise -> leaky ReLU 0.2 -> (pixel norm) -> (instance norm) -> (style).

    Args:
      source: the layer that makes the features and adds their bias: a convolution of x, or at the start of the
        network the learned constant or dense input, which take w [N, W] in place of x.
      use_noise, use_pixel_norm, use_instance_norm, use_style: which of the steps take part.

    Three forms compute the same, to derivatives of any order; `call` chooses:

      plain     TensorFlow's own operations one after the other: the reference. In `plain_form()`.
      separate  the same steps with gradients of our own, where these are faster. Everywhere else, but for:
      compiled  all that follows the convolution in one pass, `noise_activation_adain`. In `compiled_chains()`, for
                large features of known shape on a CPU (`is_compiled`), if the steps are those of configs D to F.
    """

    def __init__(self, source, use_noise=True, use_pixel_norm=False, use_instance_norm=True, use_style=True, **kwargs):
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        self.source = source
        self.use_noise = use_noise
        self.use_pixel_norm = use_pixel_norm
        self.use_instance_norm = use_instance_norm
        self.use_style = use_style
        channels = source.filters
        self.noise = NoiseInput(dtype=source.dtype_policy, name="noise") if use_noise else None
        self.instance_norm = instance_norm_layer() if use_instance_norm else None
        # Beside float16 features the affine map, which is tiny, stays in float32: so do the sums of its gradients.
        style_dtype = "float32" if source.compute_dtype == "float16" else source.dtype_policy
        self.style = StyleModulation(channels, dtype=style_dtype, name="style") if use_style else None

    @property
    def parts(self):
        parts = {"": self.source, "noise": self.noise, "style": self.style}
        return {name: layer for name, layer in parts.items() if layer is not None}

    def build(self, input_shape):
        """For a layer that is called before `build_for`: its parts are built where the features and w are known."""
        self.source.build(input_shape)
        super().build(input_shape)

    def build_for(self, input_shape, output_resolution, w_size, level=()):
        """Creates the variables: what `build` cannot know is the resolution of the output and the width of w.

        level: what their names begin with, before that of the layer.
        """
        feature_shape, path = (None, output_resolution, output_resolution, self.source.filters), (*level, self.name)
        build_named(self.source, input_shape, *path)
        if self.noise is not None:
            build_named(self.noise, feature_shape, *path)
        if self.instance_norm is not None:
            self.instance_norm.build(feature_shape)
        if self.style is not None:
            build_named(self.style, (None, w_size), *path)
        super().build(input_shape)

    def call(self, x, w=None, noise=None, use_noise=True):
        """x: [N, H, W, C] (or w [N, W] at the start); w: [N, W]; noise: see `NoiseInput` -> [N, H', W', filters]."""
        if self._has_paper_epilogue:
            features = self.source.convolve(x)
            if is_compiled(features):
                return self._compiled_epilogue(features, w, noise, use_noise)
            x = self.source.with_bias(features)
        else:
            x = self.source(x)
        if self.noise is not None and use_noise:
            x = self.noise(x, noise=noise)
        x = leaky_relu(x)
        if self.use_pixel_norm:
            x = pixel_norm(x)
        if self.instance_norm is not None:
            # Centred here, because the layer's `tf.nn.moments` takes the mean for a constant when it derives the
            # deviation: the first derivative is right all the same, the second is if the mean is always zero.
            y = tf.cast(x, tf.float32)
            x = tf.cast(self.instance_norm(y - tf.reduce_mean(y, axis=[1, 2], keepdims=True)), x.dtype)
        if self.style is not None:
            x = self.style(w, x=x)
        return x

    @property
    def _has_paper_epilogue(self):
        """Whether what follows the convolution is the paper's, for which there is one operation."""
        convolves = isinstance(self.source, EqualizedConv2D) and self.compute_dtype != "float16"
        return convolves and self.instance_norm is not None and self.style is not None and not self.use_pixel_norm

    def _compiled_epilogue(self, features, w, noise, use_noise):
        """The same as the rest of `call`, compiled."""
        for part, shape in ((self.noise, features.shape), (self.style, w.shape)):
            if part is not None and not part.built:
                part.build(shape)
        if self.noise is not None and use_noise:
            noise = tf.convert_to_tensor(self.noise.map) if noise is None else noise
            strength = tf.convert_to_tensor(self.noise.strength)
        else:
            noise, strength = tf.zeros([1, *features.shape[1:3], 1]), tf.zeros([features.shape[-1]])
        bias = self.source.scaled_bias()
        return noise_activation_adain(features, noise, strength, bias, *self.style.scale_and_offset(w))

    def get_config(self):
        return {
            **super().get_config(),
            "source": {"class_name": type(self.source).__name__, "config": self.source.get_config()},
            "use_noise": self.use_noise,
            "use_pixel_norm": self.use_pixel_norm,
            "use_instance_norm": self.use_instance_norm,
            "use_style": self.use_style,
        }

    @classmethod
    def from_config(cls, config):
        sources = {source.__name__: source for source in (EqualizedConv2D, LearnedConstant, DenseInput)}
        source = sources[config["source"]["class_name"]].from_config(config["source"]["config"])
        return cls(**{**config, "source": source})


class TruncationLayer(PreciseLayer):
    """The truncation trick (Sec. 2.1, App. B): w' = centre + psi * (w - centre) in the first `cutoff` layers.

    Variable: `w_avg` [W], the running average of w, which training updates: the centre unless another is given.
    """

    def build(self, input_shape):
        self.w_avg = self.add_weight(name="w_avg", shape=(input_shape[-1],), initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, ws, psi=0.7, cutoff=None, centre=None):
        """ws: [N, L, W] float32. psi: scalar or [N]. cutoff: number of layers, None: all. centre: [W] or [N, W]."""
        layer = tf.range(tf.shape(ws)[1])
        applies = layer < (tf.shape(ws)[1] if cutoff is None else cutoff)
        psi = tf.reshape(tf.cast(psi, ws.dtype), [-1, 1, 1])
        centre = tf.convert_to_tensor(self.w_avg) if centre is None else tf.cast(centre, ws.dtype)
        centre = centre[..., None, :]  # [1, W] or [N, 1, W]
        truncated = centre + psi * (ws - centre)
        return tf.where(applies[None, :, None], truncated, ws)
