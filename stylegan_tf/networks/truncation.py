"""The truncation trick in w (Sec. 2.1 and App. B): how far, in which layers, and towards which centre."""

import dataclasses
import hashlib
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import GeneratorConfig

CENTRES = ("class", "all")
# Latents of a class, of all classes together at most, and of one at least. They are quasi-random: `demo`'s image of the
# mean w of 2^14 is 0.2 of 255 levels away from the exact one in the mean over its pixels, that of 2^10 0.8.
_LATENTS, _OF_ALL, _AT_LEAST = 2**14, 2**20, 2**10
_KEPT = 1024  # Centres.


@dataclasses.dataclass(frozen=True)
class Truncation:
    """w' = centre + psi * (w - centre) in the first `cutoff` layers.

    Fields:
      psi: a number, or one per image [N]; 1: no truncation, 0: the image of the centre.
      cutoff: number of layers; None: all. The paper's figures use psi 0.7 and cutoff 8.
      centre: "all": the running average of w; "class": for networks with labels the mean w of each image's own label,
        see `ClassCentres`; or the centre itself, a tensor [W] or [N, W]. None: that of the network file, which
        `painter_of` fills in.

    >>> import numpy as np
    >>> from stylegan_tf import Truncation, load_networks
    >>> generator = load_networks("demo").best_generator
    >>> generator(np.full([1, 128], 0.5), truncation=Truncation(psi=0.7, cutoff=8)).shape
    TensorShape([1, 32, 32, 3])
    """

    psi: Any = 1.0
    cutoff: Optional[int] = None
    centre: Any = "all"

    def __post_init__(self) -> None:
        if isinstance(self.centre, str) and self.centre not in CENTRES:
            raise ValueError(f"centre must be one of {', '.join(CENTRES)} or a tensor, got {self.centre!r}.")
        if isinstance(self.cutoff, (int, np.integer)) and self.cutoff < 0:
            raise ValueError(f"cutoff must be a number of layers or None, got {self.cutoff}.")

    @property
    def is_off(self) -> bool:
        return isinstance(self.psi, (int, float)) and self.psi == 1

    def at(self, psi: Any) -> "Truncation":
        """The same with another psi."""
        return dataclasses.replace(self, psi=psi)


class ClassCentres:
    """The mean w of labels: estimated from the mapping network with latents that are always the same, then cached."""

    def __init__(self, mapping_network: tf.keras.layers.Layer):
        self._mapping = mapping_network
        self._kept: tuple[bytes, dict] = (
            b"",
            {},
        )  # Digest of the weights, centres by label. Replaced, never changed: threads share it.

    def of(self, labels: tf.Tensor) -> np.ndarray:
        """float32 [N, W] for labels [N, label_size], one-hot or any others. ValueError for symbolic tensors."""
        if tf.is_symbolic_tensor(labels):
            raise ValueError("class centres need the values of labels: give a graph the centres themselves, [N, W].")
        weights = hashlib.blake2b(b"".join(variable.numpy().tobytes() for variable in self._mapping.weights)).digest()
        of_weights, centres = self._kept
        if weights != of_weights or len(centres) > _KEPT:  # A slider of the explorer keeps requesting new ones.
            centres = {}
        rows = [row.tobytes() for row in np.asarray(labels, np.float32)]
        unknown, centres = set(rows) - set(centres), dict(centres)
        z = _latents(self._mapping.config) if unknown else np.empty(0)
        for row in unknown:
            labels = np.tile(np.frombuffer(row, np.float32), [len(z), 1])
            centres[row] = tf.reduce_mean(self._mapping(z, labels=labels), axis=0).numpy()
        self._kept = (weights, centres)
        return np.stack([centres[row] for row in rows])


def _latents(config: GeneratorConfig) -> np.ndarray:
    """[n, latent_size] that cover N(0, 1) evenly."""
    from scipy.special import ndtri
    from scipy.stats import qmc  # Half a second.

    count = min(_LATENTS, max(_OF_ALL // config.label_size, _AT_LEAST))
    uniform = qmc.Sobol(config.latent_size, seed=0).random_base2(count.bit_length() - 1)
    return ndtri(np.clip(uniform, 1e-7, 1 - 1e-7)).astype(np.float32)
