"""Checks that commands make before they load TensorFlow."""

import socket
import types

import pytest

from stylegan_tf.cli import flags
from stylegan_tf.config.errors import UserError


@pytest.fixture
def given(monkeypatch):
    """Sets flags: name=value."""

    def define(**values):
        monkeypatch.setattr(flags, "FLAGS", types.SimpleNamespace(**values))

    return define


def test_a_feature_extractor_that_is_not_there_is_reported(given, tmp_path):
    given(feature_extractor=str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="nothing does not exist; without network access give --feature_extractor="):
        flags.require_extractor()
    given(feature_extractor=str(tmp_path))
    flags.require_extractor()


def test_an_address_is_tried_unless_modules_were_downloaded_before(given, tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/module"
        given(feature_extractor=address)
        flags.require_extractor()
    with pytest.raises(UserError, match="/module cannot be reached .*efficientnet_lite0"):
        flags.require_extractor()
    (tmp_path / "module").mkdir()
    flags.require_extractor()


def test_a_package_that_is_missing_is_named_with_its_extra():
    flags.require_packages("plots", "json")
    with pytest.raises(UserError, match=r"needs the package no_such_package: pip install 'stylegan-tf\[plots\]'"):
        flags.require_packages("plots", "json", "no_such_package")
