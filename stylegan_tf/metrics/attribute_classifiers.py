"""Classifiers of attributes, discriminators with one output in one file each: reading, applying and training them.

`stylegan_tf.train_classifier` writes such files, and `stylegan_tf.convert_checkpoint` converts the authors'
classifiers.

Without minibatch statistics, as the prediction for an image should not depend on its neighbours in the batch.
"""

import dataclasses
import hashlib
import itertools
import pathlib
from collections.abc import Sequence
from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import ClassifierTraining, DiscriminatorConfig
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset, translate_data_errors
from stylegan_tf.data.pipeline import process_reals
from stylegan_tf.files.atomic_write import check_writable
from stylegan_tf.metrics.real_images import LabelledImages, attribute_columns, labelled_images
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import Networks, load_networks, save_networks
from stylegan_tf.ops.resampling import downscale_2d

_VALIDATION_BATCH = 32
_LARGEST = 256  # Resolution of classifiers, unless another is asked for.


class AttributeClassifiers:
    """float32 images [N, R, R, C], about [-1, 1] -> logits float32 [N, classifiers]; positive: it has the attribute.

    Images are downscaled (means of 2x2 boxes) to a classifier's resolution. The result for an image depends on the
    image alone, or, for classifiers with minibatch statistics, on its group: 1st to 4th, 5th to 8th, ...
    """

    def __init__(self, names: Sequence[str], networks: Sequence[Discriminator]):
        """names: the attributes, in the order of the networks."""
        self.names = tuple(names)
        self._networks = tuple(networks)
        digest = hashlib.sha256()
        for name, network in zip(names, networks):
            digest.update(name.encode() + repr(sorted(network.config.digest_fields().items())).encode())
            for variable_name, variable in sorted(named_variables(network).items()):
                digest.update(variable_name.encode() + variable.numpy().tobytes())
        self.digest = digest.hexdigest()

    @property
    def suffix(self) -> str:
        """Suffix of result names: results are comparable only if the classifiers are the same."""
        return f"-{len(self.names)}attributes-{self.digest[:8]}"

    @property
    def group_size(self) -> int:
        """N must be a multiple of it."""
        return max(1, *(network.config.mbstd_group_size for network in self._networks))

    def check(self, resolution: int, num_channels: int) -> None:
        """Raises UserError if images of this size cannot be classified."""
        for name, network in zip(self.names, self._networks):
            config = network.config
            if config.resolution > resolution or config.num_channels != num_channels:
                size = f"{config.resolution}x{config.resolution}, {config.num_channels} channel(s)"
                raise UserError(
                    f"the classifier of {name} takes images of {size}; "
                    f"the network's are {resolution}x{resolution}, {num_channels} channel(s)."
                )

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        return tf.stack([self._logits(network, images) for network in self._networks], axis=1)

    def _logits(self, network, images):
        while images.shape[1] > network.config.resolution:
            images = downscale_2d(images)
        group = network.config.mbstd_group_size
        # A network with one label multiplies its output by it.
        labels = tf.ones([tf.shape(images)[0], 1]) if network.config.label_size else None
        if not group:
            return network(images, labels=labels)
        # The layer's groups have members that are N / group apart: [N / group, group] -> [group, N / group] and back.
        count = images.shape[0] or tf.shape(images)[0]
        order = tf.reshape(tf.transpose(tf.reshape(tf.range(count), [-1, group])), [-1])
        scores = network(tf.gather(images, order), labels=labels)
        return tf.reshape(tf.transpose(tf.reshape(scores, [group, -1])), [-1])


def load_classifiers(folder) -> AttributeClassifiers:
    """The network files of a folder, one for each attribute. Call it in the strategy's scope.

    An attribute's name is the one stored in the file by `train_classifier`, else the file name.
    Raises UserError if there are none, or one is not a classifier.
    """
    folder = pathlib.Path(folder)
    paths = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    if not paths:
        raise UserError(f"{folder} has no classifiers (.npz): create them with stylegan_tf.train_classifier.")
    names, networks = [], []
    for path in paths:
        found = load_networks(path)
        network, name = found.discriminator, str(found.metadata.get("attribute", path.stem))
        if network is None or network.dense1.units != 1:
            raise UserError(f"{path} is not a classifier: expected a discriminator with one output.")
        if name in names:
            raise UserError(f"{path} is a second classifier of {name} in {folder}.")
        names.append(name)
        networks.append(network)
    return AttributeClassifiers(names, networks)


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """On the held-out images."""

    correct: float  # Share of the images.
    majority: float  # Share of the more frequent class.
    count: int


