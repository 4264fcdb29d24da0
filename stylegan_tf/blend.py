"""Blends networks: averages of their weights, or the coarse layers of one with the fine layers of another.

    python -m stylegan_tf.blend --networks runs/faces,runs/cartoons --swap 16 --output toons.npz
    python -m stylegan_tf.blend --networks runs/a,runs/b --weights 0.7,0.3 --output mixed.npz
    python -m stylegan_tf.blend --networks runs/a --last 5 --output averaged.npz

The result is a network file like any other, which says what it is made of. Beside it, a picture of the same name shows
the images of --seeds of each network and of the result. Blend networks with a common ancestor, such as one and another
that --init_from started from it: others give noise.
"""

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.config import BlendOptions

FLAGS = flags.FLAGS
flags.define("networks", [], "Network files or run folders (the newest network of each), separated by commas.")
flags.define("last", 1, "Of a run folder, its last networks in place of the newest alone.", lower_bound=1)
flags.define("output", None, "The network file to write, ending in .npz.")
flags.define_options(BlendOptions)
flags.define("seeds", "0-5", "Of the images in the picture.")
flags.define("picture", True, "Draw it.")
flags.define("truncation_psi", 0.7, "Of the images in the picture.")


def main():
    flags.require("networks", "output")
    flags.require_suffix("output", ".npz")
    options, seeds = flags.read_options(BlendOptions), parse_seeds(FLAGS.seeds)
    from stylegan_tf.editing.blending import blend_files

    shown = {"seeds": seeds if FLAGS.picture else (), "truncation_psi": FLAGS.truncation_psi}
    blend_files(FLAGS.networks, FLAGS.output, options, FLAGS.last, **shown, note=print)


if __name__ == "__main__":
    command_line.run(main)
