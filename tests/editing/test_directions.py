"""Directions: found where the geometry is known, of a length that means the same everywhere, kept in a file."""

import numpy as np
import pytest

from stylegan_tf.config import DirectionOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.editing.directions import Directions, load_directions, parse_moves, save_directions
from stylegan_tf.editing.finding_directions import (
    attribute_normals,
    principal_components,
    read_label_table,
    style_factors,
)
from tests.helpers import tiny_networks as tiny

AXES = np.linalg.qr(np.random.RandomState(5).randn(7, 7))[0]  # Columns of length 1, at right angles.


def _cloud(count=4000):
    """w that varies by 3, 2 and 1 along the first three axes, and less along the others."""
    return 10 + tiny.normal(count, 7) * np.array([3, 2, 1, 0.5, 0.5, 0.5, 0.5]) @ AXES.T


def test_principal_components_are_the_axes_with_their_deviations():
    found = principal_components(_cloud(), 3, (0, 4))
    assert found.names == ("pca1", "pca2", "pca3")
    np.testing.assert_allclose(np.abs(found.vectors @ AXES[:, :3]), np.eye(3), atol=0.05)
    np.testing.assert_allclose(found.deviations, [3, 2, 1], rtol=0.05)
    largest = np.abs(found.vectors).argmax(axis=1)
    assert (found.vectors[range(3), largest] > 0).all()


def test_sefa_finds_what_the_styles_of_the_chosen_layers_answer_to():
    generator, _weights = tiny.generator()
    layer = generator.synthesis.blocks["8x8"][0].style
    answering = 5 * np.outer(AXES[:, 0], np.ones(12)) + np.outer(AXES[:, 1], np.tile([1, -1], 6))
    layer.weight.assign(answering.astype(np.float32))
    found = style_factors(generator, _cloud(), 2, (2, 3))
    np.testing.assert_allclose(np.abs(found.vectors @ AXES[:, :2]), np.eye(2), atol=1e-4)
    np.testing.assert_allclose(found.deviations, [3, 2], rtol=0.05)
    assert found.layers.tolist() == [[2, 3]] * 2
    layer.weight.assign((answering * np.geomspace(1, 1000, 12)).astype(np.float32))  # The length of a style's weights
    scaled = style_factors(generator, _cloud(), 2, (2, 3))  # does not count.
    np.testing.assert_allclose(scaled.vectors, found.vectors, atol=1e-4)
    with pytest.raises(UserError, match="traditional"):
        style_factors(tiny.generator(**tiny.ROWS["b"])[0], _cloud(), 2, (0, 1))


def test_the_normal_of_an_attribute_points_to_where_it_is():
    w = _cloud()
    has, wears = w @ AXES[:, 1] - 10 * AXES[:, 1].sum(), -(w @ AXES[:, 2]) + 10 * AXES[:, 2].sum()
    found = attribute_normals(("has", "wears"), w, np.stack([has, wears], axis=1), w, (0, 4))
    np.testing.assert_allclose(found.vectors @ AXES[:, 1:3], [[1, 0], [0, -1]], atol=0.05)
    np.testing.assert_allclose(found.deviations, [2, 1], rtol=0.05)


def test_an_amount_is_a_deviation_of_the_attributes_own_score():
    """Also where the normal of the regularised SVM leans to the axes along which w varies most."""
    w = _cloud()
    truth = AXES[:, 1] + 3 * AXES[:, 4]
    score, notes = (w - 10) @ truth, []
    labels = np.where(score > 0, 1.0, -1.0)
    found = attribute_normals(("has",), w, labels[:, None], w, (0, 4), notes.append)
    assert found.deviations[0] * found.vectors[0] @ truth == pytest.approx(score.std(), rel=0.05)
    assert notes == [f"has: {(labels > 0).mean():.0%} of 4000 images, plain SVM"]
    rare = np.where(score > np.quantile(score, 0.9), 1.0, -1.0)
    attribute_normals(("has",), w, rare[:, None], w, (0, 4), notes.append)
    assert notes[1] == "has: 10% of 4000 images, balanced SVM"


@pytest.mark.parametrize("threshold", [3.3, 100.0])  # In some 5 % of the images; in none, but they tend to it.
def test_a_rare_attribute_is_found_among_all_images_that_lack_it(threshold):
    w = _cloud()
    towards = (w - 10) @ (AXES[:, 1] + 0.5 * AXES[:, 3])
    # What lacks it most surely does so for a reason of its own, which is no part of the direction.
    scores = np.where(towards > 3.3, towards, -np.abs((w - 10) @ AXES[:, 0]) - 1) - (threshold - 3.3)
    assert (scores > 0).mean() < 0.1
    (vector,) = attribute_normals(("has",), w, scores[:, None], w, (0, 4)).vectors
    assert vector @ AXES[:, 1] > 0.9 and abs(vector @ AXES[:, 0]) < 0.15


