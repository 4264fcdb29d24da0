"""Generates images from a network: one file per seed in a folder or a zip file, or one picture of all.

    python -m stylegan_tf.generate --network runs/demo --seeds 0-31 --outdir out
    python -m stylegan_tf.generate --network runs/demo --seeds 0-31 --grid out/grid.png
    python -m stylegan_tf.generate --network runs/demo --seeds 0-49999 --outdir out.zip --truncation_psi 1
    python -m stylegan_tf.generate --network runs/demo --directions directions.npz --move pca1=2 --outdir moved

The latent of seed s is numpy.random.RandomState(s).randn(1, latent_size): the same seed is the same image.
Images that are in --outdir already, made with the same network and flags, are not made again: an interrupted
command goes on. The file images.jsonl in it says what made each image.
"""

from pathlib import Path

from absl import flags

from stylegan_tf.cli import command_line, move_flags, sampling_flags
from stylegan_tf.cli.seeds_and_labels import parse_seeds
from stylegan_tf.errors import UserError
from stylegan_tf.files.digests import file_sha256
from stylegan_tf.progress import ProgressBar

FLAGS = flags.FLAGS
sampling_flags.define_noise_mode()
with command_line.flag_group("What to generate"):
    flags.DEFINE_string("seeds", "0-15", "Seeds and ranges of seeds, like 0-7,12.")
    flags.DEFINE_string(
        "dlatents",
        None,
        "In place of seeds: a file of styles, an .npz with the entry dlatents or an .npy, [images, layers, width of w] "
        "or [images, width of w]. They are used as they are: without truncation, without labels, and with the "
        "noise maps in the file, if it has some and --noise_mode is const.",
    )
with command_line.flag_group("Where to"):
    flags.DEFINE_string("outdir", None, "Folder for seed0000.png, ..., or the name of a .zip for them.")
    flags.DEFINE_enum("format", "png", ["png", "jpg", "webp"], "Files in --outdir; png keeps every bit.")
    flags.DEFINE_integer("scale", 1, "Enlarge by repeating pixels, also in the grid.", lower_bound=1)
    flags.DEFINE_string("grid", None, "Write one picture of all images to this file: .png, .jpg or .webp.")
    flags.DEFINE_integer("grid_columns", None, "Images per row of the grid; left out: about as many as rows.")
    flags.DEFINE_string("save_dlatents", None, "Write the styles of the images, truncated, to this .npz or .npy.")
_CHUNK = 1024  # Seeds whose styles are in memory at once.


def main():
    if not (FLAGS.outdir or FLAGS.grid or FLAGS.save_dlatents):
        raise UserError("there is nowhere to write to: give --outdir=FOLDER, or --grid=FILE.png, or both.")
    if FLAGS.dlatents:
        for name in ("seeds", "truncation_psi", "truncation_cutoff", "class", "save_dlatents"):
            if FLAGS[name].present:
                raise UserError(f"--{name} does not go with --dlatents: those styles are used as they are.")
    seeds = parse_seeds(FLAGS.seeds)
    network = sampling_flags.network_path()
    painter = sampling_flags.painter(network, noise_mode=FLAGS.noise_mode, labeled=not FLAGS.dlatents)
    styles = _FileStyles(painter) if FLAGS.dlatents else _SeedStyles(painter, seeds)
    if FLAGS.save_dlatents:
        styles.save(FLAGS.save_dlatents)
    if FLAGS.outdir:
        _write_files(network, painter, styles)
    if FLAGS.grid:
        _write_grid(painter, styles)


class _SeedStyles:
    """The styles of seeds; names of their images."""

    def __init__(self, painter, seeds):
        self._painter, self._seeds, self._offset = painter, seeds, move_flags.style_offset(painter)
        self.names = [f"seed{seed:04d}" for seed in seeds]
        psi, cutoff, label = FLAGS.truncation_psi, FLAGS.truncation_cutoff, FLAGS["class"].value
        self.options = {"truncation_psi": psi, "truncation_cutoff": cutoff, "class": label}

    def parts(self, indices):
        """Yields (indices, w [n, L, W], noise maps or None) in order."""
        for start in range(0, len(indices), _CHUNK):
            part = indices[start : start + _CHUNK]
            ws = self._painter.dlatents(self._painter.latents(self._seeds[index] for index in part))
            yield part, ws + self._offset, None

    def save(self, path):
        from stylegan_tf.files.dlatents import save_dlatents

        shape = (len(self._seeds), *self._painter.dlatent_shape)
        save_dlatents(path, shape, (ws for _, ws, _ in self.parts(range(len(self._seeds)))))


class _FileStyles:
    """The styles of --dlatents."""

    def __init__(self, painter):
        from stylegan_tf.files.dlatents import load_dlatents, load_noise

        self._ws = load_dlatents(FLAGS.dlatents, *painter.dlatent_shape) + move_flags.style_offset(painter)
        uses_noise = FLAGS.noise_mode == "const"
        self._noise = load_noise(FLAGS.dlatents, len(self._ws), painter.noise_shapes) if uses_noise else None
        self.names = [f"image{index:04d}" for index in range(len(self._ws))]
        self.options = {"dlatents_sha256": file_sha256(FLAGS.dlatents)}

    def parts(self, indices):
        rows = list(indices)
        yield indices, self._ws[rows], self._noise and [maps[rows] for maps in self._noise]


def _write_files(network, painter, styles):
    from stylegan_tf.visualize.image_folders import open_image_folder

    made_with = {"network": network.name, "network_sha256": file_sha256(network), **styles.options}
    if FLAGS.directions:
        made_with.update(directions_sha256=file_sha256(FLAGS.directions), move=FLAGS.move)
    made_with.update(noise_mode=FLAGS.noise_mode, crop=FLAGS.crop, scale=FLAGS.scale)
    names = [f"{name}.{FLAGS.format}" for name in styles.names]
    wanted = {name: index for index, name in enumerate(names)}  # A seed that is named twice is one file.
    with (
        open_image_folder(FLAGS.outdir, made_with) as folder,
        ProgressBar(len(wanted), "Generating", "images") as bar,
    ):
        missing = [index for name, index in wanted.items() if not folder.has(name)]
        done = len(wanted) - len(missing)
        bar.start_at(done)
        for indices, ws, noise in styles.parts(missing):
            written = 0
            for images in _enlarged(painter.image_batches(ws, noise=noise)):
                batch = indices[written : written + len(images)]
                folder.add([names[index] for index in batch], images)
                written, done = written + len(images), done + len(images)
                bar.update(done)


def _write_grid(painter, styles):
    import numpy as np

    from stylegan_tf.visualize.picture_files import save_image_grid

    everything = range(len(styles.names))
    parts = styles.parts(everything)
    images = [images for _, ws, noise in parts for images in _enlarged(painter.image_batches(ws, noise=noise))]
    Path(FLAGS.grid).parent.mkdir(parents=True, exist_ok=True)
    save_image_grid(np.concatenate(images), FLAGS.grid, FLAGS.grid_columns)


def _enlarged(batches):
    for images in batches:
        yield images.repeat(FLAGS.scale, axis=1).repeat(FLAGS.scale, axis=2)


if __name__ == "__main__":
    command_line.run(main)
