"""Whole runs of the loop, small: every phase of growth, resuming, and what stops a run."""

import dataclasses
import json
import os
import resource
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from stylegan_tf import load_networks
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.training.gradients import Gradients
from stylegan_tf.training.reports.reporting import RunReport
from stylegan_tf.training.run import setup, stopping
from stylegan_tf.training.run.loop import train
from stylegan_tf.training.run.setup import Level
from tests.helpers.tiny_run import tiny_config, write_images


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data") / "tiny")


def run(config):
    train(config)


def stats_of(run_dir):
    return [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]


def arrays_of(run_dir):
    networks = load_networks(run_dir)
    parts = ("generator", "discriminator", "generator_ema")
    return {
        f"{part}/{name}": variable.numpy()
        for part in parts
        for name, variable in named_variables(getattr(networks, part)).items()
    }


@pytest.mark.end_to_end
def test_a_run_grows_through_every_phase_and_leaves_its_files(data_dir, tmp_path):
    lines = []
    train(tiny_config(data_dir, tmp_path / "run", network_ticks=2), note=lines.append)
    ticks = [(tick["images_seen"], tick["resolution"], tick["alpha"]) for tick in stats_of(tmp_path / "run")]
    # 4x4 until 32 images, fade to 8x8 until 64, 8x8 until 96, fade to 16x16 until 128, then 16x16.
    # The last iterations of a tick count: those of a fade have alpha 0.5.
    assert ticks == [(32, 4, 1.0), (64, 8, 0.5), (96, 8, 1.0), (128, 16, 0.5), (160, 16, 1.0)]
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"flags.cfg", "log.txt", "stats.jsonl", "reals.png", "checkpoints", "fakes000000.png"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not any("tmp" in name for name in names), "half-written files"
    networks = load_networks(tmp_path / "run")
    assert networks.metadata["kimg"] == 0.16
    images = networks.best_generator(np.zeros([1, 16], np.float32))
    assert images.shape == (1, 16, 16, 3) and np.isfinite(images).all()
    assert "finished" in lines[-1]
    assert (tmp_path / "run" / "log.txt").read_text().count("kimg 0.") == 5


@pytest.mark.end_to_end
@pytest.mark.parametrize("num_channels", [1, 4])
def test_conditional_gray_and_transparent_images_train(tmp_path, num_channels):
    labels = np.eye(3, dtype=np.float32)[np.arange(32) % 3]
    data_dir = write_images(tmp_path / "gray", resolution=4, labels=labels, num_channels=num_channels)
    run(tiny_config(data_dir, tmp_path / "run", conditional=True, total_kimg=0.016))
    networks = load_networks(tmp_path / "run")
    assert networks.generator.config.label_size == networks.discriminator.config.label_size == 3
    assert networks.generator.config.num_channels == num_channels
    assert Image.open(tmp_path / "run" / "reals.png").mode == {1: "L", 4: "RGBA"}[num_channels]
    assert networks.label_names == ("label0", "label1", "label2")
    grid = Image.open(tmp_path / "run" / "fakes000000.png")
    assert grid.size == (4 * 4, 3 * 4), "four columns of 4x4 pixels, a row for each class"
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "labels: 3 classes: label0 11, label1 11, label2 10" in log and "not used" not in log


def test_divergence_ends_the_run_and_keeps_the_last_good_checkpoint(data_dir, tmp_path):
    config = tiny_config(data_dir, tmp_path / "run", resolution=4, total_kimg=0.032, schedule={"tick_kimg": {4: 0.016}})
    run(config)
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    wild = dataclasses.replace(config.schedule, learning_rate=1e37)
    with pytest.raises(UserError, match=r"diverged.*images-32.npz; the same command resumes from there"):
        run(dataclasses.replace(config, schedule=wild, total_kimg=1.0))
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == kept
    for name, value in arrays_of(tmp_path / "run").items():
        assert np.isfinite(value).all(), name


def test_a_replica_may_have_a_single_image(data_dir, tmp_path):
    schedule = {"batch_sizes": {4: 1}, "tick_kimg": {4: 0.004}}
    run(tiny_config(data_dir, tmp_path / "run", schedule, resolution=4, total_kimg=0.008))
    assert [tick["images_seen"] for tick in stats_of(tmp_path / "run")] == [4, 8]


