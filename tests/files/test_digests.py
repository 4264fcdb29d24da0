"""Digests of files."""

import hashlib

import pytest

from stylegan_tf.files.arrays import file_sha256


@pytest.mark.parametrize("size", [0, 3, 2**20, 3 * 2**20 + 5])
def test_the_digest_is_that_of_all_bytes(tmp_path, size):
    content = (b"0123456789" * (size // 10 + 1))[:size]
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_the_digest_of_abc_is_the_one_of_the_standard(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    expected = "ba7816bf 8f01cfea 414140de 5dae2223 b00361a3 96177a9c b410ff61 f20015ad"  # FIPS 180-2, B.1.
    assert file_sha256(str(tmp_path / "file")) == expected.replace(" ", "")