def train_classifiers(
    data_dir: str,
    out: str,
    attributes: Optional[Sequence[str]] = None,
    training: ClassifierTraining = ClassifierTraining(),
    resolution: Optional[int] = None,
    overwrite: bool = False,
    note: Note = ignore,
    progress: StartProgress = Progress,
) -> None:
    """Trains a classifier for each attribute of a dataset, None: for all, and writes a network file for each to `out`.

    Args:
      resolution: size of the images; None: the dataset's, 256 at most.
      overwrite: train again those whose files exist.
      note: takes a line for each.
    Seeds the global random generators of Python, NumPy and TensorFlow with `training.seed`.
    """
    info = find_dataset(data_dir)
    resolution = resolution or min(info.resolution, _LARGEST)
    info.shards(resolution)  # UserError if the dataset lacks that level.
    attributes = list(attribute_columns(info)) if attributes is None else attributes
    sets = {attribute: labelled_images(info, resolution, attribute) for attribute in attributes}
    for one, other in itertools.combinations(sets, 2):
        if file_name(one) == file_name(other):
            raise UserError(f"{one!r} and {other!r} have the same file, {file_name(one)}: give each another `out`.")
    check_writable(out)
    for attribute, images in sets.items():
        path = pathlib.Path(out) / file_name(attribute)
        if path.exists() and not overwrite:
            note(f"{path} exists already")
            continue
        accuracy = train_classifier(attribute, images, training, path, progress)
        note(
            f"{path}: {accuracy.correct:.2%} of {accuracy.count} validation images are right "
            f"({accuracy.majority:.2%} belong to the more frequent class)"
        )


def file_name(attribute: str) -> str:
    """`Smiling.npz`; characters that are unsafe in file names become underscores."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in attribute) + ".npz"


def train_classifier(
    attribute: str, images: LabelledImages, training: ClassifierTraining, path, progress: StartProgress = Progress
) -> Accuracy:
    """Trains, validates and writes the network file `path` atomically.

    Raises UserError for damaged records, and if the training diverges.
    """
    tf.keras.utils.set_random_seed(training.seed)
    config = DiscriminatorConfig(
        resolution=images.resolution, num_channels=images.info.num_channels, mbstd_group_size=0,
        fmap_base=training.fmap_base, fmap_max=training.fmap_max,
    )  # fmt: skip
    network = Discriminator(config)
    step = _training_step(network, training.learning_rate)
    batches = images.training_batches(training.batch_size, training.seed)
    steps = -(-training.total_images // training.batch_size)
    with translate_data_errors(images.info, images.resolution):
        with progress(training.total_images, f"Classifier of {attribute}", "images") as bar:
            for number, (pictures, truth) in enumerate(batches.take(steps), start=1):
                loss = step(pictures, truth)
                bar.update(min(number * training.batch_size, training.total_images))
        if not np.isfinite(loss):
            raise UserError(f"the classifier of {attribute} diverged: lower the learning rate.")
        accuracy = validation_accuracy(network, images)
    metadata = {
        "attribute": attribute,
        "dataset": images.info.name,
        "validation": dataclasses.asdict(accuracy),
        "training": dataclasses.asdict(training),
    }
    save_networks(path, Networks(None, network, None, metadata))
    return accuracy


def validation_accuracy(network: Discriminator, images: LabelledImages) -> Accuracy:
    """Accuracy of a classifier whose logits are positive for images that have the attribute."""
    predict = tf.function(lambda pictures: network(process_reals(pictures, 1.0)) > 0, reduce_retracing=True)
    truth = images.has_attribute[images.validation]
    predictions = [predict(pictures).numpy() for pictures, _ in images.validation_batches(_VALIDATION_BATCH)]
    share = float(np.mean(truth))
    return Accuracy(float(np.mean(np.concatenate(predictions) == truth)), max(share, 1 - share), len(truth))


def _training_step(network, learning_rate):
    optimizer = tf.keras.optimizers.Adam(learning_rate, beta_1=0.0, beta_2=0.99, epsilon=1e-8)
    variables = network.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(pictures, truth):
        """-> the mean loss of the batch."""
        with tf.GradientTape() as tape:
            logits = network(process_reals(pictures, 1.0))
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(truth, tf.float32), logits=logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return step
