"""The reader of PyTorch's files of weights: real files, every format and layout, and what must be refused.

`data/*.pth` were written by PyTorch 2.13 (`torch.save`) from tensors whose values are written out here.
"""

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.files import torch_weights
from stylegan_tf.files.torch_weights import read_torch_weights
from tests.helpers.authors_pickles import Calls, Global
from tests.helpers.refused_bytes import reading
from tests.helpers.torch_files import DICTIONARY, Kept, Storage, legacy_file, tensor, zip_file

DATA = Path(__file__).parent / "data"
SIX = Storage("0", np.arange(6, dtype="<f4"))
TABLE = np.arange(6, dtype=np.float32).reshape(2, 3)
read, refusal = reading(read_torch_weights, "weights.pth")


def both(value, storages):
    return [zip_file(value, storages), legacy_file(value, storages)]


@pytest.mark.parametrize("name", ["torch_zip.pth", "torch_legacy.pth"])
def test_files_of_pytorch_itself_are_read(name):
    found = read_torch_weights(DATA / name)
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    expected = {
        "0.weight": np.float32([[[[0.5]], [[-0.25]]]]),
        "0.bias": np.float32([3]),
        "1.weight": np.float32([1]),
        "1.bias": np.float32([0]),
        "1.running_mean": np.float32([0]),
        "1.running_var": np.float32([1]),
        "1.num_batches_tracked": np.int64(0),
        "transposed": table.T,
        "slice": np.float32([[5, 6], [9, 10]]),
        "every_other_column": table[:, ::2],
        "half": np.float32([0.5, -2, 65504]),
        "bfloat16": np.float32([1, -3.140625, 2**100]),
        "double": np.float32([0.1]),
        "parameter": table,
        "empty": np.zeros([0, 3], np.float32),
        "scalar": np.float32(2.5),
        "expanded": np.ones([4, 3], np.float32),
        "bool": np.array([True, False]),
        "bytes": np.uint8([0, 255]),
    }
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype and found[key].shape == value.shape, key
        np.testing.assert_array_equal(found[key], value, err_msg=key)
        assert found[key].flags.c_contiguous and not found[key].flags.writeable


def test_a_file_of_python_2_is_read(tmp_path):
    """Made of pairs, by the old function without hooks, from a GPU."""
    old = tensor(SIX._replace(kind=Global("torch.cuda", "FloatStorage"), device="cuda:0"), (2, 3), (3, 1), view=(None,))
    pairs = [
        ["a", old],
        [
            "b",
            tensor(
                SIX._replace(kind=Global("torch.cuda", "FloatStorage")),
                (2,),
                (3,),
                1,
                function="_rebuild_tensor",
                rest=(),
            ),
        ],
    ]
    found = read(tmp_path, legacy_file(Calls(DICTIONARY, pairs), [SIX]))
    np.testing.assert_array_equal(found["a"], TABLE)
    np.testing.assert_array_equal(found["b"], [1, 4])


def test_views_follow_offset_and_strides_and_share_a_storage(tmp_path):
    value = {
        "all": tensor(SIX, (2, 3), (3, 1)),
        "transposed": tensor(SIX, (3, 2), (1, 3)),
        "column": tensor(SIX, (2,), (3,), 2),
        "last": tensor(SIX, (), (), 5),
        "repeated": tensor(SIX, (2, 2), (0, 1), 4),
        "nothing": tensor(SIX, (0, 7), (7, 1), 6),
    }
    expected = {
        "all": TABLE,
        "transposed": TABLE.T,
        "column": [2, 5],
        "last": 5,
        "repeated": [[4, 5], [4, 5]],
        "nothing": np.zeros([0, 7]),
    }
    for data in both(value, [SIX]):
        found = read(tmp_path, data)
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)
            assert found[name].shape == np.shape(array)


@pytest.mark.parametrize("dtype", ["<f8", "<f2", "<i8"])
def test_floats_become_float32_and_integers_stay(tmp_path, dtype):
    storage = Storage("7", np.array([1, -2, 300], dtype))
    for data in both({"x": tensor(storage, (3,), (1,))}, [storage]):
        array = read(tmp_path, data)["x"]
        assert array.dtype == (np.int64 if dtype == "<i8" else np.float32) and array.tolist() == [1, -2, 300]


