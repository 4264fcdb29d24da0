"""The files in configs/ say what their headers claim."""

import re
from pathlib import Path

import pytest
from absl import flags

from stylegan_tf import config, train_flags
from stylegan_tf.schedule import phase_at

FOLDER = Path(__file__).resolve().parents[1] / "configs"
FILES = sorted(FOLDER.glob("*.cfg"))


@pytest.fixture
def read():
    """Config file name -> TrainConfig; the flags go back to their defaults afterwards."""

    def read_file(name):
        flags.FLAGS.unparse_flags()
        for flag in train_flags._NAMES:
            flags.FLAGS[flag].unparse()
        flags.FLAGS(["train", f"--flagfile={FOLDER / name}"])
        return train_flags.train_config_from_flags()

    yield read_file
    flags.FLAGS.unparse_flags()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_config_is_valid_and_names_its_folders(read, path):
    run = read(path.name)
    assert run.data_dir.startswith("datasets/")
    assert run.run_dir == f"runs/{path.stem}"
    generator, discriminator = run.network_configs(run.resolution, 3)
    assert generator.resolution == discriminator.resolution == run.resolution


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_header_says_what_how_where_and_what_to_expect(path):
    lines = path.read_text().splitlines()
    header = "\n".join(line for line in lines if line.startswith("#"))
    for heading in ("Reproduces", "Data", "Command", "Hardware", "Expect"):
        assert f"# {heading}:" in header
    assert f"python -m stylegan_tf.train --flagfile configs/{path.name}" in header
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"--[a-z0-9_]+=[^#]+", line), line


def test_ffhq_is_the_papers_defaults_with_mirroring(read):
    run = read("ffhq.cfg")
    assert run.schedule == config.ScheduleConfig() and run.losses == config.LossConfig()
    assert run.network_configs(1024, 3) == (config.GeneratorConfig(), config.DiscriminatorConfig())
    assert run.mirror_augment and run.total_kimg == 25000
    phase = phase_at(8_400_000, run.schedule, 1024, num_replicas=8)
    assert (phase.resolution, phase.alpha, phase.batch_size, phase.learning_rate) == (1024, 1.0, 32, 0.003)


def test_ffhq_256_is_full_size_after_6000_kimg(read):
    run = read("ffhq_256.cfg")
    assert phase_at(6_000_000, run.schedule, 256).lod == 0.0
    assert phase_at(5_999_999, run.schedule, 256).lod > 0.0


def test_celebahq_trains_with_wgan_gp(read):
    assert read("celebahq.cfg").losses == config.LossConfig("wgan", "wgan", r1_gamma=0, gp_lambda=10, wgan_drift=0.001)


def test_the_demo_is_small_and_not_mirrored(read):
    run = read("demo.cfg")
    assert run.resolution == 32 and not run.mirror_augment
