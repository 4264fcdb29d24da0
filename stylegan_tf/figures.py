"""Draws the figures of the paper from a network.

    python -m stylegan_tf.figures --network runs/demo --figure style_mixing --output mixing.png

uncurated         Figure 2: uncurated images at several sizes
style_mixing      Figure 3: images of the sources A with the coarse, middle or fine styles of the sources B
noise_detail      Figure 4: one image with several realisations of its noise, and what varies over 100 of them
noise_components  Figure 5: noise in all layers, in none, in the fine layers only, in the coarse layers only
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
    flags.define("figure", None, "The figure to draw, one of those listed above.", choices=_FIGURES)
    flags.define("output", None, "The picture to write: .png, .jpg or .webp. Default: FIGURE.png.")
    flags.define("seeds", None, "Seeds of the images, one per row, like 0-7,12; for style_mixing of the sources A.")
    flags.define("seeds_b", "10-14", "For style_mixing: seeds of the sources B, one per column.")
    flags.define("rows", 3, "For uncurated: number of rows of the largest tiles.", lower_bound=1)
    flags.define("realisations", 100, "For noise_detail: number of realisations of the noise.", lower_bound=4)
    flags.define_scale()
sampling_flags.define_pictures(noise_modes=())


def main():
    flags.require("figure")
    for figure, name in (("uncurated", "rows"), ("style_mixing", "seeds_b"), ("noise_detail", "realisations")):
        flags.only_with(FLAGS.figure == figure, f"--figure={figure}", name)
    flags.only_with(FLAGS.figure != "truncation", "another --figure", "truncation_psi")
    seeds = parse_seeds(FLAGS.seeds or _DEFAULT_SEEDS.get(FLAGS.figure, "0"))
    seeds_b = parse_seeds(FLAGS.seeds_b, "seeds_b")
    if FLAGS.figure == "truncation":
        FLAGS.set_default("truncation_cutoff", None)  # As in the paper's figure.
    from stylegan_tf.visualize.picture_files import check_picture_path, save_image

    output = Path(FLAGS.output or f"{FLAGS.figure}.png")
    check_picture_path(output)
    painter = sampling_flags.painter()
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
