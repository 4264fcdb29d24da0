"""LPIPS: against the real package, the file of weights, and what is refused."""

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.features.image_distance import convert_weights, load_lpips, save_lpips
from stylegan_tf.metrics.nearest import ImageVectors
from tests.helpers import lpips_case

# By PyPI's lpips 0.1.4 (net="vgg") on PyTorch 2.13 with the weights and images of `lpips_case`, in float64.
EXPECTED = {
    (32, 32): [0.725073428425897, 0.0, 1.3700239836717245e-06, 1.1815920902263837],
    (40, 24): [0.7284104916139982, 0.0, 1.4621295956540312e-06, 1.182773969006569],
}


@pytest.fixture(scope="module")
def weights():
    return lpips_case.weights(np.random.RandomState(0))


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("lpips") / "lpips.npz"
    save_lpips(path, convert_weights(*weights))
    return path


@pytest.fixture(scope="module")
def distance(file):
    return load_lpips(file)


@pytest.mark.parametrize("size", list(EXPECTED))
def test_distances_are_those_of_the_package(distance, size):
    random = np.random.RandomState(0)
    lpips_case.weights(random)
    found = distance(*lpips_case.image_pairs(random, *size)).numpy()
    assert found[1] == 0
    np.testing.assert_allclose(found, EXPECTED[size], rtol=5e-5)  # The package in float32 differs by 1.5e-5.


def test_the_squared_distance_of_vectors_is_that_of_the_package(distance):
    random = np.random.RandomState(0)
    lpips_case.weights(random)
    first, second = (distance.compute.vectors(images).numpy() for images in lpips_case.image_pairs(random, 32, 32))
    found = ((first - second).astype(np.float64) ** 2).sum(axis=1)
    np.testing.assert_allclose(found, EXPECTED[32, 32], rtol=1e-4, atol=1e-9)


def test_the_distance_has_its_name_and_knows_its_weights(distance, weights, tmp_path):
    assert (distance.name, distance.suffix) == ("lpips_vgg16", "")
    vgg16, heads = weights
    other = {**heads, "lin3.model.1.weight": heads["lin3.model.1.weight"] + np.float32(1)}
    save_lpips(tmp_path / "other.npz", convert_weights(vgg16, other))
    assert load_lpips(tmp_path / "other.npz").protocol()["distance_digest"] != distance.protocol()["distance_digest"]


def test_images_that_four_poolings_would_use_up_are_refused(distance):
    images = np.zeros([1, 15, 16, 3], np.float32)
    with pytest.raises(UserError, match="at least 16 pixels"):
        distance(images, images)


def test_images_with_transparency_are_refused_also_by_the_search_for_the_nearest(distance, file):
    images = np.zeros([1, 16, 16, 4], np.float32)
    with pytest.raises(UserError, match="^LPIPS compares images of 1 or 3 channels, these have 4"):
        distance(images, images)
    with pytest.raises(UserError, match="^LPIPS compares images of 1 or 3 channels, these have 4"):
        ImageVectors(str(file), "", 64)(images.astype(np.uint8))


def test_weights_that_do_not_fit_are_named(weights):
    vgg16, heads = weights
    with pytest.raises(
        UserError, match=r"VGG16 should hold features.7.weight, float32 \[128, 128, 3, 3\], found nothing"
    ):
        convert_weights({name: value for name, value in vgg16.items() if name != "features.7.weight"}, heads)
    with pytest.raises(UserError, match=r"heads should hold lin0.model.1.weight, .*found float32 \[1, 63, 1, 1\]"):
        convert_weights(vgg16, {**heads, "lin0.model.1.weight": heads["lin0.model.1.weight"][:, 1:]})


def test_other_files_are_told_in_one_line(tmp_path, file):
    path = tmp_path / "x.npz"
    with pytest.raises(UserError, match="does not exist: make one with python -m stylegan_tf.build_lpips"):
        load_lpips(path)
    for content in (b"", b"PK\x03\x04", file.read_bytes()[:1000], file.read_bytes()[:-1000]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is not a readable LPIPS file"):
            load_lpips(path)
    np.savez(path, format=np.array('{"format": "LPIPS-VGG16, version 0.0"}'))
    with pytest.raises(UserError, match="another version"):
        load_lpips(path)
    np.savez(path, format=np.array('{"format": "LPIPS-VGG16, version 0.1"}'))
    with pytest.raises(UserError, match="should hold conv1_1/weight"):
        load_lpips(path)
    np.save(tmp_path / "x.npy", np.zeros(3))
    (tmp_path / "x.npy").rename(path)
    with pytest.raises(UserError, match="is not a readable LPIPS file"):
        load_lpips(path)
