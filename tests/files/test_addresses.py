"""An address is never taken for the name of a local folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.addresses import scheme_of
from stylegan_tf.files.atomic_write import atomic_write, make_folder


@pytest.mark.parametrize(
    "path, scheme",
    [
        ("gs://bucket/run", "gs"),
        (Path("s3://bucket/run"), "s3"),
        ("HTTPS://host/x.npz", "https"),
        ("./gs:/bucket", None),
        ("C:/runs", None),
        ("runs/x:/y", None),
        ("8:128", None),
    ],
)
def test_an_address_begins_with_a_scheme(path, scheme):
    assert scheme_of(path) == scheme


def test_nothing_is_written_to_a_folder_that_is_called_like_a_scheme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="local path"):
        make_folder(Path("ftp://host/folder"))
    with pytest.raises(UserError, match="local path"), atomic_write("ftp://host/file"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        "train --data_dir data --run_dir=gopher://host/run",
        "generate --network=gopher://host/network.npz --outdir out",
        "evaluate --network demo,gopher://host/b.npz",
        "export --network demo --saved_model_dir=gopher://host/models",
        "create_tfrecords --source demo --dest=gopher://host/set",
        "interpolate --network demo --output=s3://gopher://host/walk.webp",
    ],
)
def test_a_command_refuses_a_scheme_that_is_not_supported_in_one_line(tmp_path, arguments):
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", f"stylegan_tf.{arguments.split()[0]}", *arguments.split()[1:]]
    result = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and "gopher://host/" in result.stderr and "--" in result.stderr
    assert list(tmp_path.iterdir()) == []