def test_labels_that_are_not_known_do_not_count():
    w = _cloud(400)
    truth = np.sign(w @ AXES[:, 0] - 10 * AXES[:, 0].sum())
    scores = np.where(np.arange(400) % 4 == 0, np.nan, truth)[:, None]
    found = attribute_normals(("has",), np.where(np.isnan(scores), 1e6, w), scores, w, (0, 4))
    assert found.vectors[0] @ AXES[:, 0] > 0.95
    with pytest.raises(UserError, match="'has'.*all of the 400 labelled images"):
        attribute_normals(("has",), w, np.ones([400, 1]), w, (0, 4))


def test_a_move_adds_deviations_to_its_layers():
    directions = Directions.from_vectors(["a", "b"], [[3, 4], [0, 2]], np.array([[0, 0], [6, 8]]), (1, 3))
    np.testing.assert_allclose(directions.deviations, [5, 4])
    offset = directions.offset({"a": 2, "b": -1}, 4)
    np.testing.assert_allclose(offset, [[0, 0], [6, 4], [6, 4], [0, 0]], rtol=1e-6)
    with pytest.raises(UserError, match="no direction 'c'; the file has: a, b"):
        directions.offset({"c": 1}, 4)


def test_files_keep_directions_and_fit_one_network(tmp_path):
    directions = principal_components(_cloud(), 2, (0, 4)) + Directions.from_vectors(["x"], AXES[:1], _cloud(), (1, 3))
    path = tmp_path / "new" / "directions.npz"
    save_directions(path, directions, {"seed": 0})
    loaded = load_directions(path, 4, 7)
    assert loaded.names == ("pca1", "pca2", "x") and loaded.layers.tolist() == [[0, 4], [0, 4], [1, 3]]
    np.testing.assert_array_equal(loaded.vectors, directions.vectors)
    np.testing.assert_array_equal(loaded.deviations, directions.deviations)
    with pytest.raises(UserError, match=r"this network takes finite numbers \[3, 8\]"):
        load_directions(path, 4, 8)
    with pytest.raises(UserError, match="for 4 layers, this network has 2"):
        load_directions(path, 2, 7)
    np.savez(tmp_path / "other.npz", dlatents=np.zeros(3))
    with pytest.raises(UserError, match="not a file of stylegan_tf.directions"):
        load_directions(tmp_path / "other.npz", 4, 7)


def test_moves_are_read_and_of_one_name_added():
    assert parse_moves("glasses=2, pca3=-1.5,glasses=1") == {"glasses": 3.0, "pca3": -1.5}
    assert parse_moves("Hair=long=1") == {"Hair=long": 1.0}
    for wrong in ("glasses", "glasses=", "=2", "glasses=two", "glasses=nan"):
        with pytest.raises(UserError, match="`move` takes names and amounts"):
            parse_moves(wrong)


@pytest.mark.parametrize("method, named", [(",", ","), ("pca,svm", "svm")])
def test_other_methods_are_refused(method, named):
    with pytest.raises(UserError, match=f"method takes pca, sefa, attributes; got '{named}'"):
        DirectionOptions(method=method)


def test_tables_of_labels_are_read(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("seed, glasses, hat\n7,1,0\n\n9,,1\n")
    kind, numbers, names, scores = read_label_table(path)
    assert kind == "seed" and numbers.tolist() == [7, 9] and names == ("glasses", "hat")
    np.testing.assert_array_equal(scores, [[1, -1], [np.nan, 1]])
    for text, message in (
        ("seed\n1\n", "first line"),
        ("seed,hat\n", "first line"),
        ("", "labels.csv is not a readable table"),
        ("name,hat\n1,1\n", "first line"),
        ("seed,hat\n1,2\n", "row 2"),
        ("seed,hat\n1,1\n2\n", "row 3"),
        (f"seed,hat\n{2**32},1\n", "row 2: 4294967296 is too large, they end at 4294967295"),
        (f"seed,hat\n{'9' * 5000},1\n", "row 2: 9+ ... 9+ is too large"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            read_label_table(path)
    with pytest.raises(UserError, match="cannot read .*none.csv: No such file or directory: "):
        read_label_table(tmp_path / "none.csv")
