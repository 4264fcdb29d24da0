"""Every command line of README and docs is executed as it stands, page by page, each page in a fresh folder.

The table `SHORTER` replaces what would take long, `NOT_HERE` names what cannot run in a test, and why. Files that a
reader has (photos, arrays, downloads) are written by `tests/helpers/users_files.py`. `pytest -rP` shows the seconds.
"""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers import users_files
from tests.helpers.command_runner import CommandRunner

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
if not PAGES[0].is_file() or not (ROOT / "docs").is_dir():
    pytest.skip("the documentation is not beside the tests", allow_module_level=True)

NARROW = "--fmap_base=64 --fmap_max=8 --total_kimg=0.064 --tick_kimg=0.032 --network_ticks=1 --precision=float32"
SHORTER = {
    "--swap 16": "--swap 8",  # The networks brought by readers are small.
    # Training: narrow networks, 64 images of 32x32 pixels, no growing.
    r"(train --flagfile configs/small_data\.cfg)": r"\1 --total_kimg=0.032 --precision=float32",
    r"(train --flagfile configs/(?!small_data)\w+\.cfg)": rf"\1 {NARROW} --resolution=32 --start_resolution=32",
    r"--metric_ticks 10": "--metric_ticks 1",
    r"--total_images \d+": "--total_images 32",
    r"(train_classifier .*--all)": r"\1 --total_images 32 --fmap_base 64 --fmap_max 8",
    r"(create_tfrecords\S* --source demo)": r"\1 --max_images 192",
    r"(--source celeba/.*)$": r"\1 --resolution 8",  # That of the network runs/faces.
    # Figures, animations, searches.
    r"--seeds 0-(199|999|31)\b": "--seeds 0-3",
    r"--seconds 5 --fps 16": "--seconds 1 --fps 2",
    r"(project .*)$": r"\1 --steps 2 --starts 2",
    r"--samples 12000": "--samples 48",
    r"--method pca,sefa": "--method pca,sefa --samples 64",
    # Metrics: few images, and features that come with pip, as TensorFlow Hub cannot be reached.
    r"\b(fid|kid|pr|is|ppl)(\d+k?)?(?=_|,| |$)": r"\g<1>32",
    r"(--metrics ls)(10k)?\b": r"\g<1>1100",  # Eight times the width of the latents, and some.
    r"(--metrics (fid|pr)(?!.*--feature_extractor).*)$": r"\1 --feature_extractor efficientnet_lite0",
    r"--images 2048": "--images 96",
    # Benchmarks: one size, one form.
    r"(stylegan-tf benchmark .*?)( +#.*)?$": r"\1 --runs=1 --rounds=1 --noceiling --form=fused --precision=float32 "
    "--parts=iteration --fmap_base=64 --fmap_max=8 --batch_size=4 --resolution=8",
}
NOT_HERE = {
    r"^docker |^tensorflow_model_server|serving_client|^curl ": "needs TensorFlow Serving",
    r"^npm |--ort_dir|--format=web": "needs ONNX Runtime's files from npm; tests/serving/formats/test_web.py runs it",
    r"^python3 -m venv |^pip |build_lpips": "installs or downloads",
    r"-m pytest": "the tests themselves",
    r"s3://": "needs a bucket; tests/training/run tries one",
    r"TF_CONFIG=": "needs several machines; tests/distribution tries several processes",
    r"^hf ": "needs an account",
    r"^python -m http.server": "a web server",
}
UNTIL = {"stylegan-tf explore": "http://"}  # Commands that run until they are stopped -> what they print when ready.
CODE_NOT_HERE = r"grpc|coremltools|mlflow|SM_HOSTS|detector\(|my_latents|load_state_dict"


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def steps(text):
    """(language, command line or code block) of a page, in order."""
    for language, block in re.findall(r"^```(bash|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language == "python" or block.startswith("#!"):
            yield language, block
            continue
        for line in block.replace("\\\n", " ").splitlines():
            if line and not line.startswith("#"):
                yield language, line


def shorter(line):
    for pattern, replacement in SHORTER.items():
        line = re.sub(pattern, replacement, line)
    return line


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    with CommandRunner(tmp_path_factory.mktemp("runner")) as runner:
        yield runner


@pytest.fixture(scope="module")
def demo(runner, tmp_path_factory):
    """What Getting started leaves: datasets/demo and runs/demo, in the short form."""
    folder = tmp_path_factory.mktemp("getting_started")
    page = (ROOT / "docs" / "getting_started.md").read_text(encoding="utf-8")
    for line in re.findall("^stylegan-tf (?:.* --dest datasets/demo|train --flagfile configs/demo.cfg)$", page, re.M):
        code, output = runner.run(shorter(line), folder)
        assert code == 0, output
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_says_can_be_pasted(page, runner, tmp_path, request):
    text = page.read_text(encoding="utf-8")
    for name in users_files.brought_by_readers(text):
        users_files.bring(name, tmp_path)
    for name in ("configs", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)
    if "--dest datasets/demo" not in text and re.search("(runs|datasets)/demo", text):
        shutil.copytree(request.getfixturevalue("demo"), tmp_path, dirs_exist_ok=True)
    failed = []
    for language, step in steps(text):
        if step.startswith("#!"):
            assert subprocess.run(["bash", "-n"], input=step, text=True).returncode == 0
            continue
        started = time.monotonic()
        if language == "python":
            if page.name == "as_a_library.md" or re.search(CODE_NOT_HERE, step):
                continue  # The first has a test of its own.
            code, output = runner.call(["python", "-c", step], tmp_path)
        else:
            line = step.replace("python3 -m venv .venv && .venv/bin/pip install -q -e . && ", "")
            line = line.replace(".venv/bin/python", "python")
            reasons = [reason for pattern, reason in NOT_HERE.items() if re.search(pattern, line)]
            if reasons:
                print(f"not here ({reasons[0]}): {step}")
                continue
            until = next((words for command, words in UNTIL.items() if line.startswith(command)), None)
            code, output = runner.run(shorter(line), tmp_path, until)
        print(f"{time.monotonic() - started:6.1f} s  {step}")
        if code:
            failed.append(f"{step}\nexit code {code}: {output[-1500:]}")
    assert not failed, "\n\n".join(failed)
