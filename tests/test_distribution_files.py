"""The sdist holds what git tracks, and the wheel the package with its data, whichever version they were made from."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import stylegan_tf

ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / ".git").exists():
    pytest.skip("not a checkout", allow_module_level=True)


@pytest.fixture(scope="module")
def tracked():
    """Paths of all files that belong to the project."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name for name in names if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def distributions(tracked, tmp_path_factory):
    """(sdist, wheel): those that .ci/run built, or new ones."""
    folder = os.environ.get("STYLEGAN_TF_DIST")
    if not folder:
        folder, source = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("source")
        for name in tracked:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    (sdist,), (wheel,) = (list(Path(folder).glob(f"stylegan?tf-*{kind}")) for kind in (".tar.gz", ".whl"))
    return sdist, wheel


def test_the_sdist_holds_every_file(distributions, tracked):
    with tarfile.open(distributions[0]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    made = {name for name in held if name.startswith("stylegan_tf.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert held - made == tracked


def test_the_wheel_holds_the_package_its_data_and_its_licences(distributions, tracked):
    with zipfile.ZipFile(distributions[1]) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        about = {name.partition(".dist-info/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        metadata, commands = (archive.read(about[name]).decode() for name in ("METADATA", "entry_points.txt"))
    package = {name for name in tracked if name.startswith("stylegan_tf/")}
    assert held == package | {f"stylegan_tf/{name}" for name in tracked if name.startswith("configs/")}
    assert {"LICENSE", "DEMO_SET_LICENSE.txt"} <= {Path(name).name for name in about}  # In licenses/, or beside it.
    assert re.search(r"^Version: (.+)$", metadata, re.MULTILINE)[1] == stylegan_tf.__version__
    assert commands.split() == ["[console_scripts]", "stylegan-tf", "=", "stylegan_tf.__main__:main"]
