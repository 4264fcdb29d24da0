"""Flags of commands that generate images (network, truncation, class, crop, noise, directions) and their `Painter`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from stylegan_tf.cli import flags
from stylegan_tf.cli.seeds import Key
from stylegan_tf.config import ServingOptions

FLAGS = flags.FLAGS

with flags.group("Network and images"):
    flags.define_network()
    flags.define_psi("Truncation psi: 1: full variety, 0: the mean image, negative: its opposite.")
    flags.define(
        "truncation_cutoff", 8, "Number of layers, from the first, to which truncation applies.", lower_bound=0
    )
    flags.define_options(ServingOptions, "truncation_centre")
    flags.define(
        "class",
        None,
        "Class for a network with labels: a name or number, like cat or 3, or a mixed label, like cat=0.3,dog=1. "
        "generate and interpolate take several classes, like cat,dog, or all.",
    )


def define_pictures(noise_modes: Sequence[str] = ("const", "random", "none")) -> None:
    """--crop, and --noise_mode for the commands that are not about noise themselves."""
    meanings = {"const": "the network's fixed maps", "random": "fresh maps", "none": "no noise"}
    text = "; ".join(f"{mode}: {meanings[mode]}" for mode in noise_modes)
    with flags.group("Network and images"):
        flags.define("crop", True, "Undo the letterboxing or stretching of the training pictures.")
        if noise_modes:
            flags.define("noise_mode", "const", f"Noise inputs. {text}.", choices=noise_modes)


def define_moves() -> None:
    """--directions and --move, see `style_offset`."""
    with flags.group("Moving"):
        flags.define("directions", None, "File written by stylegan_tf.directions.")
        flags.define(
            "move",
            None,
            "Directions of that file and the distance to move along each, in standard deviations, like "
            "glasses=2,pca3=-1.",
        )


def check_keys(keys: Sequence[Key]) -> bool:
    """UserError for flags that the images of these keys do not depend on; True if one needs a class."""
    has_seeds = any(key.seed is not None for key in keys)
    is_truncated = has_seeds or any(key.psi is not None for key in keys)
    names = ("class", "truncation_cutoff", "truncation_centre")
    flags.only_with(is_truncated, "seeds or dlatents with a psi like w.npz@0.7", *names)
    takes_psi = any(key.seed is not None and key.psi is None for key in keys)
    flags.only_with(takes_psi, "seeds that have no psi of their own", "truncation_psi")
    return has_seeds


def network_path() -> Path:
    """The network file that --network means."""
    flags.require("network")
    from stylegan_tf.networks.network_file import find_network  # TensorFlow only when there is something to do.

    return find_network(FLAGS.network)


def painters(path: Optional[Path] = None, labeled: bool = True, noise_mode: str = "const"):
    """(name, `Painter` of the network file) for each class of --class as the flags say; one of a network without.

    path: None: that of --network. labeled: False if --class may be omitted.
    """
    path = path or network_path()
    from stylegan_tf.networks.truncation import Truncation
    from stylegan_tf.visualize.painter import load_painters

    crop = "crop" in FLAGS and FLAGS.crop
    truncation = Truncation(FLAGS.truncation_psi, FLAGS.truncation_cutoff, FLAGS.truncation_centre)
    found = load_painters(path, FLAGS["class"].value, truncation, labeled, noise_mode, crop)
    has_labels = found[0][1].config.label_size > 0
    flags.only_with(has_labels or FLAGS.truncation_centre != "class", "a network with labels", "truncation_centre")
    return found


def painter(path: Optional[Path] = None, labeled: bool = True, noise_mode: str = "const"):
    """The only one of `painters`."""
    (_, first), *others = painters(path, labeled, noise_mode)
    if others:
        flags.fail("--class: this command takes one class; the label of several at once is like a=1,b=1.")
    return first


def style_offset(painter):
    """What the flags add to w of every layer: float32 [L, W] for a `Painter`, or 0 without them."""
    if not FLAGS.move and not FLAGS.directions:
        return 0
    if not FLAGS.move or not FLAGS.directions:
        flags.fail("--directions=FILE.npz and --move=NAME=AMOUNT go together: give both.")
    from stylegan_tf.editing.directions import load_directions, parse_moves

    directions = load_directions(FLAGS.directions, *painter.dlatent_shape)
    return directions.offset(parse_moves(FLAGS.move), painter.dlatent_shape[0])
