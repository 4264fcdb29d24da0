"""Nearest images against brute force, memory, the intervals, and what the command writes."""

import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest, mannwhitneyu

from stylegan_tf.config import WriteOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.metrics import nearest
from tests.helpers.array_source import ArraySource


def test_the_nearest_rows_are_those_of_brute_force():
    random = np.random.RandomState(0)
    rows, queries = random.randn(57, 6).astype(np.float32), random.randn(13, 6).astype(np.float32)
    rows[30] = rows[10]  # Of equals the first counts.
    distances, numbers = nearest.nearest_rows(queries, np.split(rows, [20, 21, 50]), 4)
    brute = np.linalg.norm(queries[:, None].astype(np.float64) - rows[None], axis=-1)
    order = np.argsort(brute, axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(numbers, order)
    np.testing.assert_allclose(distances, np.take_along_axis(brute, order, axis=1), rtol=1e-6)
    distances, numbers = nearest.nearest_rows(rows, [rows], 60, np.arange(57))
    assert (numbers[:, :56] != np.arange(57)[:, None]).all() and (numbers[:, 56:] == -1).all()
    assert numbers[10, 0] == 30 and distances[10, 0] < 1e-6


def test_memory_is_bounded_by_blocks():
    queries = np.zeros([50_000, 4], np.float32)
    blocks = (np.ones([64, 4], np.float32) for _ in range(20))
    tracemalloc.start()
    nearest.nearest_rows(queries, blocks, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6


def test_the_share_against_held_out_images_has_a_binomial_interval():
    training, held_out = np.array([1.0] * 70 + [3.0] * 30), np.full([100], 2.0)
    found = nearest.against_held_out(training, held_out, (900, 300))
    expected = binomtest(70, 100).proportion_ci(0.95, "exact")
    assert (found.share, found.expected) == (0.7, 0.75)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert "70.0% of 100 images (95 % interval 60.0% to 78.8%)" in found.sentence
    assert "75.0% are expected" in found.sentence and found.sentence.endswith("no evidence of memorisation.")
    assert "repeats training images" in nearest.against_held_out(training, held_out, (300, 900)).sentence


def test_the_share_against_reals_is_mann_and_whitneys():
    random = np.random.RandomState(0)
    generated, reals = random.randint(0, 30, 80) / 7, random.randint(0, 30, 300) / 7
    found = nearest.against_reals(generated, reals)
    assert found.share == pytest.approx(1 - mannwhitneyu(generated, reals).statistic / (80 * 300))
    assert found.low < 0.5 < found.high and "no evidence" in found.sentence
    copies = nearest.against_reals(generated / 10, reals)
    assert copies.low > 0.5 and "evidence that it repeats" in copies.sentence


REALS = np.random.RandomState(0).randint(0, 256, [30, 8, 8, 3]).astype(np.uint8)


def test_vectors_of_pixels_are_at_root_mean_square_distance_and_shrunk():
    vectors = nearest.ImageVectors("pixels", "", 4)
    a, b = (vectors(images).astype(np.float64) for images in (REALS[:5], REALS[5:10]))
    small = [images.reshape(5, 4, 2, 4, 2, 3).mean(axis=(2, 4)) for images in (REALS[:5], REALS[5:10])]
    expected = np.sqrt(((small[0] - small[1]) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(np.linalg.norm(a - b, axis=1), expected, rtol=1e-5)


def test_a_picture_that_cannot_be_written_is_told_before_the_search():
    with pytest.raises(UserError, match="n.pdf: the name of a picture must end in .png"):
        nearest.report_nearest("nowhere", [], "nowhere", None, "n.pdf")


@pytest.mark.end_to_end
def test_copies_of_training_images_are_found_and_told(tmp_path):
    write_tfrecords(ArraySource(REALS), tmp_path / "set", WriteOptions(1, shuffle=False))
    (tmp_path / "copies").mkdir()
    for row, number in enumerate(range(0, 20)):
        Image.fromarray(REALS[number]).save(tmp_path / "copies" / f"{row:02d}.png")
    command = [sys.executable, "-m", "stylegan_tf.nearest", "--images=copies", "--data_dir=set", "--compare_size=16"]
    command += ["--output=n.png", "--table=n.json", "--neighbours=3", "--rows=2", "--image_distance=pixels"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["n.json", "n.png"]
    assert "100.0% of pairs" in done.stdout and "evidence that it repeats" in done.stdout
    table = json.loads((tmp_path / "n.json").read_text())
    assert [row["records"][0] for row in table["images"]] == list(range(20))
    assert all(row["distances"][0] < 1e-4 and len(row["distances"]) == 3 for row in table["images"])
    with Image.open(tmp_path / "n.png") as picture:
        assert picture.width > 4 * 128 and 2 * 128 < picture.height < 3 * 128
