"""The flags --directions and --move, and what becomes of them."""

from absl import flags

from stylegan_tf.cli.command_line import flag_group
from stylegan_tf.errors import UserError

FLAGS = flags.FLAGS

with flag_group("Moving"):
    flags.DEFINE_string("directions", None, "A file of stylegan_tf.directions.")
    flags.DEFINE_string(
        "move", None, "Directions of that file and how far to go, in standard deviations, like glasses=2,pca3=-1."
    )


def style_offset(painter):
    """What the flags add to w of every layer: float32 [L, W] for a `Painter`, or 0 without them."""
    if not FLAGS.move and not FLAGS.directions:
        return 0
    if not FLAGS.move or not FLAGS.directions:
        raise UserError("--directions=FILE.npz and --move=NAME=AMOUNT go together: give both.")
    from stylegan_tf.editing.directions import load_directions, parse_moves

    directions = load_directions(FLAGS.directions, *painter.dlatent_shape)
    return directions.offset(parse_moves(FLAGS.move), painter.dlatent_shape[0])
