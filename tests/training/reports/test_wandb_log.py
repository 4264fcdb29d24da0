"""W&B gets what TensorBoard gets, here in its offline mode."""

import sys

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.training.reports.log_backends import WandbLog


def test_scalars_grids_and_options_are_in_the_offline_run_which_a_resumed_run_continues(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    ids = []
    for images_seen in (1000, 2000):
        log = WandbLog(tmp_path, {"r1_gamma": "0.123456"})
        log.tick({"images_seen": images_seen, "kimg": images_seen / 1000, "d_loss": 0.5})
        log.scalars({"metrics/fid5k": 12.5}, images_seen)
        log.image("fakes", np.zeros([8, 8, 1], np.uint8), images_seen)
        ids.append(wandb.run.id)
        log.close()
    assert ids[0] == ids[1] == (tmp_path / "wandb_id").read_text()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
    for words in (b"d_loss", b"metrics/fid5k", b"r1_gamma", b"0.123456", b"fakes"):
        assert words in stored
    assert list(tmp_path.glob("wandb/offline-run-*/files/media/images/fakes_*.png"))


def test_without_the_package_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match="pip install"):
        WandbLog(tmp_path, {})
