"""The flags of training, made from the options of `TrainConfig` and its parts, and their conversion to a config."""

import fnmatch
import os
import pathlib

import absl.flags

from stylegan_tf.cli import flags
from stylegan_tf.cli.flag_files import expanded, expanded_content
from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.networks import architecture_options
from stylegan_tf.config.option import all_options
from stylegan_tf.config.training import FLAG_FILE, metric_names
from stylegan_tf.files.addresses import scheme_of
from stylegan_tf.files.storage import Store

FLAGS = flags.FLAGS
OPTIONS = {field.name: field for _, field in all_options(TrainConfig)}  # By name; the networks share some.
flags.define_options(TrainConfig)
_CHECKPOINTS = "checkpoints/images-*.npz"


def train_config_from_flags() -> TrainConfig:
    """The validated options. Raises UserError, naming the flag, for an invalid value.

    A flag that was not given takes the value with which the run in --run_dir was started; in a new run with
    --init_from, the networks' flags take the values of that network file.
    """
    if not _take_flags_of_run() and FLAGS.init_from:
        _take_architecture(FLAGS.init_from)
    # The dataset decides later; the smallest shape is one that every width fits.
    shape = {"resolution": 4, "num_channels": 3, "label_size": 0}
    networks = flags.read_options(GeneratorConfig, **shape), flags.read_options(DiscriminatorConfig, **shape)
    return flags.read_options(TrainConfig, generator=networks[0], discriminator=networks[1])


def _take_flags_of_run() -> bool:
    """Sets flags that were not given to the values in flags.cfg of the run to resume; False if there is no such run."""
    path = f"{FLAGS.run_dir}/{FLAG_FILE}"
    arguments = _flags_of_run(FLAGS.run_dir, path) if FLAGS.run_dir else []
    if not arguments:
        return False
    recorded = absl.flags.FlagValues()
    for field in OPTIONS.values():
        flags.define_option(field, recorded)
    try:
        recorded(["", *arguments])
    except absl.flags.Error as error:
        raise UserError(f"cannot resume with the flags in {path}: {error}. Fix the file, or remove it.") from None
    for name in OPTIONS:
        if recorded[name].present and not FLAGS[name].present:
            FLAGS[name].value = recorded[name].value
    _reset_options_without_use()
    return True


def _flags_of_run(run_dir: str, path: str) -> list[str]:
    """What the flag file `path` of a run folder, or of one in a bucket, says; [] without checkpoints next to it."""
    if scheme_of(run_dir):
        store = Store(run_dir)
        content = store.read(FLAG_FILE)
        return expanded_content(content, path) if content and fnmatch.filter(store.names(), _CHECKPOINTS) else []
    has_checkpoints = any(pathlib.Path(run_dir).glob(_CHECKPOINTS))
    return expanded([f"--flagfile={path}"]) if has_checkpoints and os.path.isfile(path) else []


def _reset_options_without_use() -> None:
    """Resets options of the original run that require a value of another option which has since been changed."""
    values = {name: FLAGS[name].value for name in OPTIONS}
    without_use = [name for name, field in OPTIONS.items() if not field.metadata["option"].is_applicable(values)]
    if FLAGS.keep_best not in metric_names(FLAGS.metrics):
        without_use += ["keep_best", "patience"]
    for name in without_use:
        if not FLAGS[name].present:
            FLAGS[name].value = FLAGS[name].default


def _take_architecture(path: str) -> None:
    """Sets flags that were not given to the values of the network file: its options, and the level to start at."""
    names = {name for name in {*architecture_options(), "start_resolution"} if not FLAGS[name].present}
    if not names:
        return
    from stylegan_tf.networks.growth import Growth
    from stylegan_tf.networks.network_file import read_architecture  # Imports TensorFlow.

    networks, metadata = read_architecture(path)
    for network in networks.values():
        for name in names & set(vars(network)):
            FLAGS[name].value = getattr(network, name)
    if "start_resolution" in names:
        full = max(network.resolution for network in networks.values())
        FLAGS["start_resolution"].value = Growth.from_metadata(metadata, full).level_to_train
