"""Shows the nearest real images of generated or given ones, and says whether a network repeats its training images.

    python -m stylegan_tf.nearest --network runs/demo --data_dir datasets/demo --seeds 0-199 --table nearest.json
    python -m stylegan_tf.nearest --network runs/faces --data_dir datasets/train --held_out_dir datasets/test
    python -m stylegan_tf.nearest --images pictures --data_dir datasets/demo --image_distance features

A row of the picture has an image, then its nearest real ones with their distances; --table has the record numbers and
distances of all. The conclusion compares with held-out images of the same source (the better test), or with the
distances of real images to each other. It needs some hundred images to say anything.
"""

import json
from pathlib import Path

from stylegan_tf.cli import command_line, flags, sampling_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.config import NearestOptions, TrainConfig
from stylegan_tf.errors import UserError

FLAGS = flags.FLAGS
FLAGS.set_default("truncation_psi", 1.0)  # Truncated images are nearer to all others than they should be.
flags.define("data_dir", None, "Folder of TFRecords with the training images.")
flags.define("held_out_dir", None, "Folder of TFRecords of the same source that the network has not seen.")
flags.define("seeds", "0-99", "Of the generated images.")
flags.define("images", None, "In place of a network: pictures of the dataset's size, a folder or an archive.")
flags.define("output", "nearest.png", "The picture.")
flags.define("table", None, "A file for all distances, .json.")
flags.define_options(NearestOptions)
flags.define_options(
    TrainConfig,
    image_distance="pixels (root mean square, of 255), features of --feature_extractor, or a file of "
    "stylegan_tf.build_lpips. Left out: pixels.",
)
flags.define_options(TrainConfig, "feature_extractor")


def main():
    flags.require("data_dir")
    if bool(FLAGS.network) == bool(FLAGS.images):
        raise UserError("give either --network or --images.")
    options, seeds = flags.read_options(NearestOptions), parse_seeds(FLAGS.seeds)
    from stylegan_tf.data.dataset_files import find_dataset
    from stylegan_tf.metrics.images.real import RealImages
    from stylegan_tf.metrics.nearest import ImageVectors, find_nearest

    infos = [find_dataset(folder) for folder in (FLAGS.data_dir, FLAGS.held_out_dir) if folder]
    names, images = _images(infos[0], seeds)
    if {info.num_channels for info in infos} != {images.shape[3]}:
        raise UserError(f"the images have {images.shape[3]} channel(s), those of the dataset {infos[0].num_channels}.")
    vectors = ImageVectors(FLAGS.image_distance or "pixels", FLAGS.feature_extractor, options.compare_size)
    training, *held_out = (RealImages(info, images.shape[1]) for info in infos)
    found = find_nearest(images, vectors, training, held_out[0] if held_out else None, options, ProgressBar)
    _draw(training, images, names, found, options.rows)
    if FLAGS.table:
        _write_table(vectors.name, names, found)
    print(f"{vectors.name}: {found.conclusion.sentence}")


def _images(info, seeds):
    """-> names, uint8 [N, R, R, C]."""
    import numpy as np

    if FLAGS.images:
        from stylegan_tf.metrics.images.folder import open_pictures

        pictures, _ = open_pictures(FLAGS.images, info)
        return [str(number) for number in range(len(pictures))], pictures.inputs(0, len(pictures))[0]
    painter = sampling_flags.painter()
    images = np.concatenate(list(painter.sampler.images_of_dlatents(painter.dlatents(painter.latents(seeds)))))
    return [f"seed {seed}" for seed in seeds], images


def _draw(training, images, names, found, rows):
    """A row for each image: itself, then its nearest real ones."""
    from stylegan_tf.metrics.nearest import images_at
    from stylegan_tf.visualize.picture_files import as_rgb, save_image
    from stylegan_tf.visualize.tile_table import Band, tile_table

    rows, numbers = min(rows, len(images)), found.numbers
    reals = images_at(training, [number for number in numbers[:rows].ravel() if number >= 0])
    tiles = [
        [as_rgb(images[row : row + 1])[0]] + [as_rgb(reals[number][None])[0] for number in numbers[row] if number >= 0]
        for row in range(rows)
    ]
    above = [Band("image", 0, 0), Band("nearest real images, from left to right", 1, len(tiles[0]) - 1)]
    beside = [Band(f"{names[row]}: {found.distances[row, 0]:.3g}", row, row) for row in range(rows)]
    Path(FLAGS.output).parent.mkdir(parents=True, exist_ok=True)
    save_image(tile_table(tiles, None, above, beside, breaks_beside={1}), FLAGS.output)
    print(FLAGS.output)


def _write_table(name, names, found):
    import dataclasses

    import numpy as np

    from stylegan_tf.files.atomic_write import atomic_write

    kind = "to_held_out" if FLAGS.held_out_dir else "real_to_real"
    quantiles = {str(q): float(np.quantile(found.reference, q)) for q in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95)}
    rows = [
        {"image": image, "records": numbers[numbers >= 0].tolist(), "distances": distances[numbers >= 0].tolist()}
        for image, numbers, distances in zip(names, found.numbers, found.distances)
    ]
    conclusion = dataclasses.asdict(found.conclusion)
    content = {"distance": name, "conclusion": conclusion, f"quantiles_{kind}": quantiles, "images": rows}
    with atomic_write(Path(FLAGS.table)) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(FLAGS.table)


if __name__ == "__main__":
    command_line.run(main)