def test_files_of_big_endian_machines_are_read(tmp_path):
    storage = Storage("0", np.array([1, 2.5], ">f4"))
    value = {"x": tensor(storage, (2,), (1,))}
    for data in (zip_file(value, [storage], [("byteorder", b"big")]), legacy_file(value, [storage], False)):
        assert read(tmp_path, data)["x"].tolist() == [1, 2.5] and read(tmp_path, data)["x"].dtype.isnative


def test_parameters_and_attributes_of_the_dictionary_are_taken_for_what_they_are(tmp_path):
    parameter = Calls(Global("torch._utils", "_rebuild_parameter"), tensor(SIX, (6,), (1,)), True, Calls(DICTIONARY))
    assert read(tmp_path, zip_file({"x": parameter}, [SIX]))["x"].tolist() == [0, 1, 2, 3, 4, 5]
    state = Calls(DICTIONARY, state={"_metadata": {"": {"version": 1}}})
    assert "expected a dictionary of tensors" in refusal(tmp_path, zip_file(state, []))


@pytest.mark.parametrize(
    "call",
    [
        Calls(os.system, "touch MARKER"),
        Calls(eval, "open('MARKER', 'w')"),
        Global("torch", "Tensor"),
        Calls(Global("torch._utils", "_rebuild_sparse_tensor"), 1),
        Global("torch.nn.modules.conv", "Conv2d"),
    ],
    ids=["system", "eval", "class", "sparse", "module"],
)
def test_other_names_are_refused_and_nothing_runs(tmp_path, call, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = tensor(SIX, (6,), (1,))
    for value in (call, {"x": call}, {"x": good, "y": Kept(call)}):
        for data in both(value, [SIX]):
            message = refusal(tmp_path, data)
            assert "which no file of PyTorch weights needs" in message and "nothing in it was run" in message
    assert not (tmp_path / "MARKER").exists()


@pytest.mark.parametrize(
    "value, message",
    [
        ({"x": 1}, "'x' is a value of type int, expected a dense tensor"),
        ([1], "expected a dictionary of tensors"),
        ({}, "expected a dictionary of tensors"),
        ({"state_dict": {"x": tensor(SIX, (6,), (1,))}}, "'state_dict' is a value of type dict"),
        ({"x": tensor(SIX, (7,), (1,))}, "beyond its storage"),
        ({"x": tensor(SIX, (2, 3), (3, 1), 1)}, "beyond its storage"),
        ({"x": tensor(SIX, (2,), (2**39,))}, "beyond its storage"),
        ({"x": tensor(SIX, (2,), (-1,), 1)}, "no valid shape"),
        ({"x": tensor(SIX, (2, 3), (1,))}, "no valid shape"),
        ({"x": tensor(SIX, [6], (1,))}, "no valid shape"),
        ({"x": tensor(SIX, (6,), (1,), True)}, "no valid shape"),
        ({"x": tensor(SIX, (2**30,), (0,))}, "much larger than the file"),
        ({"x": tensor(SIX, (2**30, 2**9), (0, 0))}, "much larger than the file"),
        ({"x": tensor(SIX._replace(kind="FloatStorage"), (6,), (1,))}, "unknown kind of storage"),
        ({"x": tensor(SIX, (6,), (1,), rest=(1, 2, 3, 4))}, "expected a dense tensor"),
        ({"x": tensor(SIX, (6,), (1,), view=(("1", 0, 6),))}, "unknown kind of storage"),
        (
            {"x": tensor(SIX, (6,), (1,)), "y": tensor(SIX._replace(kind=Global("torch", "IntStorage")), (6,), (1,))},
            "two types or lengths",
        ),
        ({"x": tensor(SIX._replace(kind=Global("torch", "DoubleStorage")), (6,), (1,))}, "storage of tensor 'x'"),
        ({"x": Kept("storage")}, "expected a dense tensor"),
    ],
)
def test_damaged_records_are_named(tmp_path, value, message):
    for data in both(value, [SIX]):
        assert message in refusal(tmp_path, data).replace("of x ", "of tensor 'x' ")


def test_other_files_are_named(tmp_path):
    good = zip_file({"x": tensor(SIX, (6,), (1,))}, [SIX])
    assert "another kind of file" in refusal(tmp_path, b"")
    assert "another kind of file" in refusal(tmp_path, b"\x80\x02}.")
    assert "version of PyTorch's old format" in refusal(tmp_path, legacy_file({}, [], version=1000))
    compressed = zip_file({"x": tensor(SIX, (6,), (1,))}, [SIX], compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in refusal(tmp_path, compressed)
    assert "TorchScript" in refusal(tmp_path, zip_file({}, [], [("constants.pkl", b"")]))
    assert "without a data.pkl" in refusal(tmp_path, zip_file({}, [], folder="a/b"))
    assert "lacks 'archive/data/0'" in refusal(tmp_path, zip_file({"x": tensor(SIX, (6,), (1,))}, []))
    assert "damaged" in refusal(tmp_path, good[:-30]) and "damaged" in refusal(
        tmp_path, good.replace(b"\x80@", b"\x90@")
    )
    with pytest.raises(UserError, match="found no file"):
        read_torch_weights(tmp_path / "missing.pth")
    with pytest.raises(UserError, match="found a folder"):
        read_torch_weights(tmp_path)


def test_no_cut_of_the_old_format_is_read(tmp_path):
    data = legacy_file({"x": tensor(SIX, (6,), (1,))}, [SIX])
    assert read(tmp_path, data)["x"].size == 6
    for end in range(0, len(data)):
        refusal(tmp_path, data[:end])


def test_storages_of_the_old_format_that_do_not_fit_are_refused(tmp_path):
    other = Storage("1", np.zeros(6, "<f4"))
    value = {"x": tensor(SIX, (6,), (1,))}
    for storages in ([], [SIX, SIX], [SIX, other], [other]):
        assert "the list of storages does not fit" in refusal(tmp_path, legacy_file(value, storages))
    assert "has 5 numbers, expected 6" in refusal(
        tmp_path, legacy_file(value, [SIX._replace(numbers=SIX.numbers[:5])]) + bytes(8)
    )


def test_an_entry_inside_of_another_is_refused(tmp_path):
    """Else a small archive could hold many large storages: each entry's bytes would be the entries after it."""
    inner = Storage("1", np.zeros(500, "<f4"))
    data = inner.numbers.tobytes()
    info = zipfile.ZipInfo(f"archive/data/{inner.key}")
    info.file_size, info.compress_size, info.CRC = len(data), len(data), zlib.crc32(data)
    header = info.FileHeader()
    padding = bytes(-len(header) % 4)
    outer = Storage("0", np.frombuffer(padding + header + data, "<f4"))
    value = {s.key: tensor(s, s.numbers.shape, (1,)) for s in (outer, inner)}
    path = tmp_path / "weights.pth"
    path.write_bytes(zip_file(value, [outer]))
    with zipfile.ZipFile(path, "a") as archive:
        info.header_offset = path.read_bytes().index(header)
        archive.filelist.append(info)
        archive.NameToInfo[info.filename] = info
        archive._didModify = True
    with zipfile.ZipFile(path) as archive:
        assert len(archive.infolist()) == 3
    with pytest.raises(UserError, match="larger than the file|damaged"):
        read_torch_weights(path)


@pytest.mark.parametrize("error", [UnicodeDecodeError("utf-8", b"x", 0, 1, "why"), zlib.error("why")])
@pytest.mark.parametrize("write", [zip_file, legacy_file])
def test_whatever_readers_raise_for_damaged_bytes_is_one_line(tmp_path, monkeypatch, error, write):
    path = tmp_path / "weights.pth"
    path.write_bytes(write({"six": tensor(SIX, (6,), (1,))}, [SIX]))

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torch_weights.Machine, "run", fail)
    with pytest.raises(UserError, match="weights.pth: .*damaged.*why"):
        read_torch_weights(path)
