"""`python -m stylegan_tf.evaluate` as a user calls it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import WriteOptions
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.networks.network_file import Networks, file_name, save_networks
from tests.helpers import small_extractor
from tests.helpers import tiny_networks as tiny
from tests.helpers.array_source import ArraySource


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a dataset `data`, a run `run` of two networks, a SavedModel `module`."""
    folder = tmp_path_factory.mktemp("evaluate")
    images = np.random.RandomState(0).randint(0, 256, [40, 8, 8, 3]).astype(np.uint8)
    write_tfrecords(ArraySource(images), folder / "data", WriteOptions(1))
    (folder / "run").mkdir()
    for seed, kimg in enumerate((4.0, 12.0)):
        metadata = {"kimg": kimg, "dataset": "data"}
        networks = Networks(None, None, tiny.generator(seed)[0], metadata)
        save_networks(folder / "run" / file_name(kimg), networks)
    small_extractor.save_module(folder / "module")
    return folder


def evaluate(workplace, *flags):
    command = [sys.executable, "-m", "stylegan_tf.evaluate", "--cache_dir=cache", "--feature_extractor=module", *flags]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, capture_output=True, text=True, cwd=workplace, env=environment, timeout=300)


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.end_to_end
def test_all_networks_of_a_run_are_measured_once(workplace):
    flags = ["--network=run", "--all", "--data_dir=data", "--metrics=fid60,is40", "--batch_size=20"]
    first = evaluate(workplace, *flags)
    assert first.returncode == 0, first.stderr
    lines = [line.split() for line in first.stdout.splitlines()]
    digest = lines[0][1].rpartition("-")[2] if "reals" not in lines[0][1] else lines[0][1].split("-")[2]
    fid, score = f"fid60-module-{digest}-40reals", f"is40-module-{digest}"
    networks = ["network-000004.npz", "network-000012.npz"]
    assert [line[:2] for line in lines] == [[network, name] for network in networks for name in (fid, score)]
    found = records(workplace / "run" / f"metric-{fid}.jsonl")
    assert [(record["network"], record["kimg"], record["dataset"]) for record in found] == [
        ("network-000004.npz", 4.0, "data"),
        ("network-000012.npz", 12.0, "data"),
    ]
    assert [f"{record['results']['fid']:.5g}" for record in found] == [line[3] for line in lines if line[1] == fid]
    assert list((workplace / "run").glob("events.out.tfevents.*.metrics"))

    again = evaluate(workplace, *flags)
    assert again.returncode == 0 and again.stdout.count("(already there)") == 4, again.stderr
    assert "Generated" not in again.stderr
    assert records(workplace / "run" / f"metric-{fid}.jsonl") == found

    flags = ["--network=run", "--data_dir=data", "--metrics=fid60", "--strategy=mirrored", "--batch_size=7"]
    forced = evaluate(workplace, *flags, "--out=elsewhere", "--force")
    assert forced.returncode == 0 and "already there" not in forced.stdout, forced.stderr
    (third,) = records(workplace / "elsewhere" / f"metric-{fid}.jsonl")
    assert third["protocol"] == found[1]["protocol"]
    assert third["results"]["fid"] == pytest.approx(found[1]["results"]["fid"], rel=1e-6)


@pytest.mark.end_to_end
def test_several_networks_and_pictures_come_out_as_one_table(workplace):
    folder = workplace / "pictures"
    folder.mkdir()
    for index, image in enumerate(np.random.RandomState(1).randint(0, 256, [20, 8, 8, 3]).astype(np.uint8)):
        Image.fromarray(image).save(folder / f"{index}.png")
    found = evaluate(
        workplace,
        *("--network=run/network-00000?.npz,run", "--images=pictures", "--data_dir=data", "--table=results.csv"),
        *("--metrics=fid20,ppl20_wend,is20", "--out=table"),
    )
    assert found.returncode == 1 and "Traceback" not in found.stderr
    assert found.stderr.endswith("error: 3 results are missing, see above.\n")
    assert found.stderr.count("ppl20_wend skipped: ppl20_wend needs a distance") == 2
    assert "pictures  ppl20_wend skipped: ppl20_wend needs a network" in found.stderr
    header, *rows = [line.split(",") for line in (workplace / "results.csv").read_text().splitlines()]
    assert [name.rpartition("-")[0] for name in header[1:]] == ["fid20-module", "is20-module", "is20-module"]
    assert [row[0] for row in rows] == ["run/network-000004.npz", "run", "pictures"]
    assert all(float(value) > 0 for row in rows for value in row[1:-1])


@pytest.mark.end_to_end
def test_what_has_no_classes_is_skipped_as_is_a_class_without_images(workplace):
    labels = np.eye(3, dtype=np.float32)[np.arange(40) % 2]
    images = np.random.RandomState(0).randint(0, 256, [40, 8, 8, 3]).astype(np.uint8)
    write_tfrecords(ArraySource(images, labels, ("cat", "dog", "bird")), workplace / "labelled", WriteOptions(1))
    network = tiny.generator(label_size=3)[0]
    save_networks(workplace / "labels.npz", Networks(None, None, network, {}))
    Image.fromarray(images[0]).save(workplace / "picture.png")
    flags = ["--network=run,labels.npz", "--images=picture.png", "--data_dir=labelled", "--metrics=is20", "--per_class"]
    result = evaluate(workplace, *flags, "--out=classes")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    for name in ("run", "picture.png"):
        assert f"{name}  skipped: --per_class needs a network with labels" in result.stderr
    assert "labels.npz  is20 skipped: is20: no image of labelled has the label bird" in result.stderr
    *classes, whole = sorted((workplace / "classes").glob("*.jsonl"))
    assert [path.name.rpartition("-")[2] for path in classes] == ["class0.jsonl", "class1.jsonl"]
    measured = [json.loads(line)["network"] for line in whole.read_text().splitlines()]
    assert measured == ["network-000012.npz", "labels.npz"]  # One picture is too few.


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "--network is missing"),
        (["--network=no*thing"], "nothing is called no*thing"),
        (["--network=run", "--table=a.html"], "end in .md or .csv"),
        (["--network=run", "--metrics=fid50m"], "unknown metric 'fid50m'"),
        (
            ["--network=run", "--metrics=ppl_wend", "--classifiers=run"],
            "--classifiers has no effect without ls in --metrics",
        ),
        (["--network=run"], "fid50k compares with real images: give their folder of TFRecords as --data_dir"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(workplace, flags, message):
    result = evaluate(workplace, *flags)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
