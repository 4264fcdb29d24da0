"""What is plotted of a run folder."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config.errors import UserError
from stylegan_tf.visualize.training_plots import read_panels, resolution_spans, save_training_plots


def _write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def run_dir(tmp_path):
    common = {"images_seen": 0, "lod": 0.0, "alpha": 1.0, "sec_per_kimg": 2.0, "memory_gib": 1.0}
    records = [
        {"kimg": kimg, "resolution": resolution, "d_loss": loss, "g_loss": 0.25, "skipped_steps": 3.0, **common}
        for kimg, resolution, loss in ((4, 8, 0.5), (8, 8, 0.6), (12, 16, None), (16, 16, 0.8))
    ]
    _write(tmp_path / "stats.jsonl", *records)
    with open(tmp_path / "stats.jsonl", "a") as stream:
        stream.write('{"kimg": 20, "resol')  # Being written.
    _write(tmp_path / "metric-fid50k.jsonl", *({"kimg": k, "results": {"fid": 100 - k}} for k in (16, 4)))
    pr = {"kimg": 4, "results": {"precision": 0.5, "recall": None}}
    _write(tmp_path / "metric-pr50k.jsonl", pr, {"kimg": None, "results": {"precision": 0.1, "recall": 0.2}})
    return tmp_path


def test_panels_hold_the_numbers_of_the_run(run_dir):
    panels = {panel.title: panel.curves for panel in read_panels(run_dir)[0]}
    assert panels == {
        "Loss": {"discriminator": ([4, 8, 16], [0.5, 0.6, 0.8]), "generator": ([4, 8, 12, 16], [0.25] * 4)},
        "Seconds per thousand images": {"": ([4, 8, 12, 16], [2.0] * 4)},
        "Skipped steps": {"": ([4, 8, 12, 16], [3.0] * 4)},
        "fid50k": {"": ([4, 16], [96, 84])},
        "pr50k": {"precision": ([4], [0.5])},
    }


@pytest.mark.parametrize("number", [True, 1e308, 10**400])
def test_records_whose_numbers_are_none_are_left_out(run_dir, number):
    expected = read_panels(run_dir)
    wrong = {"kimg": number, "resolution": 16, "d_loss": 1.0, "results": [number]}
    for name in ("stats.jsonl", "metric-fid50k.jsonl"):
        with open(run_dir / name, "a") as stream:
            stream.write("\n" + json.dumps(wrong) + "\n" + json.dumps({"kimg": 18, "results": {"fid": number}}) + "\n")
    assert read_panels(run_dir) == expected
    _write(run_dir / "stats.jsonl", {"kimg": 18, "resolution": 16, "d_loss": number})
    assert [panel.title for panel in read_panels(run_dir)[0]] == ["fid50k", "pr50k"]


def test_resolutions_follow_each_other(run_dir):
    assert resolution_spans(read_panels(run_dir)[1]) == [(0.0, 8, "8x8"), (8, 16, "16x16")]


def test_the_picture_has_ink_in_every_panel(run_dir, tmp_path):
    save_training_plots(run_dir, tmp_path / "new" / "curves.png")
    with Image.open(tmp_path / "new" / "curves.png") as picture:
        assert picture.size == (1000, 780)  # Five panels: three rows.
        ink = np.asarray(picture.convert("L")) < 120
    assert ink[:260, :500].any() and ink[520:, :500].any() and not ink[600:, 520:].any()


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no stats.jsonl with records"):
        save_training_plots(tmp_path, tmp_path / "curves.png")


def test_a_missing_matplotlib_is_named(run_dir, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("matplotlib")] + ["matplotlib"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=r"matplotlib: pip install 'stylegan-tf\[plots\]'"):
        save_training_plots(run_dir, run_dir / "curves.png")


@pytest.mark.end_to_end
def test_the_command_writes_into_the_run_folder(run_dir):
    command = [sys.executable, "-m", "stylegan_tf.training_curves", "--run_dir", str(run_dir)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{run_dir}/curves.png\n"), done.stderr
    assert Image.open(run_dir / "curves.png").format == "PNG"
