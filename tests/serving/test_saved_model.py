"""Writing an export: what goes wrong with the disk, and what it says of the network."""

import contextlib
import errno
import json

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.files.working_copy import WorkingCopy
from stylegan_tf.networks.network_file import Networks, save_networks
from stylegan_tf.serving import saved_model
from tests.helpers import tiny_networks


@pytest.mark.parametrize("owner, name", [(tf.saved_model, "save"), (saved_model, "write_warmup_requests")])
def test_a_full_disk_is_told_as_elsewhere_and_leaves_no_version(tmp_path, monkeypatch, owner, name):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "x; No space left on device")

    generator, _ = tiny_networks.generator()
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        saved_model.export_generator(generator, tmp_path / "net")
    assert raised.value.errno == errno.ENOSPC and not list((tmp_path / "net").glob("[0-9]*"))


@pytest.fixture
def no_graphs(monkeypatch):
    monkeypatch.setattr(tf.saved_model, "save", lambda *_, **__: None)


@pytest.mark.parametrize("metadata, centre, count", [({}, "class", 3), ({"converted_from": "theirs.pkl"}, "all", 1)])
def test_a_truncation_centre_left_out_is_what_the_option_says(tmp_path, no_graphs, metadata, centre, count):
    generator, _ = tiny_networks.generator(label_size=3)
    extra = saved_model.export_generator(generator, tmp_path / "net", metadata=metadata) / "assets.extra"
    written = json.loads((extra / "metadata.json").read_text())
    assert written["options"]["truncation_centre"] == centre
    expected = generator.truncation_centre(centre, np.eye(3, dtype=np.float32))
    np.testing.assert_allclose(written["centres"], np.reshape(expected, [count, 7]), atol=1e-6)


def test_an_export_to_a_bucket_has_the_name_of_its_address(tmp_path, no_graphs, monkeypatch):
    monkeypatch.setattr(
        saved_model, "working_copy", lambda *_, **__: contextlib.nullcontext(WorkingCopy(tmp_path / "copy"))
    )
    save_networks(tmp_path / "net.npz", Networks(None, None, tiny_networks.generator()[0], {}))
    (path,) = saved_model.export_network(tmp_path / "net.npz", "saved_model", "s3://bucket/models/mine")
    extra = tmp_path / "copy" / "1" / "assets.extra"
    assert path == "s3://bucket/models/mine/1" and "\n# mine\n" in (extra / "README.md").read_text()
    assert b"mine" in (extra / "tf_serving_warmup_requests").read_bytes()


@pytest.mark.parametrize("crop, ratio", [(True, 1.6), (False, None)])
def test_an_export_of_stretched_pictures_states_their_shape(tmp_path, no_graphs, crop, ratio):
    save_networks(tmp_path / "net.npz", Networks(None, None, tiny_networks.generator()[0], {"aspect_ratio": 1.6}))
    notes = []
    saved_model.export_network(tmp_path / "net.npz", "saved_model", str(tmp_path / "out"), crop=crop, note=notes.append)
    assert any("1.6 times as wide as high" in note for note in notes) == crop
    extra = tmp_path / "out" / "1" / "assets.extra"
    assert json.loads((extra / "metadata.json").read_text())["options"]["aspect_ratio"] == ratio
    assert "1.6 times as wide as high" in (extra / "README.md").read_text()
