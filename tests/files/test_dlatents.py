"""Files of styles."""

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.dlatents import load_dlatents, save_dlatents

WS = np.arange(24, dtype=np.float32).reshape(3, 2, 4)


@pytest.mark.parametrize("name", ["w.npz", "w.npy", "new/W.NPZ"])
def test_parts_are_written_one_after_the_other_and_read_as_a_whole(tmp_path, name):
    save_dlatents(tmp_path / name, (3, 2, 4), iter([WS[:2], WS[2:]]))
    loaded = np.load(tmp_path / name, allow_pickle=False)
    np.testing.assert_array_equal(loaded if "npy" in name else loaded["dlatents"], WS)
    np.testing.assert_array_equal(load_dlatents(tmp_path / name, 2, 4), WS)


@pytest.mark.parametrize("shape", [(3, 4), (3, 1, 4)])
def test_one_w_an_image_goes_to_every_layer(tmp_path, shape):
    np.save(tmp_path / "w.npy", WS[:, 0].reshape(shape).astype(np.float64))
    loaded = load_dlatents(tmp_path / "w.npy", 2, 4)
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, np.stack([WS[:, 0], WS[:, 0]], axis=1))


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros([3, 2, 5]), r"holds float64 \[3, 2, 5\]; this network takes floats \[N, 2, 4\] or \[N, 4\]"),
        (np.zeros([3, 3, 4]), r"\[3, 3, 4\]"),
        (np.zeros([0, 2, 4]), r"\[0, 2, 4\]"),
        (np.zeros([4]), r"\[4\]"),
        (np.zeros([3, 2, 4], np.int32), "int32"),
        (np.full([3, 2, 4], np.nan), "not finite"),
        (np.full([3, 2, 4], 1e39), "not finite in float32"),
    ],
)
def test_styles_of_another_network_are_refused(tmp_path, array, message):
    np.save(tmp_path / "w.npy", array)
    with pytest.raises(UserError, match=message):
        load_dlatents(tmp_path / "w.npy", 2, 4)


def test_files_that_hold_no_styles_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "other.npz", z=WS, y=WS)
    (tmp_path / "damaged.npz").write_bytes(b"PK\3\4 and so on")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name, message in {
        "other.npz": "no entry 'dlatents', it holds: z, y",
        "damaged.npz": "not a readable file of dlatents",
        "objects.npy": "not a readable file of dlatents",
        "absent.npz": "does not exist",
    }.items():
        with pytest.raises(UserError, match=f"{name}.*{message}"):
            load_dlatents(tmp_path / name, 2, 4)
    with pytest.raises(UserError, match="must end in .npz or .npy"):
        save_dlatents(tmp_path / "w.txt", (3, 2, 4), [WS])


def test_as_many_rows_as_layers_are_one_image_and_the_other_reading_is_noted(tmp_path):
    rows = np.random.RandomState(0).randn(4, 8).astype(np.float32)
    np.savez(tmp_path / "w.npz", dlatents=rows)
    notes = []
    np.testing.assert_array_equal(load_dlatents(tmp_path / "w.npz", 4, 8, notes.append), rows[None])
    assert "taken as the 4 layers of one image; for w of 4 images save it as [4, 1, 8]" in notes[0]
    assert load_dlatents(tmp_path / "w.npz", 6, 8, notes.append).shape == (4, 6, 8) and len(notes) == 1
