"""Generates images from a network: one file per seed in a folder or a zip file, or one picture of all.

    python -m stylegan_tf.generate --network runs/demo --seeds 0-31 --outdir out
    python -m stylegan_tf.generate --network runs/demo --seeds 0-31 --grid out/grid.png
    python -m stylegan_tf.generate --network runs/demo --seeds 0-49999 --outdir out.zip --truncation_psi 1
    python -m stylegan_tf.generate --network runs/demo --directions directions.npz --move pca1=2 --outdir moved

Several classes (--class a,b or all) get a folder each: OUTDIR/a/seed0000.png, ...

The latent of seed s is numpy.random.RandomState(s).randn(1, latent_size): the same seed is the same image.
Images that are in --outdir already, made with the same network and flags, are not made again: an interrupted
command resumes. The file images.jsonl in it says what made each image.
"""

import dataclasses
import re
import sys
from pathlib import Path

from stylegan_tf.cli import command_line, flags, sampling_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.errors import UserError
from stylegan_tf.files.digests import file_sha256

FLAGS = flags.FLAGS
sampling_flags.define_noise_mode()
with flags.group("What to generate"):
    flags.define("seeds", "0-15", "Seeds and ranges of seeds, like 0-7,12.")
    flags.define(
        "dlatents",
        None,
        "In place of seeds: a file of styles, an .npz with the entry dlatents or an .npy, [images, layers, width of w] "
        "or [images, width of w]. They are used as they are: without truncation, without labels, and with the "
        "noise maps in the file, if it has some and --noise_mode is const.",
    )
with flags.group("Where to"):
    flags.define("outdir", None, "Folder for seed0000.png, ..., or the name of a .zip for them.")
    flags.define("format", "png", "Files in --outdir; png keeps every bit.", choices=["png", "jpg", "webp"])
    flags.define("scale", 1, "Enlarge by repeating pixels, also in the grid.", lower_bound=1, upper_bound=64)
    flags.define("grid", None, "Write one picture of all images to this file: .png, .jpg or .webp.")
    flags.define(
        "grid_columns", None, "Images per row of the grid; left out: about as many as rows.", int, lower_bound=1
    )
    flags.define("save_dlatents", None, "Write the styles of the images, truncated, to this .npz or .npy.")
_CHUNK = 1024  # Images whose names and styles are in memory at once.
_LARGEST_GRID = 65536


def main():
    if not (FLAGS.outdir or FLAGS.grid or FLAGS.save_dlatents):
        raise UserError("there is nowhere to write to: give --outdir=FOLDER, or --grid=FILE.png, or both.")
    if FLAGS.dlatents:
        for name in ("seeds", "truncation_psi", "truncation_cutoff", "truncation_centre", "class", "save_dlatents"):
            if FLAGS[name].present:
                raise UserError(f"--{name} does not go with --dlatents: those styles are used as they are.")
    seeds = parse_seeds(FLAGS.seeds, most=2**40)
    if FLAGS.grid and len(seeds) > _LARGEST_GRID and not FLAGS.dlatents:
        raise UserError(f"--grid shows {_LARGEST_GRID:,} images at most, --seeds names {len(seeds):,}.")
    network = sampling_flags.network_path()
    painters = sampling_flags.painters(network, noise_mode=FLAGS.noise_mode, labeled=not FLAGS.dlatents)
    if FLAGS.dlatents:
        sets = [_FileStyles(painters[0][1])]
    else:
        sets = [_SeedStyles(painter, seeds, name, several=len(painters) > 1) for name, painter in painters]
    if len(sets) > 1 and FLAGS.outdir and FLAGS.outdir.lower().endswith(".zip"):
        raise UserError("several classes get a folder each: give --outdir=FOLDER, or one --class for a .zip.")
    if FLAGS.save_dlatents:
        _save_dlatents(sets)
    if FLAGS.outdir:
        _write_files(network, sets)
    if FLAGS.grid:
        _write_grid(sets)


class _SeedStyles:
    """The styles of seeds in one class; names of their images."""

    def __init__(self, painter, seeds, name, several):
        self.painter, self._seeds, self._offset = painter, seeds, sampling_flags.style_offset(painter)
        self.folder = _folder_name(name, painter) if several else ""
        psi, cutoff, centre = dataclasses.astuple(painter.truncation)
        label = name if several else FLAGS["class"].value
        self.options = {"truncation_psi": psi, "truncation_cutoff": cutoff, "class": label}
        if painter.label is not None and centre != "all":  # Records of earlier versions have none.
            self.options["truncation_centre"] = centre

    def __len__(self):
        return len(self._seeds)

    def name(self, index):
        return f"seed{self._seeds[index]:04d}"

    def part(self, indices):
        """w [n, L, W], noise maps or None."""
        ws = self.painter.dlatents(self.painter.latents(self._seeds[index] for index in indices))
        return ws + self._offset, None


