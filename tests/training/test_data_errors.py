"""Data that vanish, are cut or are replaced during a run: one line, and nothing lost."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.data.dataset_files import find_dataset, translate_data_errors
from stylegan_tf.data.pipeline import training_dataset
from stylegan_tf.training.reports.reporting import RunReport
from stylegan_tf.training.run.loop import train
from tests.helpers.tiny_run import tiny_config, write_images

SHARD = "tiny-r02-00001-of-00002.tfrecords"  # 16 of the 32 images at 4x4.


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("original") / "tiny", resolution=8)


@pytest.fixture
def data_dir(original, tmp_path):
    return shutil.copytree(original, tmp_path / "tiny")


def vanish(path):
    path.unlink()


def cut_within_a_record(path):
    path.write_bytes(path.read_bytes()[:-10])


def cut_between_records(path):
    """TensorFlow's reader takes it for a file of fewer records."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def replace_by_another_level(path):
    shutil.copy(path.with_name(SHARD.replace("r02", "r03")), path)


def become_a_folder(path):
    path.unlink()
    path.mkdir()


CHANGES = [
    (vanish, "cannot be read any more .No such file or directory.: put it back"),
    (cut_within_a_record, "is cut off at record 15"),
    (cut_between_records, "holds 8 records now, it held 16 when the run started"),
    (replace_by_another_level, r"record 0 of .* is damaged \(its shape is"),
    (become_a_folder, "cannot be read any more .Is a directory."),
]


@pytest.mark.parametrize("change, message", CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_a_shard_that_changes_after_it_was_looked_at_is_named(data_dir, change, message):
    info = find_dataset(data_dir)
    batches = iter(training_dataset(info, 4, batch_size=8, shuffle_images=1))
    change(data_dir / SHARD)
    with pytest.raises(UserError, match=message) as error, translate_data_errors(info, 4):
        for _ in range(50):
            next(batches)
    assert SHARD in str(error.value) and "\n" not in str(error.value)


def test_an_error_that_is_not_about_the_data_stays_what_it_is(data_dir):
    with pytest.raises(tf.errors.InvalidArgumentError), translate_data_errors(find_dataset(data_dir), 4):
        tf.debugging.assert_equal(1, 2)


def test_a_run_saves_what_it_has_and_resumes_when_the_data_are_back(data_dir, tmp_path, monkeypatch):
    """The run equals one that saw no error. It is longer than what the pipeline reads ahead."""
    options = {"resolution": 4, "total_kimg": 1.6, "shuffle_images": 1, "keep_checkpoints": 99}
    config = tiny_config(data_dir, tmp_path / "run", {"tick_kimg": {4: 1000}}, **options)
    train(dataclasses.replace(config, run_dir=str(tmp_path / "whole")))
    content = (data_dir / SHARD).read_bytes()
    update = RunReport.update

    def update_and_cut(self, images_seen):
        if images_seen == 24:
            cut_between_records(data_dir / SHARD)
        update(self, images_seen)

    monkeypatch.setattr(RunReport, "update", update_and_cut)
    with pytest.raises(UserError, match=f"{SHARD} holds 8 records now.*The last good checkpoint is .*images-"):
        train(config)
    (saved,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert 24 <= int(saved.stem.split("-")[1]) < 1600
    (data_dir / SHARD).write_bytes(content)
    monkeypatch.setattr(RunReport, "update", update)
    train(config)
    files = [tmp_path / name / "checkpoints" / "images-1600.npz" for name in ("whole", "run")]
    whole, resumed = (dict(np.load(file, allow_pickle=False)) for file in files)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
