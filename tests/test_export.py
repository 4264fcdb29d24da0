"""The export command; `serving/test_served` exports and serves with it."""

import os

import pytest
import tiny_networks
from absl import flags

from stylegan_tf import export
from stylegan_tf.errors import UserError
from stylegan_tf.networks.network_file import Networks, save_networks


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("network", "saved_model_dir", "noise_mode", "truncation_cutoff", "weights", "constants", "crop")

    def restore():
        for name in names:
            flags.FLAGS[name].unparse()

    def call(*arguments):
        restore()
        flags.FLAGS(["export", *arguments])
        export.main()

    yield call
    restore()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--saved_model_dir=out"], "--network is missing: give a network file or a run folder"),
        (["--network=net.npz"], "--saved_model_dir is missing: give a folder for the versions"),
        (["--network=none.npz", "--saved_model_dir=out"], "none.npz does not exist"),
        (
            ["--network=net.npz", "--saved_model_dir=out", "--truncation_cutoff=-1"],
            "truncation_cutoff must be at least 0",
        ),
        (["--network=box.npz", "--saved_model_dir=out"], r"the content box \[0.5, 0, 0.5, 1\] is empty.*--nocrop"),
    ],
)
def test_what_cannot_be_exported_is_told_and_leaves_nothing(run, tmp_path, arguments, message):
    generator, _ = tiny_networks.generator()
    save_networks(tmp_path / "net.npz", Networks(None, None, generator, {}))
    save_networks(tmp_path / "box.npz", Networks(None, None, generator, {"content_box": [0.5, 0, 0.5, 1]}))
    with pytest.raises(UserError, match=message):
        run(*arguments)
    assert not any(name.isdecimal() for _, folders, _ in os.walk(tmp_path) for name in folders)
