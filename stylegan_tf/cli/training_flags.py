"""The flags of training, made from the options of `TrainConfig` and its parts, and how they become one."""

import pathlib

from absl import flags

from stylegan_tf.cli.flag_files import expanded
from stylegan_tf.cli.option_flags import define_flag, define_flags_of, from_flags
from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.config.option import all_options
from stylegan_tf.errors import UserError
from stylegan_tf.training.run.record import FILE_NAME, architecture_options

FLAGS = flags.FLAGS
OPTIONS = {field.name: field for _, field in all_options(TrainConfig)}  # By name; the networks share some.
define_flags_of(TrainConfig)


def train_config_from_flags() -> TrainConfig:
    """The validated options. Raises UserError, naming the flag, for a value that makes no sense.

    A flag that nobody has set has the value that the run in --run_dir began with; where none has begun and --init_from
    is given, the networks' flags have those of that network file.
    """
    if not _take_flags_of_begun_run() and FLAGS.init_from:
        _take_architecture(FLAGS.init_from)
    # The data set decides later; the smallest shape is one that every width fits.
    shape = {"resolution": 4, "num_channels": 3, "label_size": 0}
    networks = from_flags(GeneratorConfig, **shape), from_flags(DiscriminatorConfig, **shape)
    return from_flags(TrainConfig, generator=networks[0], discriminator=networks[1])


def _take_flags_of_begun_run() -> bool:
    """Gives the flags that nobody has set the values of the flags.cfg of the run to resume; False if there is none."""
    run_dir = pathlib.Path(FLAGS.run_dir or "")
    path = run_dir / FILE_NAME
    if not FLAGS.run_dir or not path.is_file() or not any(run_dir.glob("checkpoints/images-*.npz")):
        return False
    begun = flags.FlagValues()
    for field in OPTIONS.values():
        define_flag(field, begun)
    try:
        begun(["", *expanded([f"--flagfile={path}"])])
    except flags.Error as error:
        raise UserError(f"cannot go on with the flags in {path}: {error}. Mend the file, or remove it.") from None
    for name in OPTIONS:
        if begun[name].present and not FLAGS[name].present:
            FLAGS[name].value = begun[name].value
    _leave_out_what_lost_its_use()
    return True


def _leave_out_what_lost_its_use() -> None:
    """Options that the run began with and that go only with a value of another option, which was changed."""
    values = {name: FLAGS[name].value for name in OPTIONS}
    for name, field in OPTIONS.items():
        if not field.metadata["option"].is_of_use(values) and not FLAGS[name].present:
            FLAGS[name].value = FLAGS[name].default


def _take_architecture(path: str) -> None:
    """Gives flags that nobody has set the values of the network file: its options, and the level to begin at."""
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
