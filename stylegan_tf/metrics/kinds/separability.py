"""Linear separability (Sec. 4.2): how well a hyperplane in latent space tells whether the image has an attribute.

Many images are generated and classified. Per attribute, the half with the most confident predictions is kept, and a
linear SVM is fitted to its latents and predictions; H(Y|X) is the entropy of the prediction (Y) given the SVM's side
(X). The score is 2^(sum over the attributes of H(Y|X) in bits), 1 at best: the paper's exp of the sum in nats.

A sample is an image of `GeneratedImages`; the latents are z as it is drawn, and w before it is broadcast to the
layers (none is truncated). The SVM's problem is that of scikit-learn's LinearSVC with its default C = 1; it is solved
in the primal form, which converges where the dual, with more samples than dimensions, often does not.
"""

import dataclasses
import re
import warnings
from typing import TYPE_CHECKING, Optional

import numpy as np

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.config.callbacks import Progress
from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.cache import CachedArrays, resumable_rows
from stylegan_tf.metrics.kinds.metric import Facts, NetworkMetric, Values, number

if TYPE_CHECKING:
    from sklearn.svm import LinearSVC

    from stylegan_tf.metrics.context import MetricContext
    from stylegan_tf.metrics.measured_images import GeneratedImages
    from stylegan_tf.networks.generator import Generator

_LATENTS_PER_CALL = 4096
_PAPER_SAMPLES = 200_000
_SAMPLES_PER_DIMENSION = 8  # Half of them are kept.


@dataclasses.dataclass(frozen=True)
class SeparabilityMetric(NetworkMetric):
    syntax = "ls, lsN"
    pattern = re.compile(r"ls(?P<samples>\d+k?)?")
    needs = ("classifiers",)
    cached_rows = "classified"

    @classmethod
    def from_match(cls, match):
        return cls(match[0], number(match["samples"], _PAPER_SAMPLES))

    def suffix(self, context):
        return context.classifiers.suffix

    def protocol(self, context):
        return {"attributes": list(context.classifiers.names), "classifiers_digest": context.classifiers.digest}

    def check(self, context):
        super().check(context)
        config = context.generator.config
        check_samples(config, self.count)
        context.classifiers.check(config.resolution, config.num_channels)

    def compute(self, context, partial):
        return linear_separability(context, self.count, partial)


def linear_separability(
    context: "MetricContext", num_samples: int, partial: Optional[CachedArrays] = None
) -> tuple[Values, Facts]:
    """Without truncation; the same for any `context.replica_batch` and number of replicas, but for predictions near 0.

    Args:
      num_samples: images to classify; the paper's 200,000. Half of them are kept, see `check_samples`.
      partial: as for `path_length.perceptual_path_length`.

    Returns the scores in the spaces "z" and "w", at least 1 (lower is better), and "attributes" by name: H(Y|X) in bits
    in both spaces, and the "share" of the kept samples that have it according to its classifier.
    """
    check_samples(context.generator.config, num_samples)
    classifiers, source = context.classifiers, context.source()
    logits = classified(
        source, classifiers, num_samples, context.strategy, context.replica_batch, partial, context.progress
    )
    z, w = latents(source, num_samples)
    attributes = {}
    with context.progress(len(classifiers.names), "Separability", "attributes") as bar:
        for index, name in enumerate(classifiers.names):
            kept = most_confident(logits[:, index])
            predictions = logits[kept, index] > 0
            bits = {space: separation_entropy(points[kept], predictions) for space, points in (("z", z), ("w", w))}
            attributes[name] = {**bits, "share": float(predictions.mean())}
            bar.update(index + 1)
    scores = {space: 2.0 ** sum(found[space] for found in attributes.values()) for space in ("z", "w")}
    return scores, {"attributes": attributes}


def check_samples(config: GeneratorConfig, num_samples: int) -> None:
    """Raises UserError for so few samples that a plane can separate them whatever the predictions.

    N points in D dimensions are linearly separable in any way if N <= D + 1, and in most ways up to N = 2 D.
    """
    needed = _SAMPLES_PER_DIMENSION * max(config.latent_size, config.w_size)
    if num_samples < needed:
        raise UserError(
            f"separability on {num_samples} samples is meaningless in this network's latent spaces, where a plane "
            f"separates so few points in nearly any way: take at least {needed}."
        )


