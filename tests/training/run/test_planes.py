"""Images of five planes from the array to the served model."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import stylegan_tf
from stylegan_tf.config import SourceOptions, WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.training import parse_planes
from stylegan_tf.data import inspection
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.pipeline import training_dataset
from stylegan_tf.data.sources import open_source
from stylegan_tf.metrics.features.extractors import FeatureExtractor
from stylegan_tf.serving.saved_model import export_generator
from stylegan_tf.training.run.loop import train
from stylegan_tf.visualize.image_folders import open_image_folder
from stylegan_tf.visualize.picture_files import as_shown
from tests.helpers.tiny_run import tiny_config

PLANES = 5


@pytest.fixture(scope="module")
def values():
    coarse = np.random.RandomState(0).randint(0, 256, [16, 4, 4, PLANES])
    return coarse.repeat(4, 1).repeat(4, 2).astype(np.uint8)


@pytest.fixture(scope="module")
def data_dir(values, tmp_path_factory):
    folder = tmp_path_factory.mktemp("planes")
    np.save(folder / "a.npy", values)
    source = open_source(str(folder / "a.npy"), SourceOptions(planes=PLANES))
    return write_tfrecords(source, folder / "set", WriteOptions(shuffle=False, shards=2))


@pytest.fixture(scope="module")
def run_dir(data_dir, tmp_path_factory):
    """A run with mirrored images that is resumed once."""
    run_dir = tmp_path_factory.mktemp("run")
    options = {"mirror_augment": True, "grid_planes": "4,0,2"}
    for kimg in (0.032, 0.064):
        train(tiny_config(data_dir, run_dir, total_kimg=kimg, **options))
    return run_dir


def test_the_pipeline_gives_all_planes_and_mirrors_them(data_dir, values):
    info = find_dataset(data_dir)
    assert info.num_channels == PLANES
    batch = next(iter(training_dataset(info, 16, 16, shuffle_images=0, mirror=True)))["images"].numpy()
    is_plain = (batch == values).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(batch[~is_plain], values[~is_plain][:, :, ::-1])
    assert 0 < is_plain.sum() < 16


def test_planes_are_extracted_as_arrays_and_have_no_other_encoding(data_dir, values, tmp_path):
    inspection.extract(find_dataset(data_dir), 16, tmp_path / "out")
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "00000003.npy"), values[3])
    source = open_source(str(data_dir), SourceOptions(planes=PLANES))
    with pytest.raises(UserError, match="`encoding=png` is for 1, 3 or 4 channels, not for 5 planes"):
        write_tfrecords(source, tmp_path / "set", WriteOptions(encoding="png"))


def test_grids_show_the_planes_that_are_named(run_dir, data_dir, values):
    reals = np.asarray(Image.open(run_dir / "reals.png"))
    assert reals.shape[2] == 3 and (run_dir / "fakes000000.png").exists()
    shown = {tuple(value) for value in reals.reshape(-1, 3)}
    assert shown <= {tuple(value) for value in values[..., [4, 0, 2]].reshape(-1, 3)}


def test_the_network_generates_exports_and_reloads_all_planes(run_dir, tmp_path):
    networks = stylegan_tf.load_networks(run_dir)
    generator = networks.generator_ema
    assert generator.config.num_channels == PLANES
    z = np.random.RandomState(0).randn(2, generator.config.latent_size).astype(np.float32)
    version = export_generator(generator, tmp_path / "model")
    served = tf.saved_model.load(str(version))
    assert not {"png", "seed_png"} & set(served.signatures)
    psi = tf.ones([2])
    images = served.signatures["serving_default"](latents=tf.constant(z), truncation_psi=psi)["images"].numpy()
    assert images.shape[3] == PLANES
    with open_image_folder(tmp_path / "images", {}) as folder:
        folder.add(["a.png", "b.png"], images)
    np.testing.assert_array_equal(np.load(tmp_path / "images" / "b.npy"), images[1])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "images" / "b.png")), images[1, :, :, :3])


def test_metrics_and_grids_refuse_what_they_cannot_show():
    extractor = FeatureExtractor("x", "", "", 4, None, lambda images: {"features": images})
    with pytest.raises(UserError, match="metrics are of pictures with 1 or 3 channels, these have 5"):
        extractor(tf.zeros([1, 8, 8, PLANES]))
    with pytest.raises(UserError, match="one or three planes from 0 to 4 can be shown"):
        as_shown(np.zeros([1, 4, 4, PLANES], np.uint8), [0, 5, 1])
    with pytest.raises(UserError, match="grid_planes takes one or three numbers of planes, like 0,3,4, got 1,2"):
        parse_planes("1,2")
