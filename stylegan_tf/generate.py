"""Generates images from a network: one PNG per seed, or one picture of all.

    python -m stylegan_tf.generate --network runs/demo --seeds 0-31 --outdir out
    python -m stylegan_tf.generate --network runs/demo --seeds 0-31 --grid out/grid.png

The latent of seed s is numpy.random.RandomState(s).randn(1, latent_size): the same seed is the same image.
"""

from pathlib import Path

from absl import flags

from stylegan_tf import command_line
from stylegan_tf.errors import UserError
from stylegan_tf.progress import ProgressBar

FLAGS = flags.FLAGS
flags.DEFINE_string("network", None, "A network file, or a run folder: its newest network.")
flags.DEFINE_string("seeds", "0-15", "Seeds and ranges of seeds, like 0-7,12.")
flags.DEFINE_float("truncation_psi", 0.7, "Truncation: 1 is the full variety, 0 the mean image, negative its opposite.")
flags.DEFINE_integer("truncation_cutoff", 8, "Truncate the first layers only, up to here.")
flags.DEFINE_enum(
    "noise_mode", "const", ["const", "random", "none"], "Noise inputs: the network's fixed maps, fresh ones, or none."
)
flags.DEFINE_string("class", None, "For a network with labels: positions in the label that are 1, like 3 or 0,5.")
flags.DEFINE_string("outdir", None, "Folder for seed0000.png, ...; made if it is not there.")
flags.DEFINE_string("grid", None, "Write one picture of all seeds to this PNG file.")
flags.DEFINE_bool("crop", True, "If the network was trained on letterboxed pictures: cut the bars off.")
flags.DEFINE_integer("grid_columns", None, "Images per row of the grid; left out: about as many as rows.")


def main():
    if not FLAGS.network:
        raise UserError("--network is missing: give a network file or a run folder.")
    if not (FLAGS.outdir or FLAGS.grid):
        raise UserError("there is nowhere to write to: give --outdir=FOLDER, or --grid=FILE.png, or both.")
    seeds = parse_seeds(FLAGS.seeds)
    from stylegan_tf.networks.network_file import load_networks  # TensorFlow only when there is something to do.

    networks = load_networks(FLAGS.network)
    generate(networks.best_generator, seeds, networks.metadata.get("content_box") if FLAGS.crop else None)


def generate(generator, seeds, content_box=None):
    """Writes the images of the seeds as the flags say. content_box: what to cut out, see `crop_to_box`."""
    import numpy as np

    from stylegan_tf.sampling import Sampler, seed_latents
    from stylegan_tf.visualize import crop_to_box, save_image, save_image_grid

    z = seed_latents(seeds, generator.config.latent_size)
    labels = class_labels(FLAGS["class"].value, generator.config.label_size, len(seeds))
    sampler = Sampler(generator, FLAGS.truncation_psi, FLAGS.truncation_cutoff, FLAGS.noise_mode)
    kept, done = [], 0
    if FLAGS.outdir:
        Path(FLAGS.outdir).mkdir(parents=True, exist_ok=True)
    with ProgressBar(len(seeds), "Generating", "images") as bar:
        for images in sampler.images(z, labels):
            images = crop_to_box(images, content_box)
            if FLAGS.outdir:
                for seed, image in zip(seeds[done:], images):
                    save_image(image, Path(FLAGS.outdir) / f"seed{seed:04d}.png")
            if FLAGS.grid:
                kept.append(images)
            done += len(images)
            bar.update(done)
    if FLAGS.grid:
        Path(FLAGS.grid).parent.mkdir(parents=True, exist_ok=True)
        save_image_grid(np.concatenate(kept), FLAGS.grid, FLAGS.grid_columns)


def parse_seeds(text):
    """ "0-7,12" -> [0, 1, ..., 7, 12]; NumPy takes seeds of 0 to 2^32 - 1."""
    seeds = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not (first.isdigit() and (last.isdigit() or "-" not in part)):
            raise UserError(f"--seeds takes numbers and ranges like 0-7,12; {part.strip()!r} is neither.")
        low, high = int(first), int(last or first)
        if low > high or high >= 2**32:
            raise UserError(f"--seeds: {part.strip()!r} is not a range within 0 to {2**32 - 1}.")
        seeds.extend(range(low, high + 1))
    return seeds


def class_labels(text, label_size, count):
    """The same label for all images: float32 [count, label_size], or None for a network without labels."""
    import numpy as np

    if not label_size:
        if text is not None:
            raise UserError("--class was given, but the network has no labels.")
        return None
    if text is None:
        raise UserError(f"the network has labels: choose with --class=N, N from 0 to {label_size - 1}.")
    label = np.zeros([label_size], np.float32)
    for part in text.split(","):
        if not part.strip().isdigit() or int(part) >= label_size:
            raise UserError(f"--class takes numbers from 0 to {label_size - 1}, got {part.strip()!r}.")
        label[int(part)] = 1
    return np.tile(label, [count, 1])


if __name__ == "__main__":
    command_line.run(main)
