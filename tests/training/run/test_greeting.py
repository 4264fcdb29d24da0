"""What a run says at its start."""

import pytest

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, ScheduleConfig, TrainConfig
from stylegan_tf.training.reports.disk import disk_use, file_notes
from stylegan_tf.training.reports.log_backends import LogBackend
from stylegan_tf.training.run.loop import train
from stylegan_tf.training.schedule import length_notes
from tests.helpers.tiny_run import tiny_config, write_images


class Recorder(LogBackend):
    """A tracker of a program's own."""

    def __init__(self):
        self.lines, self.ticks, self.images = [], [], []

    def line(self, text):
        self.lines.append(text)

    def tick(self, record):
        self.ticks.append(record)

    def image(self, name, image, images_seen):
        self.images.append((name, images_seen))


def config(total_kimg, **schedule):
    return TrainConfig("data", "run", total_kimg=total_kimg, schedule=ScheduleConfig(**schedule))


@pytest.mark.parametrize(
    "total, size, words",
    [
        # The paper's lengths: 8x8 to 600, 16x16 faded in at 1,200, 32x32 at 2,400.
        (300, 32, "total_kimg 300 ends at 8x8: 32x32 is fully there after 2,400"),
        (1500, 32, "ends at 16x16: 32x32"),
        (900, 16, "ends at 16x16 (faded in by 50%): 16x16 is fully there after 1,200"),
        (2500, 32, "total_kimg 2,500 leaves 32x32 100 thousand images, where a level below has 600"),
    ],
)
def test_a_run_that_ends_before_it_has_grown_says_what_would_change_that(total, size, words):
    (line,) = length_notes(config(total), size)
    assert words in line and "`training_kimg`" in line and "`total_kimg`" in line


def test_a_batch_that_would_grow_after_the_end_is_reported():
    growth = {"start_resolution": 8, "batch_growth": {60.5: 2, 60_000: 4}}
    assert list(length_notes(config(300, **growth), 8)) == [
        "note: the run ends at total_kimg 300, before batch_growth at 60,000"
    ]


@pytest.mark.parametrize("total, size, schedule", [(3000, 32, {}), (1, 32, {"start_resolution": 32}), (1, 8, {})])
def test_a_run_that_has_its_length_says_nothing(total, size, schedule):
    assert list(length_notes(config(total, **schedule), size)) == []


def test_the_papers_run_takes_what_its_files_have():
    run = config(25_000)
    uses = disk_use(run, GeneratorConfig(), DiscriminatorConfig())
    # Table 1's parameters; noise maps of two layers a level and the average of w; the averaged generator is a second.
    maps = sum(2 * 4**level for level in range(2, 11)) + 512
    weights = 2 * (26_219_627 + maps) + 23_087_249
    assert uses["checkpoints"] == 4 * 3 * (weights + 2 * (26_219_627 + 23_087_249))
    # From the paper's ticks: 600/140, then 1200/120, 100, 80, 60, 40, 30; 1024x1024 from 7,800 kimg in ticks of 20.
    ticks = 600 / 140 + sum(1200 / kimg for kimg in (120, 100, 80, 60, 40, 30)) + (25_000 - 7_800) / 20
    assert uses["network files"] == pytest.approx(4 * weights * (int(ticks) // 10 + 1))
    # A grid of 8 x 4 pictures at 1024x1024 is 100 MB of pixels; TensorBoard's at most 1,024 pixels wide.
    assert 860 * 100e6 * 0.4 < uses["grids"] < 1100 * 100e6 * 0.6
    assert uses["events"] < 2e9


@pytest.mark.parametrize(
    "network_ticks, image_ticks, replaced", [(1, 4, ["network files"]), (4, 3, ["grids"]), (4, 4, [])]
)
def test_files_that_would_replace_each_other_are_reported_and_counted_once(network_ticks, image_ticks, replaced):
    run = TrainConfig(
        "data",
        "run",
        total_kimg=10,
        schedule=ScheduleConfig(start_resolution=8, tick_kimg={4: 0.25}),
        network_ticks=network_ticks,
        image_ticks=image_ticks,
        keep_networks=None,
    )
    assert [line.split(" come every")[0] for line in file_notes(run, 8)] == [f"note: {kind}" for kind in replaced]
    generator, discriminator = GeneratorConfig(resolution=8), DiscriminatorConfig(resolution=8)
    uses = disk_use(run, generator, discriminator)
    parameters = uses["checkpoints"] / 4 / (run.keep_checkpoints + 1)  # With two moments of the trained ones.
    assert uses["network files"] < 4 * parameters * 11  # 0 to 10 thousand images.
    assert uses["grids"] <= 11.1 * run.grid_columns * run.grid_rows * 8 * 8 * 3


def test_the_start_says_how_pictures_are_shown_and_what_the_data_would_allow(tmp_path):
    data_dir = write_images(tmp_path / "data", resolution=16)
    lines, tracker = [], Recorder()
    options = {"resolution": 8, "total_kimg": 0.008, "mirror_augment": True, "augment": "ada"}
    train(
        tiny_config(data_dir, tmp_path / "run", {"start_resolution": 8}, **options),
        None,
        lines.append,
        trackers=[tracker],
    )
    assert "reals mirrored at random, adaptive augmentation (ada)" in lines
    assert "the data have 16x16: `resolution=16` trains up to there" in lines
    assert any(line.startswith("on the disk at the end: about ") for line in lines)
    assert tracker.lines == lines and tracker.images == [("fakes", 0), ("fakes", 8)]
    (tick,) = tracker.ticks
    assert tick["images_seen"] == 8 and tick["real_variety"] > 0
    assert "\n".join(lines) + "\n" == (tmp_path / "run" / "log.txt").read_text()