def test_a_generator_whose_gradients_are_never_finite_ends_the_run(data_dir, tmp_path, monkeypatch):
    """Its steps are skipped while all losses stay finite: nothing else would tell."""
    monkeypatch.setattr(stopping, "MAX_SKIPPED", 3)
    computed = Gradients.generator

    def overflowing(self, images, scalars):
        sums = computed(self, images, scalars)
        return sums._replace(gradients={name: value * np.inf for name, value in sums.gradients.items()})

    monkeypatch.setattr(Gradients, "generator", overflowing)
    config = tiny_config(data_dir, tmp_path / "run", resolution=4, iterations_per_update=1)
    with pytest.raises(UserError, match=r"diverged after 0.0 kimg: the last 3 gradients of the generator are not fini"):
        run(config)


def test_metrics_that_nobody_would_measure_are_refused(data_dir, tmp_path):
    with pytest.raises(ValueError, match="config.metrics needs prepare_metrics"):
        run(tiny_config(data_dir, tmp_path / "run", metrics="fid5k"))


def test_a_checkpoint_of_another_architecture_is_refused_by_name(data_dir, tmp_path):
    config = tiny_config(data_dir, tmp_path / "run", resolution=4, total_kimg=0.016)
    run(config)
    wider = dataclasses.replace(config.generator, fmap_max=16)
    with pytest.raises(UserError, match=r"networks, which cannot change.*`fmap_max` \(8 -> 16\).*another `run_dir`"):
        run(dataclasses.replace(config, generator=wider))


@pytest.mark.parametrize("removed", ["checkpoints", "checkpoints/images-16.npz"])
def test_a_run_without_its_checkpoints_is_neither_replaced_nor_trimmed(data_dir, tmp_path, removed):
    config = tiny_config(data_dir, tmp_path / "run", resolution=4, total_kimg=0.016)
    run(config)
    path = tmp_path / "run" / removed
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "run").glob("[!.]*.*")}
    with pytest.raises(UserError, match="holds network-000000.npz of an earlier run, but no checkpoint: .*`init_from="):
        run(config)
    assert {path: path.read_bytes() for path in (tmp_path / "run").glob("[!.]*.*")} == before


