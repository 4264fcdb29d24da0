"""Exports of small networks of every kind: trained by us, and converted from pickles in the authors' format."""

import dataclasses
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from stylegan_tf.config import WriteOptions
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.networks.conversion.authors_networks import import_pickle
from stylegan_tf.networks.network_file import load_networks
from stylegan_tf.training.run.loop import train
from stylegan_tf.visualize import crop_to_box, to_uint8
from stylegan_tf.visualize.painter import seed_latents
from tests.helpers import authors_layout as authors
from tests.helpers.array_source import ArraySource
from tests.helpers.authors_pickles import pickled
from tests.helpers.tiny_run import tiny_config

ROOT = Path(__file__).parents[2]
NAMES = ["unconditional", "conditional", "gray", "letterboxed"]
# Of processes without the checkout on the path, and without TensorFlow's chatter.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
ENVIRONMENT.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

SEEDS = [0, 5, 2**32 - 1]
PSI = np.array([0.7, 0.7, -0.5], np.float32)


@dataclasses.dataclass
class Model:
    """A network file and what an export of it has to show."""

    path: str
    labels: np.ndarray = None  # [3, labels].

    def __post_init__(self):
        networks = load_networks(self.path)
        self.generator, self.metadata = networks.best_generator, networks.metadata
        self.latents = seed_latents(SEEDS, self.generator.config.latent_size)

    def images(self, latents=None, psi=PSI):
        """uint8 [N, H, W, C], by way of the network as `generate` runs it."""
        z = self.latents if latents is None else latents
        labels = None if self.labels is None else self.labels[: len(z)]
        options = {"truncation_psi": psi[: len(z)], "truncation_cutoff": 8, "noise_mode": "const", "labels": labels}
        return crop_to_box(to_uint8(self.generator(z, **options)), self.metadata.get("content_box"))


def make_networks(folder):
    """Name -> Model. The letterboxed one is trained here, the others come from pickles."""
    kinds = {"unconditional": {}, "conditional": {"label_size": 3}, "gray": {"num_channels": 1, "resolution": 8}}
    models = {}
    for name, options in kinds.items():
        pickle, path = folder / f"{name}.pkl", folder / f"{name}.npz"
        pickle.write_bytes(pickled(with_lively_mapping(authors.style_generator("Gs", **options))))
        import_pickle(pickle, path)
        models[name] = Model(path, np.eye(3, dtype=np.float32) if "label_size" in options else None)
    models["letterboxed"] = Model(trained_on_letterboxed_pictures(folder))
    for name, model in models.items():
        first, second, _ = model.images().astype(int)
        assert np.abs(first - second).max() > 20, f"the images of {name} do not depend on the latents"
    return models


def with_lively_mapping(network):
    """The mapping network's raw weights are as large as the authors' start with (1 / 0.01), so that images differ."""
    mapping = network.components["mapping"]
    mapping.variables = [(name, 100 * value if "Dense" in name else value) for name, value in mapping.variables]
    return network


def trained_on_letterboxed_pictures(folder):
    """The folder of a short run of training at 8x8 on pictures with bars of two pixels above and below."""
    images = np.random.RandomState(0).randint(0, 256, [16, 8, 8, 3]).astype(np.uint8)
    write_tfrecords(ArraySource(images, box=(0, 2, 8, 6)), folder / "data", WriteOptions(shards=1))
    schedule = {"start_resolution": 8, "batch_sizes": {8: 8}}
    # A constant input starts as all ones: instance normalisation would show nothing but rounding errors of it.
    options = {"generator": {"const_input": False}, "total_kimg": 0.016}
    config = tiny_config(folder / "data", folder / "run", schedule, **options)
    train(config)
    return folder / "run"


def inputs_of(model, count=3, **inputs):
    labels = {} if model.labels is None else {"labels": model.labels[:count]}
    return {"latents": model.latents[:count], "truncation_psi": PSI[:count], **labels, **inputs}


def assert_same(images, expected):
    assert images.dtype == np.uint8 and images.shape == expected.shape
    assert np.abs(images.astype(int) - expected).max() <= 1
    assert expected.std() > 5


def pictures(pngs, like):
    return np.reshape([np.asarray(Image.open(io.BytesIO(png))) for png in pngs], like.shape)
