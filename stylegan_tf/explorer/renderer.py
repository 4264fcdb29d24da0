"""Views to pictures: one traced call, whatever the page's controls say."""

import functools
from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.editing.directions import Directions
from stylegan_tf.explorer.view import View
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.ops.pixels import to_uint8
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import as_rgb, image_grid
from stylegan_tf.visualize.sampling import seed_latents
from stylegan_tf.visualize.style_mixing import layer_groups

_MOST_MAPS = 64  # Channels in a picture of feature maps.


class Renderer:
    """Holds no state of any user: the same view is the same picture."""

    def __init__(self, painter: Painter, directions: Optional[Directions] = None):
        self.painter, self.directions = painter, directions
        self._generator = painter.generator
        self.num_layers, self._w_size = painter.dlatent_shape
        self.groups = layer_groups(painter.resolutions)
        self._resolution = painter.resolutions[-1]
        # They stay as they are while other controls move.
        self._noise_maps = functools.lru_cache(maxsize=4)(self._new_noise_maps)
        self._centre = functools.lru_cache(maxsize=1024)(self._new_centre)
        self._synthesize, self._features = self._traced(), self._traced_features()

    def picture(self, view: View) -> np.ndarray:
        """uint8 [h, w, 3]."""
        images, _, _ = self._synthesize(*self._arguments(view))
        return as_rgb(self.painter.in_shape(images.numpy()))[0]

    def dlatents(self, view: View) -> np.ndarray:
        """w of every layer as the picture has it: float32 [L, W]."""
        return self._synthesize(*self._arguments(view))[1].numpy()[0]

    def noise(self, view: View) -> list[np.ndarray]:
        """The noise maps as the picture has them: float32 [1, r, r, 1] a layer."""
        maps, strengths = self._noise_maps(view.noise_mode, view.noise_seed), self._strengths(view)
        return [layer.numpy() * strength for layer, strength in zip(maps, strengths)]

    def feature_maps(self, view: View, layer: int) -> np.ndarray:
        """The first channels of a layer's output, each from its least to its largest value: uint8 [H, W, 3]."""
        _, ws, noise = self._synthesize(*self._arguments(view))
        maps = self._features(ws, noise)[layer].numpy()[0, ..., :_MOST_MAPS].astype(np.float32)  # [h, w, C]
        maps = maps.transpose(2, 0, 1)[..., None]
        low, high = (edge(axis=(1, 2), keepdims=True) for edge in (maps.min, maps.max))
        scaled = 255 * (maps - low) / np.maximum(high - low, 1e-8)
        return as_rgb(image_grid(scaled.round().astype(np.uint8)))

    # ---- What the traced call gets: arrays of the same shapes for every view

    def _arguments(self, view):
        seeds, shares = view.corners()
        z = seed_latents([*seeds, view.mixed_seed], self._generator.config.latent_size)
        label = np.zeros([self._generator.config.label_size], np.float32)
        if view.label is not None:
            label[view.label] = 1
        found = np.zeros([self.num_layers, self._w_size], np.float32) if view.found is None else view.found
        maps = self._noise_maps(view.noise_mode, view.noise_seed)
        return (
            *(z, label, shares, np.float32(view.psi), np.int32(view.cutoff), self._centre(label.tobytes())),
            *(found, view.found is not None, self._mixed(view), self._offset(view)),
            *(maps, self._strengths(view)),
        )

    def _new_centre(self, label):
        """What truncation draws towards with these bytes of a label: float32 [1, W]."""
        labels = np.frombuffer(label, np.float32)[None] if label else None
        return np.reshape(self._generator.truncation_centre(self.painter.truncation.centre, labels), [1, self._w_size])

    def _mixed(self, view):
        """Which layers have the other seed's styles: bool [L]."""
        mixed = np.zeros([self.num_layers], bool)
        for group in self.groups:
            if group.name in view.mixed_groups and self._generator.config.use_styles:
                mixed[list(group.layers)] = True
        return mixed

    def _offset(self, view):
        if self.directions is None:
            return np.zeros([self.num_layers, self._w_size], np.float32)
        return self.directions.offset(dict(view.moves), self.num_layers)

    def _strengths(self, view):
        """Of every layer's noise: float32 [2 * levels]."""
        strengths = np.zeros([2 * len(self.painter.resolutions)], np.float32)
        if view.noise_mode != "none":
            for group, strength in zip(self.groups, view.noise_strengths):
                strengths[list(group.layers)] = strength
        return strengths

    def _new_noise_maps(self, mode, seed):
        """Tensors [1, r, r, 1] a layer."""
        if not self._generator.config.use_noise:
            return []
        if mode == "random":
            return list(self._generator.synthesis.draw_noise(1, self._resolution, seed=tf.constant([seed, 0])))
        return self._generator.synthesis.fixed_noise(self._resolution)

    # ---- The call

    def _traced(self):
        config = self._generator.config
        layers, levels = (self.num_layers, self._w_size), 2 * len(self.painter.resolutions)
        shapes = self._generator.synthesis.noise_shapes(self._resolution)
        signature = [
            *(tf.TensorSpec([5, config.latent_size]), tf.TensorSpec([config.label_size]), tf.TensorSpec([4])),
            *(tf.TensorSpec([]), tf.TensorSpec([], tf.int32), tf.TensorSpec([1, self._w_size])),
            *(tf.TensorSpec(layers), tf.TensorSpec([], tf.bool), tf.TensorSpec(layers[:1], tf.bool)),
            tf.TensorSpec(layers),
            *([tf.TensorSpec([1, *shape]) for shape in shapes], tf.TensorSpec([levels])),
        ]

        @tf.function(input_signature=signature)
        def synthesize(z, label, shares, psi, cutoff, centre, found, use_found, mixed, offset, maps, strengths):
            """-> images uint8 [1, R, R, C], ws [1, L, W], noise of every layer."""
            w = self._generator.mapping_network(z, labels=tf.tile(label[None], [5, 1]) if config.label_size else None)
            w = tf.stack([tf.linalg.matvec(w[:4], shares, transpose_a=True), w[4]])  # The view's, and the other seed's.
            ws = self._generator.truncate(self._generator.broadcast(w), Truncation(psi, cutoff, centre))
            own = tf.where(use_found, found, ws[0])
            own = tf.where(mixed[:, None], ws[1], own) + offset
            noise = [layer * strengths[index] for index, layer in enumerate(maps)]
            images = self._generator.synthesis(own[None], noise_mode="none", noise=noise or None)
            return to_uint8(images), own[None], noise

        return synthesize

    def _traced_features(self):
        @tf.function(reduce_retracing=True)
        def features(ws, noise):
            return self._generator.synthesis.features(ws, self._resolution, noise, use_noise=bool(noise))

        return features