def test_a_run_whose_folder_is_removed_ends_and_makes_no_new_one(data_dir, tmp_path):
    config = tiny_config(data_dir, tmp_path / "run", resolution=4, total_kimg=0.064)
    with pytest.raises(UserError, match="run folder .*run was removed or renamed while the run trained: put it back"):
        train(config, check=lambda: shutil.rmtree(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "kimg, tick_kimg, killed_at",
    [
        (2, 1, "fakes000001.png"),
        (2, 1, "network-000001.npz"),
        (1, 9, "images-1000.npz"),  # At its end, which is before its first tick.
        (1, 9, "network-000001.npz"),
    ],
)
def test_a_run_that_is_killed_early_has_all_results_after_the_same_command(
    data_dir, tmp_path, monkeypatch, kimg, tick_kimg, killed_at
):
    """Killed before a file of this name appears."""
    schedule = {"batch_sizes": {4: 500}, "tick_kimg": {4: tick_kimg}}
    options = {"network_ticks": 1, "checkpoint_ticks": 9, "total_kimg": kimg, "iterations_per_update": 1}
    config = tiny_config(data_dir, tmp_path / "run", schedule, resolution=4, **options)
    replace = os.replace

    def replace_or_die(source, dest):
        if os.path.basename(dest) == killed_at:
            raise KeyboardInterrupt  # Nothing handles it.
        replace(source, dest)

    monkeypatch.setattr(os, "replace", replace_or_die)
    with pytest.raises(KeyboardInterrupt):
        run(config)
    monkeypatch.undo()
    lines = []
    train(config, note=lines.append)
    starts_anew = not killed_at.startswith("network")  # The first checkpoint precedes the first network.
    assert any("saved no checkpoint: training starts anew" in line for line in lines) == starts_anew
    run_dir = tmp_path / "run"
    assert {path.name for path in run_dir.glob("fakes*")} == {f"fakes{n:06d}.png" for n in range(kimg + 1)}
    assert {path.name for path in run_dir.glob("network-*")} == {f"network-{n:06d}.npz" for n in range(1, kimg + 1)}


def test_a_batch_that_makes_no_whole_groups_is_refused(data_dir, tmp_path):
    config = tiny_config(data_dir, tmp_path / "run", resolution=4, schedule={"batch_sizes": {4: 6}})
    with pytest.raises(UserError, match="6 images a replica at 4x4 are not a multiple of 4"):
        run(config)


def test_a_damaged_record_is_named(data_dir, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(data_dir, broken)
    shard = broken / "tiny-r02-00001-of-00002.tfrecords"
    content = bytearray(shard.read_bytes())
    content[-30] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(UserError, match=r"record 15 of .*tiny-r02-00001-of-00002.tfrecords is damaged"):
        run(tiny_config(broken, tmp_path / "run", resolution=4, total_kimg=0.064))


def test_a_write_that_fails_ends_the_run_and_keeps_what_was_saved(data_dir, tmp_path, monkeypatch):
    """A limit on the size of files stands for a full disk: the logs still fit, networks and checkpoints do not."""
    config = tiny_config(data_dir, tmp_path / "run", resolution=4, total_kimg=0.064, schedule={"tick_kimg": {4: 0.016}})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    update = RunReport.update

    def update_and_limit(self, images_seen):
        if images_seen == 24:
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
        update(self, images_seen)

    monkeypatch.setattr(RunReport, "update", update_and_limit)
    try:
        with pytest.raises(UserError, match="cannot write .*checkpoints: File too large.*resumes from the last"):
            run(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["images-16.npz"]
    assert not [path.name for path in (tmp_path / "run").iterdir() if path.name.endswith(".tmp")]
    monkeypatch.setattr(RunReport, "update", update)
    run(config)
    assert [tick["images_seen"] for tick in stats_of(tmp_path / "run")] == [16, 32, 48, 64]
    assert "resuming at" in (tmp_path / "run" / "log.txt").read_text()


@pytest.mark.end_to_end
def test_a_run_in_auto_precision_records_what_it_took_and_keeps_it(data_dir, tmp_path, monkeypatch):
    config = tiny_config(data_dir, tmp_path / "run", total_kimg=0.016, precision="auto")
    choices = iter([("bfloat16", "told so"), ("float32", "told so")])
    monkeypatch.setattr(setup, "fastest_precision", lambda strategy: next(choices))
    run(config)
    assert "--precision=bfloat16" in (tmp_path / "run" / "flags.cfg").read_text()
    run(dataclasses.replace(config, total_kimg=0.032))
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "precision bfloat16: told so" in log
    assert "precision bfloat16: as the run started" in log
    assert "total_kimg 0.016 -> 0.032" in log
    run(dataclasses.replace(config, total_kimg=0.032, precision="float32"))
    assert "precision bfloat16 -> float32" in (tmp_path / "run" / "log.txt").read_text()


@pytest.mark.end_to_end
def test_as_many_network_files_stay_as_are_wanted(data_dir, tmp_path):
    grown = {"training_kimg": 0.0, "transition_kimg": 0.0, "tick_kimg": {4: 1.0}, "start_resolution": 16}
    run(tiny_config(data_dir, tmp_path / "run", grown, total_kimg=4, network_ticks=1, keep_networks=2))
    assert sorted(path.name for path in (tmp_path / "run").glob("network-*")) == [
        "network-000003.npz",
        "network-000004.npz",
    ]


@pytest.mark.end_to_end
def test_an_iteration_without_memory_ends_in_one_line_with_the_way_out(data_dir, tmp_path, monkeypatch):
    iterate, calls = Level.iterate, iter(range(9))

    def out_of_memory(self, inputs):
        if next(calls) == 5:  # After the first checkpoint.
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[4,512,512,32]")
        return iterate(self, inputs)

    monkeypatch.setattr(Level, "iterate", out_of_memory)
    with pytest.raises(UserError) as error:
        run(tiny_config(data_dir, tmp_path / "run"))
    for words in ("out of memory at 4x4, batch 8", "shape[4,512", "`max_replica_batch`", "`batch_sizes`", "images-32"):
        assert words in str(error.value)


@pytest.mark.end_to_end
def test_data_that_have_changed_are_reported_and_shown(data_dir, tmp_path):
    run(tiny_config(data_dir, tmp_path / "run", total_kimg=0.016))
    first = (tmp_path / "run" / "reals.png").read_bytes()
    other = write_images(tmp_path / "other" / "tiny", count=40)
    run(tiny_config(other, tmp_path / "run", total_kimg=0.032))
    assert "warning: the dataset has changed: images 32 -> 40" in (tmp_path / "run" / "log.txt").read_text()
    assert (tmp_path / "run" / "reals.png").read_bytes() != first
