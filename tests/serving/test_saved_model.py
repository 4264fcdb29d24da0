"""Writing an export: what goes wrong with the disk."""

import errno

import pytest
import tensorflow as tf

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
