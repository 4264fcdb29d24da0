"""Trains a classifier of one attribute: the discriminator's architecture with binary cross-entropy.

Without minibatch statistics, as the prediction for an image should not depend on its neighbours in the batch.
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config import ClassifierTraining, DiscriminatorConfig
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.data.dataset_files import data_errors_named, find_dataset
from stylegan_tf.data.pipeline import process_reals
from stylegan_tf.errors import UserError
from stylegan_tf.files.atomic_write import make_folder
from stylegan_tf.metrics.images.labelled import LabelledImages, attribute_columns, labelled_images
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.network_file import Networks, save_networks

_VALIDATION_BATCH = 32
_LARGEST = 256


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
    """
    info = find_dataset(data_dir)
    resolution = resolution or min(info.resolution, _LARGEST)
    info.shards(resolution)  # UserError if the dataset lacks that level.
    attributes = list(attribute_columns(info)) if attributes is None else attributes
    sets = {attribute: labelled_images(info, resolution, attribute) for attribute in attributes}
    with tempfile.TemporaryFile(dir=make_folder(out)):
        pass  # Fails before training if the folder is not writable.
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
    with data_errors_named(images.info, images.resolution):
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
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_networks(path, Networks(None, network, None, metadata))
    return accuracy


def validation_accuracy(network: Discriminator, images: LabelledImages) -> Accuracy:
    """Of a classifier whose logits are positive for images that have the attribute."""
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