def _folder_name(name, painter):
    """The class's name if it can be that of a folder, else its number."""
    is_safe = re.fullmatch(r"\w[\w .+()-]*", name)
    return name if is_safe else f"class{painter.label.argmax()}"


class _FileStyles:
    """The styles of --dlatents."""

    folder = ""

    def __init__(self, painter):
        self.painter = painter
        from stylegan_tf.files.dlatents import load_dlatents, load_noise

        ws = load_dlatents(FLAGS.dlatents, *painter.dlatent_shape, command_line.warn)
        self._ws = ws + sampling_flags.style_offset(painter)
        uses_noise = FLAGS.noise_mode == "const"
        self._noise = load_noise(FLAGS.dlatents, len(self._ws), painter.noise_shapes) if uses_noise else None
        self.options = {"dlatents_sha256": file_sha256(FLAGS.dlatents)}

    def __len__(self):
        return len(self._ws)

    def name(self, index):
        return f"image{index:04d}"

    def part(self, indices):
        rows = list(indices)
        return self._ws[rows], self._noise and [maps[rows] for maps in self._noise]


def _chunks(styles):
    """Of the indices of all images."""
    for start in range(0, len(styles), _CHUNK):
        yield range(start, min(start + _CHUNK, len(styles)))


def _save_dlatents(sets):
    from stylegan_tf.files.dlatents import save_dlatents

    shape = (sum(map(len, sets)), *sets[0].painter.dlatent_shape)
    parts = (styles.part(indices)[0] for styles in sets for indices in _chunks(styles))
    save_dlatents(FLAGS.save_dlatents, shape, parts)


def _write_files(network, sets):
    made_with = {"network": network.name, "network_sha256": file_sha256(network)}
    if FLAGS.directions:
        made_with.update(directions_sha256=file_sha256(FLAGS.directions), move=FLAGS.move)
    made_with.update(noise_mode=FLAGS.noise_mode, crop=FLAGS.crop, scale=FLAGS.scale)
    from stylegan_tf.files.working_copy import working_path

    with (
        working_path(FLAGS.outdir, note=command_line.warn) as outdir,
        ProgressBar(sum(map(len, sets)), "Generating", "images") as bar,
    ):
        done = 0
        for styles in sets:
            done = _write_folder(styles, outdir / styles.folder, made_with, bar, done)


def _write_folder(styles, path, made_with, bar, done):
    """`done`: images of the classes before; returns it with those of this one."""
    from stylegan_tf.visualize.image_folders import open_image_folder

    def note(line):
        print(line, file=sys.stderr)

    with open_image_folder(path, {**made_with, **styles.options}, note) as folder:
        for indices in _chunks(styles):
            wanted = {f"{styles.name(index)}.{FLAGS.format}": index for index in indices}
            missing = {name: index for name, index in wanted.items() if not folder.has(name)}
            done += len(indices) - len(missing)  # Existing ones, or named twice.
            bar.skip(len(indices) - len(missing))
            for names, images in _drawn(styles, missing):
                folder.add(names, images)
                done += len(names)
                bar.update(done)
    return done


def _drawn(styles, missing):
    """Yields (names, images) of some images: a dictionary of their indices by name."""
    names = list(missing)
    if not names:
        return
    ws, noise = styles.part(list(missing.values()))
    for images in styles.painter.image_batches(ws, noise=noise):
        yield names[: len(images)], images.repeat(FLAGS.scale, axis=1).repeat(FLAGS.scale, axis=2)
        names = names[len(images) :]


def _write_grid(sets):
    import numpy as np

    from stylegan_tf.visualize.picture_files import as_shown, save_image_grid

    parts = [_drawn(styles, {index: index for index in range(len(styles))}) for styles in sets]
    images = [images for part in parts for _, images in part]
    Path(FLAGS.grid).parent.mkdir(parents=True, exist_ok=True)
    save_image_grid(as_shown(np.concatenate(images)), FLAGS.grid, FLAGS.grid_columns)


if __name__ == "__main__":
    command_line.run(main, addresses=["outdir"])
