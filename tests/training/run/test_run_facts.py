"""What processes compare before they start together."""

import dataclasses

import pytest

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.training.run.record import run_facts
from tests.helpers.tiny_run import write_images

# As the flags make them: what the dataset decides of the networks is not known yet.
CONFIG = TrainConfig(
    data_dir="here", run_dir="there", generator=GeneratorConfig(resolution=4), discriminator=DiscriminatorConfig(4)
)


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return find_dataset(write_images(tmp_path_factory.mktemp("data") / "tiny", resolution=8))


@pytest.mark.parametrize("options", [{"resolution": 8}, {"seed": 7}, {"conditional": True}])
def test_options_that_differ_between_processes_are_seen(info, options):
    ours, theirs = run_facts(CONFIG, info), run_facts(dataclasses.replace(CONFIG, **options), info)
    assert {name for name in ours if ours[name] != theirs[name]} == {f"`{name}`" for name in options}


def test_folders_may_have_other_names_on_another_machine(info):
    elsewhere = dataclasses.replace(CONFIG, data_dir="a", run_dir="b", init_from="c")
    assert run_facts(CONFIG, info) == run_facts(elsewhere, info)
