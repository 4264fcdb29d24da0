"""python -m stylegan_tf.convert_checkpoint as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags

from stylegan_tf.config.errors import UserError
from tests.helpers import authors_layout as authors
from tests.helpers.authors_pickles import pickled

TOOLS = Path(__file__).resolve().parents[3] / "tools"


@pytest.fixture(scope="module")
def tool():
    from stylegan_tf import convert_checkpoint

    return convert_checkpoint


@pytest.fixture
def convert(tool, tmp_path, monkeypatch):
    """Runs the tool's main with these flags in a folder with `network.pkl`."""
    monkeypatch.chdir(tmp_path)
    networks = authors.style_generator("G"), authors.discriminator(), authors.style_generator("Gs", 3)
    (tmp_path / "network.pkl").write_bytes(pickled(networks))
    names = ("source", "dest", "to", "overwrite")

    def restore():
        for name in names:
            flags.FLAGS[name].unparse()

    def run(*arguments):
        restore()
        flags.FLAGS(["convert_checkpoint", *arguments])
        tool.main()

    yield run
    restore()


def test_both_directions_print_what_they_wrote(convert, tmp_path, capsys):
    convert("--source=network.pkl", "--dest=new/ours.npz")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{Path('new/ours.npz')}: written and compared with network.pkl"
    assert lines[1].startswith("  generator (G): 16x16x3, ") and lines[1].endswith(" parameters")
    assert lines[2] == "  discriminator (D): 16x16x3, 2,067 parameters"  # 64+148+222+2*330+384+582+7
    assert "CC BY-NC 4.0" in lines[-1] and len(lines) == 5
    convert("--source=new/ours.npz", "--dest=.", "--to=authors")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ours-authors.npz: written and compared with") and "CC BY-NC 4.0" in lines[-2]
    assert lines[-1].endswith("no place for it: converted_from, licence.")
    with np.load(tmp_path / "ours-authors.npz", allow_pickle=False) as data:
        assert {"G/dlatent_avg", "D/4x4/Dense1/bias", "Gs/G_synthesis/noise5", "config"} <= set(data.files)


def test_what_is_there_is_kept_unless_overwriting_is_asked_for(convert, tmp_path):
    (tmp_path / "ours.npz").write_text("precious")
    with pytest.raises(UserError, match="ours.npz already exists.*`overwrite`"):
        convert("--source=network.pkl", "--dest=ours.npz")
    with pytest.raises(UserError, match="no file"):
        convert("--source=missing.pkl", "--dest=ours.npz", "--overwrite")
    assert (tmp_path / "ours.npz").read_text() == "precious"
    convert("--source=network.pkl", "--dest=ours.npz", "--overwrite")
    assert (tmp_path / "ours.npz").stat().st_size > 1000


def test_a_generator_goes_to_pytorch_and_back(convert, tmp_path, capsys):
    pytest.importorskip("safetensors")
    convert("--source=network.pkl", "--dest=ours.npz")
    convert("--source=ours.npz", "--dest=./", "--to=genforce")
    convert("--source=ours.safetensors", "--dest=back.npz")
    out = capsys.readouterr().out
    assert "back.npz: written and compared with ours.safetensors" in out and out.count("CC BY-NC 4.0") == 3
    with np.load(tmp_path / "ours.npz") as ours, np.load(tmp_path / "back.npz") as back:
        names = [name for name in ours.files if name.startswith("generator_ema/")]
        assert set(back.files) == {*names, "architecture"}
        assert all(np.array_equal(ours[name], back[name]) for name in names)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--dest=x.npz"], "--source is missing: give the authors' .pkl"),
        (["--source=network.pkl"], "--dest is missing: give the file to write"),
        (["--source=network.pkl", "--dest=x.pkl"], "`dest` should end in .npz or be a folder"),
        (["--source=x.npz", "--dest=y.npz", "--to=genforce"], "`dest` should end in .safetensors or be"),
        (["--source=x.npz", "--dest=y.npz"], "x.npz is not a pickle of the authors; `to=authors`"),
        (["--source=x.npz", "--dest=y.npz", "--to=authors"], "x.npz does not exist"),
    ],
)
def test_wrong_flags_are_reported(convert, arguments, message):
    with pytest.raises(UserError, match=message):
        convert(*arguments)


@pytest.mark.end_to_end
def test_converted_seeds_are_generated_as_numpy_draws_them(tmp_path):
    """Converter and `generate` as commands; the image of seed 5 against the network on RandomState(5)'s latent."""
    (tmp_path / "network.pkl").write_bytes(pickled(authors.style_generator("Gs")))
    environment = {**os.environ, "PYTHONPATH": str(TOOLS.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    generate = ["-m", "stylegan_tf.generate", "--network=ours.npz", "--seeds=5", "--outdir=out", "--truncation_psi=0.7"]
    for command in ([str(TOOLS / "convert_checkpoint.py"), "--source=network.pkl", "--dest=ours.npz"], generate):
        subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, check=True, timeout=300)
    from PIL import Image

    from stylegan_tf.networks.network_file import load_networks

    z = np.random.RandomState(5).randn(1, 5).astype(np.float32)
    options = {"truncation_psi": 0.7, "truncation_cutoff": 8, "noise_mode": "const"}
    images = load_networks(tmp_path / "ours.npz").generator_ema(z, **options).numpy()
    expected = np.clip(np.floor(images[0] * 127.5 + 128), 0, 255)
    written = np.asarray(Image.open(tmp_path / "out" / "seed0005.png")).astype(int)
    assert written.std() > 5 and np.abs(written - expected).max() <= 1
