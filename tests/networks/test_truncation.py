"""The centre of truncation: that of all training, or that of each image's class."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.networks import truncation
from stylegan_tf.networks.network_file import Networks
from stylegan_tf.networks.truncation import Truncation
from tests.helpers import numpy_networks as plain
from tests.helpers import tiny_networks as tiny

CLASSES = np.eye(3, dtype=np.float32)


def _mean_w(generator, v, label, count=20000):
    z = np.random.RandomState(77).randn(count, 5)
    return plain.mapping(generator.config, v, z, np.tile(label, [count, 1])).mean(axis=0)


@pytest.fixture(scope="module")
def case():
    return tiny.generator(label_size=3)


@pytest.mark.parametrize("label", [[0, 1, 0], [0.3, 0, 0.7], [0, 0, 0]])
def test_the_centre_of_a_label_is_its_mean_w(case, label):
    generator, v = case
    ws = generator.truncate(tf.zeros([1, 4, 7]), Truncation(0.0, centre="class"), labels=np.float32([label]))
    expected = _mean_w(generator, v, label)
    assert np.abs(ws[0, 0] - expected).max() < 0.05 * np.abs(expected).max()


def test_classes_differ_at_psi_0_and_without_a_centre_they_do_not(case):
    generator, v = case
    z = tiny.normal(3, 5)
    own = generator(z, labels=CLASSES, truncation=Truncation(0.0, centre="class"), noise_mode="const")
    ws = [_mean_w(generator, v, label) for label in CLASSES]
    tiny.assert_close(own, plain.synthesis(generator.config, v, np.tile(np.array(ws)[:, None], [1, 4, 1])), 0.03)
    same = generator(z, labels=CLASSES, truncation=Truncation(0.0), noise_mode="const").numpy()
    tiny.assert_close(same[1:], same[:-1], 1e-5)


def test_centres_follow_the_weights_and_are_reproducible():
    generator, _ = tiny.generator(label_size=3)
    before = generator.truncation_centre("class", CLASSES)
    np.testing.assert_array_equal(generator.truncation_centre("class", CLASSES[[1, 1, 0]]), before[[1, 1, 0]])
    np.testing.assert_array_equal(tiny.generator(label_size=3)[0].truncation_centre("class", CLASSES), before)
    tiny.plain.randomize(generator, seed=9)
    assert (generator.truncation_centre("class", CLASSES) != before).any()


def test_another_thread_may_drop_the_centres_in_the_meantime(case, monkeypatch):
    """The one that computes has them all the same."""
    monkeypatch.setattr(truncation, "_KEPT", 0)
    centres, mapping = truncation.ClassCentres(case[0].mapping_network), case[0].mapping_network

    class Interrupted:
        config, weights, calls = mapping.config, mapping.weights, 0

        def __call__(self, z, labels):
            self.calls += 1
            if self.calls == 2:
                centres.of(CLASSES[:1])
            return mapping(z, labels=labels)

    centres._mapping = Interrupted()
    np.testing.assert_array_equal(centres.of(CLASSES), case[0].truncation_centre("class", CLASSES))


def test_a_network_without_labels_has_one_centre():
    generator, _v = tiny.generator()
    z = tiny.normal(2, 5)
    own = generator(z, truncation=Truncation(0.5, 2, "class"), noise_mode="const")
    np.testing.assert_array_equal(own, generator(z, truncation=Truncation(0.5, 2), noise_mode="const"))


def test_symbolic_labels_have_no_class_centre(case):
    draw = tf.function(lambda z, y: case[0](z, labels=y, truncation=Truncation(0.5, centre="class")))
    with pytest.raises(ValueError, match="class centres need the values of labels"):
        draw(tiny.normal(3, 5), CLASSES)


def test_converted_networks_keep_the_centre_of_the_authors_code():
    assert Networks(None, None, None, {"kimg": 5}).truncation_centre == "class"
    assert Networks(None, None, None, {"converted_from": "karras.pkl"}).truncation_centre == "all"


def test_the_old_keywords_still_truncate(case):
    z = tiny.normal(3, 5)
    with pytest.warns(DeprecationWarning, match="truncation=Truncation"):
        images = case[0](z, labels=CLASSES, truncation_psi=0.5, truncation_cutoff=2, noise_mode="none")
    np.testing.assert_array_equal(images, case[0](z, labels=CLASSES, truncation=Truncation(0.5, 2), noise_mode="none"))
