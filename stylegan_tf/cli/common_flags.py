"""Flags that several commands have, each defined once."""

from absl import flags

from stylegan_tf.cli.command_line import must_exist

flags.disclaim_key_flags()  # To absl, the flags are those of the module that asks for them.


def define_network() -> None:
    """--network: one network."""
    flags.DEFINE_string("network", None, "A network file, a run folder (its newest network), or `demo`.")
    must_exist("network", "demo")


def define_data_dir(text: str = "A folder of TFRecords.") -> None:
    """--data_dir: an existing data set."""
    flags.DEFINE_string("data_dir", None, text)
    must_exist("data_dir")


def define_scale() -> None:
    """--scale, of pictures that are enlarged as far as they need it."""
    text = "Enlarge by repeating pixels; left out: as much as small images need."
    flags.DEFINE_integer("scale", None, text, lower_bound=1)
