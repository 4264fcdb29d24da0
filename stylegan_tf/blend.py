"""Blends networks: averages their weights, or joins the coarse layers of one with the fine layers of another.

    python -m stylegan_tf.blend --networks runs/faces,runs/cartoons --swap 16 --output toons.npz
    python -m stylegan_tf.blend --networks runs/a,runs/b --weights 0.7,0.3 --output mixed.npz
    python -m stylegan_tf.blend --networks runs/a --last 5 --output averaged.npz

The result is a network file like any other, and records the networks that it was made from. A picture of the same name
is written next to it, which shows the images of --seeds of each network and of the result. The networks must have a
common ancestor, such as a network and another one that was started from it by --init_from; otherwise the result
generates noise.
"""

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.config import BlendOptions

FLAGS = flags.FLAGS
flags.define("networks", [], "Network files or run folders (the newest network of each), separated by commas.")
flags.define("last", 1, "Number of networks of each run folder to take, counted back from the newest.", lower_bound=1)
flags.define("output", None, "The network file to write, ending in .npz.")
flags.define_options(BlendOptions)
flags.define("seeds", "0-5", "Seeds of the images in the picture.")
flags.define("picture", True, "Draw a picture that compares the networks with the result.")
flags.define_psi("Truncation psi of the images in the picture.")


def main():
    flags.require("networks", "output")
    flags.require_suffix("output", ".npz")
    flags.only_with(FLAGS.picture, "--picture", "seeds", "truncation_psi")
    options, seeds = flags.read_options(BlendOptions), parse_seeds(FLAGS.seeds)
    from stylegan_tf.editing.blending import blend_files

    shown = {"seeds": seeds if FLAGS.picture else (), "truncation_psi": FLAGS.truncation_psi}
    blend_files(FLAGS.networks, FLAGS.output, options, FLAGS.last, **shown, note=command_line.show)


if __name__ == "__main__":
    command_line.run(main)
