"""Views to pictures: nothing is traced again, whatever they say."""

import contextlib
import functools
import io
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

import numpy as np
import tensorflow as tf
from PIL import Image

from stylegan_tf.config import BlendOptions
from stylegan_tf.editing.blending import assign_blend
from stylegan_tf.editing.directions import Directions
from stylegan_tf.explorer.view import Blend, NetworkInfo, View
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import as_rgb, image_grid
from stylegan_tf.visualize.style_mixing import layer_groups

_MAX_MAPS = 64  # Channels in a picture of feature maps.


class Rendered(NamedTuple):
    """A picture and what made it."""

    picture: np.ndarray  # uint8 [h, w, 3].
    ws: np.ndarray  # w of every layer: float32 [L, W].
    noise: list[np.ndarray]  # float32 [1, r, r, 1] a layer; empty without noise inputs.


def as_png(image: np.ndarray) -> bytes:
    """uint8 [H, W, 3] -> a PNG file. Speed counts, not size."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


class Renderer:
    """The same view is the same picture.

    Args:
      label_names: by column of the label; () to call them by their numbers.
      found: the w [L, W] that `View.found` means, by network and name.
      blended: two networks of which views say how much is in the picture; the painter's network is overwritten.
    """

    def __init__(
        self,
        painter: Painter,
        directions: Optional[Directions] = None,
        label_names: Sequence[str] = (),
        found: Optional[Mapping[tuple[str, str], np.ndarray]] = None,
        blended: Sequence[Generator] = (),
    ):
        self.painter, self.directions = painter, directions
        self._blended, self._assigned, self._lock = blended, None, threading.Lock()
        self._generator, self._found = painter.generator, {} if found is None else found
        self._config = painter.config
        self.groups = layer_groups(painter.resolutions)
        self._resolution = painter.resolutions[-1]
        self.info = NetworkInfo(
            num_layers=painter.dlatent_shape[0],
            num_noise_layers=len(painter.noise_shapes),
            centre=painter.truncation.centre,
            groups=tuple(group.name for group in self.groups) if self._config.use_styles else (),
            label_names=tuple(label_names) or tuple(map(str, range(self._config.label_size))),
            directions=directions.names if directions else (),
            resolutions=painter.resolutions,
        )
        # They stay the same while other controls move.
        self._noise_maps = functools.lru_cache(maxsize=4)(self._new_noise_maps)
        self._centre = functools.lru_cache(maxsize=1024)(self._new_centre)
        seeds = [[None, self._config.latent_size], [self._config.label_size], [4]]
        truncation = [tf.TensorSpec([]), tf.TensorSpec([], tf.int32), tf.TensorSpec([1, self._config.w_size])]
        signature = [*map(tf.TensorSpec, seeds), *truncation]
        self._traced_styles = tf.function(self._new_styles, input_signature=signature)
        self._features = tf.function(self._new_features, reduce_retracing=True)

    def blended_with(self, other: Generator) -> "Renderer":
        """One for views that blend this network with another of the same architecture."""
        own, mine = self._generator, self.painter
        result = Generator(own.config, growth=own.growth)
        painter = Painter(result, None, mine.content_box, mine.truncation, aspect_ratio=mine.aspect_ratio)
        return Renderer(painter, self.directions, self.info.label_names, self._found, [own, other])

    @contextlib.contextmanager
    def _weights_of(self, blend: Optional[Blend]):
        """The network is this blend meanwhile."""
        if not self._blended:
            yield
            return
        options = blend.options() if blend else BlendOptions(weights="1,0")
        with self._lock:
            if options != self._assigned:
                assign_blend(self._generator, self._blended, options)
                self._noise_maps.cache_clear()
                self._centre.cache_clear()
                self._assigned = options
            yield

    def render(self, view: View) -> Rendered:
        with self._weights_of(view.blend):
            return self._rendered(self._styles(view), self._noise(view))

    def render_styles(self, ws: np.ndarray, noise: Sequence[np.ndarray], blend: Optional[Blend] = None) -> Rendered:
        """The picture of w [L, W] and noise maps [1, r, r, 1] of every layer."""
        with self._weights_of(blend):
            return self._rendered(ws, list(noise))

    def feature_maps(self, view: View, layer: int) -> np.ndarray:
        """The first channels of a layer's output, each scaled from its minimum to its maximum: uint8 [H, W, 3]."""
        with self._weights_of(view.blend):
            outputs = self._features(self._styles(view)[None], self._noise(view))
            maps = outputs[layer].numpy()[0, ..., :_MAX_MAPS].astype(np.float32)  # [h, w, C]
        maps = maps.transpose(2, 0, 1)[..., None]
        low, high = (edge(axis=(1, 2), keepdims=True) for edge in (maps.min, maps.max))
        scaled = 255 * (maps - low) / np.maximum(high - low, 1e-8)
        return as_rgb(image_grid(scaled.round().astype(np.uint8)))

    def noise_picture(self, view: View, layer: int) -> np.ndarray:
        """A layer's noise map times its factor, from black at -3 to white at 3: uint8 [r, r, 3]."""
        with self._weights_of(view.blend):
            noise = self._noise(view)[layer][0]
        return as_rgb(np.clip(np.rint(127.5 + 42.5 * noise), 0, 255).astype(np.uint8))

    def layers(self) -> list[dict]:
        """Name, size, channels and learned noise strength (root of the mean square over channels) of every layer."""
        described = []
        for resolution in self.painter.resolutions:
            for layer in self._generator.synthesis.blocks[f"{resolution}x{resolution}"]:
                entry = {
                    "name": layer.name,
                    "resolution": resolution,
                    "channels": layer.source.filters,
                    "strength": None,
                }
                if layer.noise is not None:
                    strength = tf.convert_to_tensor(layer.noise.strength)
                    entry["strength"] = float(np.sqrt(np.mean(np.square(strength))))
                described.append(entry)
        return described

    def _rendered(self, ws, noise):
        (images,) = self.painter.image_batches(ws[None], noise=noise or None)
        return Rendered(as_rgb(images)[0], ws, noise)

    def _styles(self, view) -> np.ndarray:
        """w of every layer: float32 [L, W]."""
        label = np.zeros([self._config.label_size], np.float32)
        for column, weight in view.classes.items():
            label[column] = weight
        mixed = [group for group in self.groups if group.name in view.mixing]
        seeds, shares = view.corners()
        z = self.painter.latents([*seeds, *(view.mixing[group.name] for group in mixed)])
        truncation = (view.psi, view.cutoff, self._centre(view.centre, label.tobytes()))
        ws, *others = self._traced_styles(z, label, shares, *truncation).numpy()
        if view.found is not None:
            ws = np.array(self._found[view.network, view.found])
        for group, other in zip(mixed, others):
            ws[group.layers] = other[group.layers]
        return ws if self.directions is None else ws + self.directions.offset(view.moves, len(ws))

    def _new_styles(self, z, label, shares, psi, cutoff, centre):
        """z of the four seeds around the position, and of others -> ws [1 + others, L, W], truncated."""
        labels = tf.tile(label[None], [tf.shape(z)[0], 1]) if self._config.label_size else None
        w = self._generator.mapping_network(z, labels=labels)
        w = tf.concat([shares[None] @ w[:4], w[4:]], axis=0)
        return self._generator.truncate(self._generator.broadcast(w), Truncation(psi, cutoff, centre))

    def _new_features(self, ws, noise):
        return self._generator.synthesis.features(ws, self._resolution, noise, use_noise=bool(noise))

    def _new_centre(self, centre, label):
        """What truncation draws towards with these bytes of a label: float32 [1, W]."""
        labels = np.frombuffer(label, np.float32)[None] if label else None
        return np.reshape(self._generator.truncation_centre(centre, labels), [1, self._config.w_size])

    def _noise(self, view) -> list[np.ndarray]:
        """A layer's maps times its factor, float32 [1, r, r, 1] each."""
        maps, is_on = self._noise_maps(view.noise_mode, view.noise_seed), float(view.noise_mode != "none")
        return [layer * np.float32(is_on * view.strengths.get(index, 1.0)) for index, layer in enumerate(maps)]

    def _new_noise_maps(self, mode, seed):
        synthesis, maps = self._generator.synthesis, []
        if self._config.use_noise and mode == "random":
            maps = synthesis.draw_noise(1, self._resolution, seed=tf.constant([seed, 0]))
        elif self._config.use_noise:
            maps = synthesis.fixed_noise(self._resolution)
        return [layer.numpy() for layer in maps]
