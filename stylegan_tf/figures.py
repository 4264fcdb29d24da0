"""Draws the figures of the paper from a network.

    python -m stylegan_tf.figures --network runs/demo --figure style_mixing --output mixing.png

uncurated         Figure 2: images as they come, at several sizes
style_mixing      Figure 3: coarse, middle and fine styles of the sources B in images of the sources A
noise_detail      Figure 4: one image, several realisations of its noise, what varies over 100 of them
noise_components  Figure 5: noise in all layers, none, fine layers only, coarse layers only
truncation        Figure 8: psi 1, 0.7, 0.5, 0, -0.5 and -1
"""

from pathlib import Path

from stylegan_tf.cli import command_line, flags, sampling_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.cli.seeds import parse_seeds

FLAGS = flags.FLAGS
_FIGURES = ["uncurated", "style_mixing", "noise_detail", "noise_components", "truncation"]
_DEFAULT_SEEDS = {"style_mixing": "0-5", "noise_detail": "0,1", "noise_components": "0,1", "truncation": "0-2"}
with flags.group("Figure"):
    flags.define("figure", None, "One of those above.", choices=_FIGURES)
    flags.define("output", None, "The picture: .png, .jpg or .webp. Left out: the figure's name and .png.")
    flags.define("seeds", None, "Seeds like 0-7,12: one for a row; for style_mixing these are the sources A.")
    flags.define("seeds_b", "10-14", "style_mixing: the sources B, one a column.")
    flags.define("rows", 3, "uncurated: rows of the largest tiles.", lower_bound=1)
    flags.define("realisations", 100, "noise_detail: number of realisations of the noise.", lower_bound=4)
    flags.define_scale()


def main():
    flags.require("figure")
    seeds = parse_seeds(FLAGS.seeds or _DEFAULT_SEEDS.get(FLAGS.figure, "0"))
    seeds_b = parse_seeds(FLAGS.seeds_b, "seeds_b")
    if FLAGS.figure == "truncation":
        FLAGS.set_default("truncation_cutoff", None)  # As in the paper's figure.
    painter = sampling_flags.painter()
    from stylegan_tf.visualize.picture_files import save_image

    output = Path(FLAGS.output or f"{FLAGS.figure}.png")
    output.parent.mkdir(parents=True, exist_ok=True)
    save_image(_draw(painter, seeds, seeds_b), output)
    print(output)


def _draw(painter, seeds, seeds_b):
    from stylegan_tf.visualize import figures, style_mixing

    if FLAGS.figure == "uncurated":
        if FLAGS.seeds is None:
            seeds = range(figures.uncurated_count(FLAGS.rows))
        return figures.uncurated_figure(painter, seeds, FLAGS.rows, FLAGS.scale, ProgressBar)
    if FLAGS.figure == "style_mixing":
        return style_mixing.style_mixing_figure(painter, seeds, seeds_b, FLAGS.scale, ProgressBar)
    if FLAGS.figure == "noise_detail":
        return figures.noise_detail_figure(painter, seeds, FLAGS.realisations, FLAGS.scale, ProgressBar)
    if FLAGS.figure == "noise_components":
        return figures.noise_components_figure(painter, seeds, FLAGS.scale)
    return figures.truncation_figure(painter, seeds, scale=FLAGS.scale)


if __name__ == "__main__":
    command_line.run(main)