def classified(source, classifiers, num_samples, strategy, rows, partial=None, progress=Progress) -> np.ndarray:
    """Logits of all samples: float32 [num_samples, attributes]."""
    from stylegan_tf.distribution.strategy import ReplicatedFunction

    def classify(z, labels, noise_seeds, latent_of_layer):
        return classifiers(source.images_of(source.ws(z, labels, latent_of_layer), noise_seeds))

    rows = max(rows // classifiers.group_size, 1) * classifiers.group_size
    compute = ReplicatedFunction(strategy, classify, rows)
    return resumable_rows(
        num_samples, compute.total_rows, lambda first, count: compute(*source.inputs(first, count)),
        "Classified", "images", partial, progress,
    )  # fmt: skip


def latents(source: "GeneratedImages", count: int) -> tuple[np.ndarray, np.ndarray]:
    """z [count, latent_size] and w [count, w_size] of the first `count` images."""
    all_z, all_w = [], []
    for first in range(0, count, _LATENTS_PER_CALL):
        z, labels, _, latent_of_layer = source.inputs(first, min(_LATENTS_PER_CALL, count - first))
        all_z.append(z[:, 0])
        all_w.append(source.ws(z, labels, latent_of_layer)[:, -1].numpy())
    return np.concatenate(all_z), np.concatenate(all_w)


def classified_samples(
    generator: "Generator", label: Optional[np.ndarray], folder: str, count: int, seed: int
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names of the classifiers in a folder, w [count, w_size] of generated images, their logits [count, classifiers].

    label: [label_size], of all images; None: each gets a random class of the network.
    """
    from stylegan_tf.distribution.strategy import create_strategy
    from stylegan_tf.metrics.attribute_classifiers import load_classifiers
    from stylegan_tf.metrics.measured_images import GeneratedImages

    strategy, config = create_strategy("one"), generator.config
    with strategy.scope():
        classifiers = load_classifiers(folder)
    classifiers.check(config.resolution, config.num_channels)
    labels = np.eye(config.label_size, dtype=np.float32) if label is None else label[None]
    images = GeneratedImages(generator, seed, labels)
    scores = classified(images, classifiers, count, strategy, rows=32)
    return classifiers.names, latents(images, count)[1], scores


def most_confident(logits: np.ndarray) -> np.ndarray:
    """Indices of the half of the samples (rounded down) whose logits are farthest from 0; the first of equals."""
    order = np.argsort(-np.abs(logits), kind="stable")
    return order[: max(1, len(logits) // 2)]


def separation_entropy(points: np.ndarray, predictions: np.ndarray) -> float:
    """H(prediction | side of the SVM's plane) in bits, on the points it is fitted to; 0 if all predictions are equal.

    points: [N, D]; predictions: bool [N].
    """
    if predictions.all() or not predictions.any():
        return 0.0  # No entropy, and no plane can be fitted.
    sides = separating_plane(points, predictions).predict(points)
    table = [
        [np.sum((sides == side) & (predictions == prediction)) for prediction in (False, True)]
        for side in (False, True)
    ]
    return conditional_entropy(np.array(table))


def separating_plane(
    points: np.ndarray, predictions: np.ndarray, cost: float = 1.0, balanced: bool = False
) -> "LinearSVC":
    """The SVM of points [N, D] and bool [N] of both kinds; its `coef_` [1, D] points to where predictions are true.

    cost: of a point on the wrong side (scikit-learn's C). balanced: weight both kinds inversely to their number.
    """
    from sklearn.exceptions import ConvergenceWarning  # Late: it takes a second to import.
    from sklearn.svm import LinearSVC

    svm = LinearSVC(dual=False, C=cost, class_weight="balanced" if balanced else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1000 iterations are enough.
        return svm.fit(points, predictions)


def conditional_entropy(table: np.ndarray) -> float:
    """H(Y|X) in bits of a table [X, Y] of counts or probabilities, which need not add up to 1; 0 log 0 is 0."""
    joint = np.asarray(table, np.float64) / np.sum(table)
    given = np.broadcast_to(joint.sum(axis=1, keepdims=True), joint.shape)  # p(x)
    some = joint > 0
    return float(np.sum(joint[some] * np.log2(given[some] / joint[some])))
