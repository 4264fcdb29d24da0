"""One layer of the synthesis network: convolution, noise, activation, normalisation, style (Fig. 1b)."""

import tensorflow as tf

from stylegan_tf.layers.equalized import EqualizedConv2D
from stylegan_tf.layers.inputs import DenseInput, LearnedConstant
from stylegan_tf.layers.noise import NoiseInput
from stylegan_tf.layers.style import StyleModulation
from stylegan_tf.ops.activation import leaky_relu
from stylegan_tf.ops.compiled import pays
from stylegan_tf.ops.layer_end import noise_activation_adain
from stylegan_tf.ops.normalisation import instance_norm_layer, pixel_norm


class SynthesisLayer(tf.keras.layers.Layer):
    """x -> source -> + noise -> leaky ReLU 0.2 -> (pixel norm) -> (instance norm) -> (style).

    Args:
      source: the layer that makes the features and adds their bias: a convolution of x, or at the start of the
        network the learned constant or dense input, which take w [N, W] in place of x.
      use_noise, use_pixel_norm, use_instance_norm, use_style: which of the steps take part.
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

    def build_for(self, input_shape, output_resolution, w_size):
        """Creates the variables: what `build` cannot know is the resolution of the output and the width of w."""
        feature_shape = (None, output_resolution, output_resolution, self.source.filters)
        self.source.build(input_shape)
        if self.noise is not None:
            self.noise.build(feature_shape)
        if self.instance_norm is not None:
            self.instance_norm.build(feature_shape)
        if self.style is not None:
            self.style.build((None, w_size))
        super().build(input_shape)

    def call(self, x, w=None, noise=None, use_noise=True):
        """x: [N, H, W, C] (or w [N, W] at the start); w: [N, W]; noise: see `NoiseInput` -> [N, H', W', filters]."""
        if self._is_fusible:
            features = self.source.convolve(x)
            if pays(features):
                return self._fused(features, w, noise, use_noise)
            x = self.source.with_bias(features)
        else:
            x = self.source(x)
        if self.noise is not None and use_noise:
            x = self.noise(x, noise=noise)
        x = leaky_relu(x)
        if self.use_pixel_norm:
            x = pixel_norm(x)
        if self.instance_norm is not None:
            x = tf.cast(self.instance_norm(tf.cast(x, tf.float32)), x.dtype)
        if self.style is not None:
            x = self.style(w, x=x)
        return x

    @property
    def _is_fusible(self):
        """Whether what follows the convolution is the paper's, for which there is one operation."""
        convolves = isinstance(self.source, EqualizedConv2D) and self.compute_dtype != "float16"
        return convolves and self.instance_norm is not None and self.style is not None and not self.use_pixel_norm

    def _fused(self, features, w, noise, use_noise):
        """The same as the rest of `call`, compiled."""
        for part, shape in ((self.noise, features.shape), (self.style, w.shape)):
            if part is not None and not part.built:
                part.build(shape)
        if self.noise is not None and use_noise:
            noise = tf.convert_to_tensor(self.noise.map) if noise is None else noise
            strength = tf.convert_to_tensor(self.noise.strength)
        else:
            noise, strength = tf.zeros([1, 1, 1, 1]), tf.zeros([features.shape[-1]])
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
