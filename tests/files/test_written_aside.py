"""A file is there as a whole or not at all."""

import pytest

from stylegan_tf.files.written_aside import written_aside


def test_a_file_gets_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "file.txt"
    with written_aside(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"] and path.read_text() == "new"


def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"), written_aside(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"] and path.read_text() == "old"
