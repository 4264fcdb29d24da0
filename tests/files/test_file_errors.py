"""One line for whatever is wrong with a file."""

import errno
import lzma
import os
import re
import struct
import tokenize
import zipfile
import zlib

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.file_errors import (
    LONGEST,
    DamagedFile,
    file_line,
    os_error_line,
    parse_json,
    parse_line,
    read_json,
    reading,
    reason_of,
    short,
)


@pytest.mark.parametrize(
    "error",
    [
        EOFError(),
        KeyError("descr"),
        IndexError("list index out of range"),
        AttributeError("'int' has no attribute"),
        TypeError("x" * 10**6),
        OverflowError("too large"),
        RecursionError("maximum recursion depth exceeded"),
        NotImplementedError("That compression method is not supported"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        SyntaxError("bad\ninput"),
        AssertionError(),
        OSError(errno.EIO, "Input/output error"),
        struct.error("unpack requires 4 bytes"),
        tokenize.TokenError("EOF in multi-line statement", (1, 0)),
        lzma.LZMAError("Corrupt input data"),
        zipfile.BadZipFile("Bad magic number"),
        zlib.error("Error -3"),
        ValueError("Cannot load file containing pickled data when allow_pickle=False"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_parser_raises_is_damage_told_in_one_short_line(error):
    with pytest.raises(DamagedFile) as caught, reading("run/x.npz", "network file"):
        raise error
    text = str(caught.value)
    assert text.startswith("run/x.npz is not a readable network file (") and text.endswith("use another.")
    assert "\n" not in text and len(text) <= LONGEST
    assert "pickle" not in text and "()" not in text


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EMFILE])
def test_faults_of_the_machine_are_no_damage(number):
    with pytest.raises(UserError, match=f"cannot read run/x.npz: {os.strerror(number)}: .*") as caught:
        with reading("run/x.npz", "network file"):
            raise OSError(number, os.strerror(number))
    assert not isinstance(caught.value, DamagedFile)


def test_too_little_memory_is_no_damage():
    with pytest.raises(UserError, match="memory") as caught, reading("x", "network file"):
        raise MemoryError
    assert not isinstance(caught.value, DamagedFile)


def test_a_user_error_passes_as_it_is():
    error = UserError("as it is")
    with pytest.raises(UserError) as caught, reading("x", "network file"):
        raise error
    assert caught.value is error


def test_a_long_name_and_a_long_reason_stay_in_one_line():
    line = file_line("a" * 500 + "\n.npz", "is broken", "b\n" * 500, "make it again")
    assert len(line) <= LONGEST and "\n" not in line and line.endswith("): make it again.")
    assert short("a\tb\r\nc\x1b[31m") == "a b c [31m"


@pytest.mark.parametrize(
    "error, line",
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), r"a/b: No space left on device: free some space"),
        (OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"), r"a -> b: Invalid cross-device link: "),
        (OSError(errno.EACCES, "Permission denied", b"a\xff"), r"a.*: Permission denied: grant access"),
        (OSError("encoder error -2"), "encoder error -2: check the file"),
    ],
)
def test_an_os_error_names_files_reason_and_remedy(error, line):
    assert re.match(line, os_error_line(error))


@pytest.mark.parametrize(
    "text, reason",
    [
        ("cannot identify image file <_io.BytesIO object at 0x7f6bb4ba8040>", "cannot identify image file"),
        ("Array can't be memory-mapped.", "Array can't be memory-mapped"),
        ("", "ValueError"),
    ],
)
def test_a_reason_has_no_address_in_memory_and_no_full_stop(text, reason):
    assert reason_of(ValueError(text)) == reason


@pytest.mark.parametrize("text", ["[" * 100000, "NaN", '{"a": Infinity}', "{", "", "\x00"])
def test_json_that_is_none_is_a_value_error_and_no_line(text):
    with pytest.raises(ValueError):
        parse_json(text)
    assert parse_line(text) is None


def test_a_line_is_an_object():
    assert parse_line('{"a": 1}\n') == {"a": 1}
    assert parse_line("[1]\n") is None


def test_a_json_file_is_read_or_named(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b'{"a": "\xc3\xa4"}')
    assert read_json(path, "list") == {"a": "ä"}
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(DamagedFile, match="x.json is not a readable list .*: fix it"):
        read_json(path, "list")
    with pytest.raises(UserError, match="cannot read .*nothing.json: No such file"):
        read_json(tmp_path / "nothing.json", "list")
