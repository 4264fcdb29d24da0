"""The files in configs/ say what their headers claim."""

import re
from pathlib import Path

import pytest
from absl import flags

from stylegan_tf import config
from stylegan_tf.cli import training_flags
from stylegan_tf.networks.conversion.layouts import write_architecture
from stylegan_tf.networks.variable_shapes import count_parameters
from stylegan_tf.training.schedule import phase_at

FOLDER = Path(__file__).resolve().parents[1] / "configs"
FILES = sorted(FOLDER.rglob("*.cfg"))
NAMES = [path.relative_to(FOLDER).as_posix() for path in FILES]


@pytest.fixture
def read(monkeypatch):
    """Config file name -> TrainConfig; the flags go back to their defaults afterwards."""
    monkeypatch.chdir(FOLDER.parent)  # From where a file finds the one that it includes.

    def read_file(name):
        flags.FLAGS.unparse_flags()
        for flag in training_flags.OPTIONS:
            flags.FLAGS[flag].unparse()
        flags.FLAGS(["train", f"--flagfile=configs/{name}"])
        return training_flags.train_config_from_flags()

    yield read_file
    flags.FLAGS.unparse_flags()


@pytest.mark.parametrize("name", NAMES)
def test_every_config_is_valid_and_names_its_folders(read, name):
    run = read(name)
    assert run.data_dir.startswith("datasets/")
    assert run.run_dir == f"runs/{Path(name).stem}"
    resolution = run.resolution or 64  # Default: that of the dataset.
    generator, discriminator = run.network_configs(resolution, 3)
    assert generator.resolution == discriminator.resolution == resolution


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_header_says_what_how_where_and_what_to_expect(path):
    lines = path.read_text().splitlines()
    header = "\n".join(line for line in lines if line.startswith("#"))
    for heading in ("Reproduces", "Data", "Command", "Hardware", "Expect"):
        assert f"# {heading}:" in header
    assert f"python -m stylegan_tf.train --flagfile configs/{path.relative_to(FOLDER).as_posix()}" in header
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"--[a-z0-9_]+=[^#]*", line), line


def test_ffhq_is_the_papers_defaults_with_mirroring(read):
    run = read("ffhq.cfg")
    assert run.schedule == config.ScheduleConfig() and run.losses == config.LossConfig()
    assert run.network_configs(1024, 3) == (config.GeneratorConfig(), config.DiscriminatorConfig())
    assert run.mirror_augment and run.total_kimg == 25000
    phase = phase_at(8_400_000, run.schedule, 1024, num_replicas=8)
    assert (phase.resolution, phase.alpha, phase.batch_size, phase.learning_rate) == (1024, 1.0, 32, 0.003)


@pytest.mark.parametrize(
    "name, resolution, kimg",
    [("ffhq_256.cfg", 256, 6000), ("ffhq.cfg", 1024, 8400), ("small.cfg", 64, 100), ("small.cfg", 128, 150)],
)
def test_the_full_size_is_reached_where_the_file_says(read, name, resolution, kimg):
    run = read(name)
    assert phase_at(kimg * 1000, run.schedule, resolution).lod == 0.0
    assert phase_at(kimg * 1000 - 1, run.schedule, resolution).lod > 0.0
    assert f"{kimg:,} thousand" in (FOLDER / name).read_text()


WGAN_GP = config.LossConfig("wgan", "wgan", r1_gamma=0, gp_lambda=10, wgan_drift=0.001)


@pytest.mark.parametrize(
    "name, mirrored",
    # The authors mirror FFHQ and CelebA-HQ. Pictures of one's own may be writing.
    [
        ("ffhq.cfg", True),
        ("ffhq_256.cfg", True),
        ("celebahq.cfg", True),
        ("demo.cfg", False),
        ("small_data.cfg", False),
        ("small.cfg", False),
    ],
)
def test_reals_are_mirrored_as_by_the_authors_and_no_others(read, name, mirrored):
    assert read(name).mirror_augment is mirrored
    assert mirrored or "both ways" in (FOLDER / name).read_text() or "face one way" in (FOLDER / name).read_text()


@pytest.mark.parametrize("gpus, batch", [(1, 128), (2, 256), (4, 512), (8, 512)])
def test_row_a_starts_with_the_papers_batches_at_4x4(read, gpus, batch):
    assert phase_at(0, read("paper/table1_a.cfg").schedule, 1024, num_replicas=gpus).batch_size == batch


def test_celebahq_trains_with_wgan_gp_and_a_learning_rate_of_at_most_0_002(read):
    run = read("celebahq.cfg")
    assert run.losses == WGAN_GP
    rates = [phase_at(images, run.schedule, 1024).learning_rate for images in (0, 6_000_000, 25_000_000)]
    assert rates == [0.001, 0.002, 0.002]


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("table1_a", 23_079_115),
        ("table1_b", 23_079_115),
        ("table1_c", 30_400_651),
        ("table1_d", 26_214_539),
        ("table1_e", 26_219_627),
        ("table1_f", 26_219_627),
        *((f"table2_mixing_{percent}", 26_219_627) for percent in (0, 50, 90, 100)),
        ("table4_traditional_0", 23_079_115),
        ("table4_traditional_8", 25_180_363),
        ("table4_style_based_0", 24_118_379),
        ("table4_style_based_1", 24_381_035),
        ("table4_style_based_2", 24_643_691),
        ("table4_style_based_8", 26_219_627),
    ],
)
def test_every_row_of_the_papers_tables_has_its_architecture(read, name, parameters):
    run = read(f"paper/{name}.cfg")
    generator, discriminator = run.network_configs(1024, 3)
    assert (count_parameters(generator), count_parameters(discriminator)) == (parameters, 23_087_249)
    assert write_architecture(generator)[0] == ("G_paper" if name == "table1_a" else "G_style")
    assert run.mirror_augment and run.resolution == 1024
    assert generator.blur is discriminator.blur is (name != "table1_a")
    traditional = name in ("table1_a", "table1_b") or "traditional" in name
    assert generator.use_styles is generator.use_instance_norm is not traditional
    assert generator.use_pixel_norm is traditional
    assert run.losses == (WGAN_GP if name == "table1_a" else config.LossConfig())


def test_every_file_of_the_papers_tables_is_tested():
    assert len(list((FOLDER / "paper").glob("*.cfg"))) == 16


@pytest.mark.parametrize("row, start, kimg", [("a", 4, 12000), ("b", 8, 25000), ("f", 8, 25000)])
def test_row_a_grows_from_4_and_is_full_size_before_its_end(read, row, start, kimg):
    run = read(f"paper/table1_{row}.cfg")
    assert (run.schedule.start_resolution, run.total_kimg) == (start, kimg)
    assert phase_at(run.total_kimg * 1000, run.schedule, 1024).lod == 0


def test_styles_are_mixed_in_row_f_and_as_table_2_says(read):
    names = [f"table1_{row}" for row in "abcdef"] + [f"table2_mixing_{percent}" for percent in (0, 50, 90, 100)]
    probabilities = [read(f"paper/{name}.cfg").style_mixing_prob for name in names]
    assert probabilities == [0, 0, 0, 0, 0, 0.9, 0, 0.5, 0.9, 1]


def test_the_demo_is_small_and_not_mirrored(read):
    run = read("demo.cfg")
    assert run.resolution == 32 and not run.mirror_augment
