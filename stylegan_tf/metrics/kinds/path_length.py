"""Perceptual path length (Sec. 4.1): how much the image changes on a small step between two random latents.

    l = E[ d(G(interpolate(a, b; t)), G(interpolate(a, b; t + epsilon))) / epsilon^2 ]

Where the paper leaves a choice: a step's two images, and all pairs of a group of 64, share their noise inputs; images
are compared as the network outputs them, neither rounded nor clipped (a step is smaller than one level of 255); w is
interpolated before it is broadcast to the layers; networks with labels draw one label per pair.
"""

import dataclasses
import re
from typing import TYPE_CHECKING, Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.cache import CachedArrays, resumable_rows
from stylegan_tf.metrics.kinds.metric import NetworkMetric, number

if TYPE_CHECKING:
    from stylegan_tf.metrics.context import MetricContext

PAIRS_PER_NOISE = 64  # Pairs that share their noise inputs: a minibatch in the paper, whatever our batch size.


@dataclasses.dataclass(frozen=True)
class PathLengthProtocol:
    """What the value depends on, besides the distance and what all metrics depend on."""

    space: str = "w"  # Where latents are interpolated: "z" (spherically) or "w" (linearly).
    sampling: str = "end"  # "full": t uniform in [0, 1); "end": t = 0.
    num_pairs: int = 100_000
    face_crop: bool = False  # Compare rows 3/8 to 7/8 and columns 2/8 to 6/8 only, as the paper does for its faces.
    epsilon: float = 1e-4

    def __post_init__(self):
        if self.space not in ("z", "w") or self.sampling not in ("full", "end"):
            raise ValueError(f"expected space z or w and sampling full or end, got {self.space}, {self.sampling}.")


@dataclasses.dataclass(frozen=True)
class PathLengthMetric(NetworkMetric):
    path: PathLengthProtocol = PathLengthProtocol()

    syntax = "ppl_zfull, ppl_wfull, ppl_zend, ppl_wend, pplN_wend (_face after it: the middle of the image, for faces)"
    pattern = re.compile(r"ppl(?P<pairs>\d+k?)?_(?P<space>[zw])(?P<sampling>full|end)(?P<face>_face)?")
    needs = ("distance",)
    cached_rows = "path-lengths"

    @classmethod
    def from_match(cls, match):
        pairs = number(match["pairs"], PathLengthProtocol.num_pairs)
        return cls(match[0], pairs, PathLengthProtocol(match["space"], match["sampling"], pairs, bool(match["face"])))

    def suffix(self, context):
        return context.distance.suffix + context.box_suffix

    def protocol(self, context):
        path = {"pairs_per_noise": PAIRS_PER_NOISE, **dataclasses.asdict(self.path)}
        return {**context.distance.protocol(), **path, **context.box_protocol()}

    def check(self, context):
        super().check(context)
        if self.path.face_crop and context.generator.config.resolution < 8:
            raise UserError(f"{self.text}: images of 4x4 are too small to crop a face.")

    def compute(self, context, partial):
        found = perceptual_path_length(context, self.path, partial)
        return {"ppl": found.mean}, {"pairs_kept": found.kept}


@dataclasses.dataclass(frozen=True)
class PathLength:
    """The result. `mean` is the paper's number."""

    mean: float  # Mean of the distances between the 1st and the 99th percentile.
    kept: int  # The number of these pairs.


def perceptual_path_length(
    context: "MetricContext", protocol: PathLengthProtocol, partial: Optional[CachedArrays] = None
) -> PathLength:
    """Without truncation. The same for any `context.replica_batch` and any number of replicas, up to rounding.

    partial: distances of an interrupted call, from which the next one resumes.
    """
    from stylegan_tf.distribution.strategy import ReplicatedFunction
    from stylegan_tf.metrics.kinds.latent_pairs import LatentPairs

    pairs = LatentPairs(context, protocol, PAIRS_PER_NOISE)
    compute = ReplicatedFunction(context.strategy, pairs.lengths, _divisor(context.replica_batch))
    found = resumable_rows(
        protocol.num_pairs, compute.total_rows, lambda first, count: compute(*pairs.inputs(first, count)),
        "Path length", "pairs", partial, context.progress,
    )  # fmt: skip
    return filtered_mean(found)


def filtered_mean(distances: np.ndarray) -> PathLength:
    """Mean of the values from the 1st percentile (the value below) to the 99th (the value above), both included."""
    distances = np.asarray(distances, np.float64)
    low = np.percentile(distances, 1, method="lower")
    high = np.percentile(distances, 99, method="higher")
    kept = distances[(low <= distances) & (distances <= high)]
    return PathLength(float(kept.mean()), len(kept))


def _divisor(rows: int) -> int:
    """The largest power of two of at most `rows` and PAIRS_PER_NOISE: no call then straddles two groups of pairs."""
    return 1 << (max(1, min(rows, PAIRS_PER_NOISE)).bit_length() - 1)
