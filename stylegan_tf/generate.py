"""Generates images from a network: one file per seed in a folder or a zip file, or one picture of all.

    python -m stylegan_tf.generate --network runs/demo --seeds 0-31 --outdir out
    python -m stylegan_tf.generate --network runs/demo --seeds 0-31 --grid out/grid.png
    python -m stylegan_tf.generate --network runs/demo --seeds 0-49999 --outdir out.zip --truncation_psi 1
    python -m stylegan_tf.generate --network runs/demo --directions directions.npz --move pca1=2 --outdir moved

With several classes (--class a,b or all) each gets a folder: OUTDIR/a/seed0000.png, ...

The latent of seed s is numpy.random.RandomState(s).randn(1, latent_size): the same seed gives the same image.
Images that --outdir already holds from the same network and flags are not generated again, so that an interrupted
command resumes. The file images.jsonl in it records how each image was generated. Until all images of a .zip
are there, they are in the folder NAME.zip.unfinished, which the command needs to resume.
"""

from stylegan_tf.cli import command_line, flags, sampling_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.cli.seeds import parse_seeds

FLAGS = flags.FLAGS
sampling_flags.define_pictures()
sampling_flags.define_moves()
with flags.group("What to generate"):
    flags.define("seeds", "0-15", "Seeds and ranges of seeds, like 0-7,12.")
    flags.define(
        "dlatents",
        None,
        "File of styles to use in place of seeds: an .npz with the entry dlatents, or an .npy, of shape [images, "
        "layers, width of w] or [images, width of w]. They are used unchanged: without truncation and labels, and "
        "with the noise maps in the file if it has any and --noise_mode is const.",
    )
with flags.group("Where to"):
    flags.define("outdir", None, "Folder for seed0000.png, ..., or the name of a .zip file for them.")
    flags.define("format", "png", "Format of the files in --outdir; png is lossless.", choices=["png", "jpg", "webp"])
    flags.define(
        "scale",
        None,
        "Factor by which pixels are repeated. Default: 1 for --outdir; a grid of small images is enlarged.",
        int,
        lower_bound=1,
        upper_bound=64,
    )
    flags.define("grid", None, "File for one picture of all images: .png, .jpg or .webp.")
    flags.define(
        "grid_columns", None, "Images per row of the grid. Default: about as many as rows.", int, lower_bound=1
    )
    flags.define("save_dlatents", None, "File for the styles of the images after truncation: .npz or .npy.")


def main():
    if not (FLAGS.outdir or FLAGS.grid or FLAGS.save_dlatents):
        flags.fail("there is nowhere to write to: give --outdir=FOLDER, or --grid=FILE.png, or both.")
    flags.only_with(FLAGS.outdir, "--outdir", "format")
    flags.only_with(FLAGS.grid, "--grid", "grid_columns")
    if FLAGS.dlatents:
        for name in ("seeds", "truncation_psi", "truncation_cutoff", "truncation_centre", "class", "save_dlatents"):
            if FLAGS[name].present:
                flags.fail(f"--{name} does not go with --dlatents: those styles are used as they are.")
    seeds = parse_seeds(FLAGS.seeds, limit=2**20)
    network = sampling_flags.network_path()
    from stylegan_tf.visualize import generating, picture_files

    if FLAGS.grid:
        picture_files.check_picture_path(FLAGS.grid)
    painters = sampling_flags.painters(network, noise_mode=FLAGS.noise_mode, labeled=not FLAGS.dlatents)
    offset = sampling_flags.style_offset(painters[0][1])
    if FLAGS.dlatents:
        sets = [generating.styles_of_file(painters[0][1], FLAGS.dlatents, offset, command_line.warn)]
    else:
        sets = generating.styles_of_seeds(painters, seeds, FLAGS["class"].value, offset)
    if len(sets) > 1 and FLAGS.outdir and FLAGS.outdir.lower().endswith(".zip"):
        flags.fail("several classes get a folder each: give --outdir=FOLDER, or one --class for a .zip.")
    if FLAGS.grid:
        enlargement = generating.check_grid(FLAGS.grid, sets, FLAGS.scale, FLAGS.grid_columns)
    if FLAGS.save_dlatents:
        generating.save_styles(FLAGS.save_dlatents, sets)
    images, scale = None, FLAGS.scale or 1
    if FLAGS.outdir:
        moved = {"directions": FLAGS.directions, "move": FLAGS.move, "noise_mode": FLAGS.noise_mode, "crop": FLAGS.crop}
        made_with = generating.made_with(network, **moved, scale=scale)
        with command_line.output_path("outdir") as outdir:
            options = (FLAGS.format, scale, ProgressBar)
            images = generating.write_images(outdir, sets, made_with, *options, keep=bool(FLAGS.grid))
    if FLAGS.grid:
        images = images or generating.draw_images(sets, scale, ProgressBar)
        picture_files.save_image_grid(images, FLAGS.grid, FLAGS.grid_columns, enlargement)


if __name__ == "__main__":
    command_line.run(main, addresses=["outdir"])
