"""Views to pictures: one traced call, whatever they say."""

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
from stylegan_tf.config.errors import UserError
from stylegan_tf.editing.blending import assign_blend
from stylegan_tf.editing.directions import Directions
from stylegan_tf.explorer.view import Blend, Facts, View
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.ops.resampling import to_uint8
from stylegan_tf.visualize.painter import Painter, seed_latents
from stylegan_tf.visualize.picture_files import as_rgb, image_grid
from stylegan_tf.visualize.style_mixing import layer_groups

_MAX_MAPS = 64  # Channels in a picture of feature maps.
_CORNERS = 4


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
      found: the w [L, W] that `View.found` means, by its name.
      blended: two networks of which views say how much is in the picture; the painter's network is overwritten.
    """

    def __init__(
        self,
        painter: Painter,
        directions: Optional[Directions] = None,
        label_names: Sequence[str] = (),
        found: Optional[Mapping[str, np.ndarray]] = None,
        blended: Sequence[Generator] = (),
    ):
        self.painter, self.directions = painter, directions
        self._blended, self._assigned, self._lock = blended, None, threading.Lock()
        self._generator, self._found = painter.generator, {} if found is None else found
        self._config = painter.config
        self.num_layers, self._w_size = painter.dlatent_shape
        self.groups = layer_groups(painter.resolutions)
        self._resolution = painter.resolutions[-1]
        self.facts = Facts(
            num_layers=self.num_layers,
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
        self._synthesize, self._features = self._traced(), self._traced_features()

    def blended_with(self, other: Generator) -> "Renderer":
        """One for views that blend this network with another of the same architecture."""
        own, mine = self._generator, self.painter
        result = Generator(own.config, growth=own.growth)
        painter = Painter(result, None, mine.content_box, mine.truncation, aspect_ratio=mine.aspect_ratio)
        return Renderer(painter, self.directions, self.facts.label_names, self._found, [own, other])

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
            return self._rendered(self._synthesize(*self._arguments(view)))

    def render_styles(self, ws: np.ndarray, noise: Sequence[np.ndarray], blend: Optional[Blend] = None) -> Rendered:
        """The picture of w [L, W] and noise maps [1, r, r, 1] of every layer."""
        with self._weights_of(blend):
            arguments = list(self._arguments(View(centre="all")))
            arguments[6:] = [ws, True, np.zeros([self.num_layers], np.int32), np.zeros_like(ws)]
            maps = [np.asarray(layer, np.float32) for layer in noise]
            return self._rendered(self._synthesize(*arguments, maps, np.ones([len(maps)], np.float32)))

    def feature_maps(self, view: View, layer: int) -> np.ndarray:
        """The first channels of a layer's output, each scaled from its minimum to its maximum: uint8 [H, W, 3]."""
        with self._weights_of(view.blend):
            _, ws, noise = self._synthesize(*self._arguments(view))
            maps = self._features(ws, noise)[layer].numpy()[0, ..., :_MAX_MAPS].astype(np.float32)  # [h, w, C]
        maps = maps.transpose(2, 0, 1)[..., None]
        low, high = (edge(axis=(1, 2), keepdims=True) for edge in (maps.min, maps.max))
        scaled = 255 * (maps - low) / np.maximum(high - low, 1e-8)
        return as_rgb(image_grid(scaled.round().astype(np.uint8)))

    def noise_picture(self, view: View, layer: int) -> np.ndarray:
        """A layer's noise map times its factor, from black at -3 to white at 3: uint8 [r, r, 3]."""
        noise = self.render(view).noise[layer][0]
        return as_rgb(np.clip(np.rint(127.5 + 42.5 * noise), 0, 255).astype(np.uint8))

    def layers(self) -> list[dict]:
        """Name, size, channels and learned noise strength (root of the mean square over channels) of every layer."""
        synthesis, described = self._generator.synthesis, []
        for resolution in self.painter.resolutions:
            for layer in synthesis.blocks[f"{resolution}x{resolution}"]:
                strength = None
                if layer.noise is not None:
                    strength = float(np.sqrt(np.mean(np.square(tf.convert_to_tensor(layer.noise.strength)))))
                described.append(
                    {
                        "name": layer.name,
                        "resolution": resolution,
                        "channels": layer.source.filters,
                        "strength": strength,
                    }
                )
        return described

    # ---- Arguments of the traced call: of the same shapes for every view

    def _arguments(self, view):
        seeds, shares = view.corners()
        others = [view.mixing.get(group.name, 0) for group in self.groups]
        z = seed_latents([*seeds, *others], self._config.latent_size)
        label = np.zeros([self._config.label_size], np.float32)
        for column, weight in view.classes.items():
            label[column] = weight
        found = np.zeros([self.num_layers, self._w_size], np.float32)
        if view.found is not None:
            found = self._found[view.found]
            if found.shape != (self.num_layers, self._w_size):
                raise UserError("the picture that was found is another network's: find it again with this one.")
        maps = self._noise_maps(view.noise_mode, view.noise_seed)
        truncation = (np.float32(view.psi), np.int32(view.cutoff), self._centre(view.centre, label.tobytes()))
        return (
            *(z, label, shares, *truncation),
            *(found, view.found is not None, self._sources(view), self._offset(view)),
            *(maps, self._strengths(view)),
        )

    def _new_centre(self, centre, label):
        """What truncation draws towards with these bytes of a label: float32 [1, W]."""
        labels = np.frombuffer(label, np.float32)[None] if label else None
        return np.reshape(self._generator.truncation_centre(centre, labels), [1, self._w_size])

    def _sources(self, view):
        """Whose styles each layer has, 0: its own, k: those of the k-th group's seed. int32 [L]."""
        sources = np.zeros([self.num_layers], np.int32)
        for index, group in enumerate(self.groups):
            if group.name in view.mixing:
                sources[list(group.layers)] = 1 + index
        return sources

    def _offset(self, view):
        if self.directions is None:
            return np.zeros([self.num_layers, self._w_size], np.float32)
        return self.directions.offset(view.moves, self.num_layers)

    def _strengths(self, view):
        """Factor of every layer's noise: float32 [noise layers]."""
        strengths = np.full([self.facts.num_noise_layers], float(view.noise_mode != "none"), np.float32)
        for layer, factor in view.strengths.items():
            strengths[layer] *= factor
        return strengths

    def _new_noise_maps(self, mode, seed):
        """Tensors [1, r, r, 1] a layer."""
        if not self._config.use_noise:
            return []
        if mode == "random":
            return list(self._generator.synthesis.draw_noise(1, self._resolution, seed=tf.constant([seed, 0])))
        return self._generator.synthesis.fixed_noise(self._resolution)

    # ---- The call

    def _rendered(self, outputs):
        images, ws, noise = outputs
        picture = as_rgb(self.painter.in_shape(images.numpy()))[0]
        return Rendered(picture, ws.numpy()[0], [layer.numpy() for layer in noise])

    def _traced(self):
        config, num_layers = self._config, self.num_layers
        seeds = _CORNERS + len(self.groups)
        styles = tf.TensorSpec([num_layers, self._w_size])
        noise = [tf.TensorSpec([1, *shape]) for shape in self.painter.noise_shapes]
        signature = [
            *(tf.TensorSpec([seeds, config.latent_size]), tf.TensorSpec([config.label_size]), tf.TensorSpec([4])),
            *(tf.TensorSpec([]), tf.TensorSpec([], tf.int32), tf.TensorSpec([1, self._w_size])),
            *(styles, tf.TensorSpec([], tf.bool), tf.TensorSpec([num_layers], tf.int32), styles),
            *(noise, tf.TensorSpec([len(noise)])),
        ]

        @tf.function(input_signature=signature)
        def synthesize(z, label, shares, psi, cutoff, centre, found, use_found, sources, offset, maps, strengths):
            """-> images uint8 [1, R, R, C], ws [1, L, W], noise of every layer."""
            labels = tf.tile(label[None], [seeds, 1]) if config.label_size else None
            w = self._generator.mapping_network(z, labels=labels)
            own = tf.linalg.matvec(w[:_CORNERS], shares, transpose_a=True)  # Between the four seeds.
            ws = self._generator.broadcast(tf.concat([own[None], w[_CORNERS:]], axis=0))  # [1 + groups, L, W]
            ws = self._generator.truncate(ws, Truncation(psi, cutoff, centre))
            ws = tf.concat([tf.where(use_found, found, ws[0])[None], ws[1:]], axis=0)
            mixed = tf.gather_nd(ws, tf.stack([sources, tf.range(num_layers)], axis=1)) + offset
            noise = [layer * strengths[index] for index, layer in enumerate(maps)]
            images = self._generator.synthesis(mixed[None], noise_mode="none", noise=noise or None)
            return to_uint8(images), mixed[None], noise

        return synthesize

    def _traced_features(self):
        @tf.function(reduce_retracing=True)
        def features(ws, noise):
            return self._generator.synthesis.features(ws, self._resolution, noise, use_noise=bool(noise))

        return features
