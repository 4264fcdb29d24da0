"""python -m stylegan_tf.build_lpips: from PyTorch's files to the distance."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

from stylegan_tf.metrics.features.image_distance import convert_weights, load_lpips
from tests.helpers import lpips_case, torch_files

TOOL = Path(__file__).resolve().parents[3] / "tools" / "build_lpips.py"


def build(*flags):
    return subprocess.run([sys.executable, str(TOOL), *flags], capture_output=True, text=True, timeout=120)


def saved(arrays, write):
    storages = [torch_files.Storage(str(index), value.reshape(-1)) for index, value in enumerate(arrays.values())]
    strides = [tuple(stride // 4 for stride in value.strides) for value in arrays.values()]
    records = [torch_files.tensor(s, v.shape, st) for s, v, st in zip(storages, arrays.values(), strides)]
    return write(dict(zip(arrays, records)), storages)


def test_the_file_of_the_tool_is_the_distance_of_its_sources(tmp_path):
    vgg16, heads = lpips_case.weights(np.random.RandomState(5))
    (tmp_path / "vgg16.pth").write_bytes(
        saved({**vgg16, "classifier.0.bias": np.zeros(3, np.float32)}, torch_files.zip_file)
    )
    with zipfile.ZipFile(tmp_path / "lpips-0.1.4-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lpips/weights/v0.1/vgg.pth", saved(heads, torch_files.legacy_file))
    dest = tmp_path / "folder" / "lpips.npz"
    result = build(
        f"--vgg16={tmp_path}/vgg16.pth", f"--heads={tmp_path}/lpips-0.1.4-py3-none-any.whl", f"--dest={dest}"
    )
    assert result.returncode == 0, result.stderr
    assert f"--image_distance={dest}" in result.stdout
    with np.load(dest, allow_pickle=False) as written:
        for name, value in convert_weights(vgg16, heads).items():
            np.testing.assert_array_equal(written[name], value, err_msg=name)
    assert load_lpips(dest).name == "lpips_vgg16"


def test_missing_and_wrong_files_are_told_in_one_line(tmp_path):
    (tmp_path / "x.whl").write_bytes(b"no zip")
    with zipfile.ZipFile(tmp_path / "y.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("lpips/weights/v0.1/vgg.pth", bytes(1000))
    content = bytearray((tmp_path / "y.whl").read_bytes())
    content[30 + len("lpips/weights/v0.1/vgg.pth")] |= 7  # A block of a kind that there is not.
    (tmp_path / "y.whl").write_bytes(content)
    for flags, message in [
        ([], "--vgg16 is missing"),
        (["--vgg16=a.pth", "--heads=b.pth", "--dest=c.pkl"], "--dest must end in .npz"),
        (
            ["--vgg16=a.pth", f"--heads={tmp_path}/x.whl", "--dest=c.npz"],
            "is not a readable wheel of the lpips package",
        ),
        (
            ["--vgg16=a.pth", f"--heads={tmp_path}/y.whl", "--dest=c.npz"],
            "is not a readable wheel of the lpips package",
        ),
        (
            ["--vgg16=a.pth", "--heads=b.pth", "--dest=c.npz"],
            "b.pth: expected a file of PyTorch weights, found no file",
        ),
    ]:
        result = build(*flags)
        assert result.returncode == 1 and "Traceback" not in result.stderr
        assert result.stderr.splitlines()[-1].startswith("error: ") and message in result.stderr.splitlines()[-1]
