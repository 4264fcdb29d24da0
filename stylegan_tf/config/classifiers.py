"""Options of classifiers of attributes, which linear separability compares a network with."""

import dataclasses

from stylegan_tf.config.option import GENERAL, Options, option


@dataclasses.dataclass(frozen=True)
class ClassifierTraining(Options):
    """How a classifier is trained: Adam (beta1 0, beta2 0.99, epsilon 1e-8) at a constant learning rate."""

    total_images: int = option(GENERAL, 150_000, "Images to train each classifier on, with repetition.", at_least=1)
    batch_size: int = option(GENERAL, 8, "Images per step.", at_least=1)
    learning_rate: float = option(GENERAL, 0.001, "Of Adam.", above=0)
    fmap_base: int = option(GENERAL, 8192, "Width of the network: 2 * fmap_base / resolution channels, ...", at_least=1)
    fmap_max: int = option(GENERAL, 512, "... but at most so many.", at_least=1)
    seed: int = option(GENERAL, 0, "Of the weights and of the order of the images.", at_least=0, below=2**32)
