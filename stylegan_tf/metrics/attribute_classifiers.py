"""Classifiers of attributes: discriminators with one output, one file each.

`stylegan_tf.train_classifier` writes such files, and `stylegan_tf.convert_checkpoint` converts the authors'
classifiers.
"""

import hashlib
import pathlib
from collections.abc import Sequence

import tensorflow as tf

from stylegan_tf.errors import UserError
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import load_networks
from stylegan_tf.ops.resampling import downscale_2d


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
            digest.update(name.encode() + repr(sorted(network.config.to_dict().items())).encode())
            for variable_name, variable in sorted(named_variables(network).items()):
                digest.update(variable_name.encode() + variable.numpy().tobytes())
        self.digest = digest.hexdigest()

    @property
    def suffix(self) -> str:
        """Of result names: results are comparable only if the classifiers are the same."""
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
        sizes = {images.shape[1]: images}
        return tf.stack([self._logits(network, sizes) for network in self._networks], axis=1)

    def _logits(self, network, sizes):
        """sizes: resolution -> images; smaller ones are added as needed."""
        while network.config.resolution not in sizes:
            smallest = min(sizes)
            sizes[smallest // 2] = downscale_2d(sizes[smallest])
        images = sizes[network.config.resolution]
        group = network.config.mbstd_group_size
        labels = tf.ones([tf.shape(images)[0], 1])  # A network with one label multiplies its output by it.
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
        raise UserError(f"{folder} has no classifiers (.npz): make them with stylegan_tf.train_classifier.")
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
