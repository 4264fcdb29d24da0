"""Blends networks: averages of their weights, or the coarse layers of one with the fine layers of another.

    python -m stylegan_tf.blend --networks runs/faces,runs/cartoons --swap 16 --output toons.npz
    python -m stylegan_tf.blend --networks runs/a,runs/b --weights 0.7,0.3 --output mixed.npz
    python -m stylegan_tf.blend --networks runs/a --last 5 --output averaged.npz

The result is a network file like any other, which says what it is made of. Beside it, a picture of the same name shows
the images of --seeds of each network and of the result. Blend networks with a common ancestor, such as one and another
that --init_from started from it: others give noise.
"""

from pathlib import Path

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.config import BlendOptions
from stylegan_tf.errors import UserError

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
    if not FLAGS.output.endswith(".npz"):
        raise UserError(f"--output should end in .npz, got {FLAGS.output}.")
    options, seeds, output = flags.read_options(BlendOptions), parse_seeds(FLAGS.seeds), Path(FLAGS.output)
    from stylegan_tf.editing.blending import blend_metadata, blended
    from stylegan_tf.files.digests import file_sha256
    from stylegan_tf.networks.network_file import Networks, find_networks, load_networks, save_networks

    paths = [path for name in FLAGS.networks for path in find_networks(name)[-FLAGS.last :]]
    loaded = {str(path): load_networks(path) for path in paths}
    generators = {name: networks.best_generator for name, networks in loaded.items()}
    result = blended(generators, options)
    sources = [
        {"network": name, "sha256": file_sha256(name), "kimg": networks.metadata.get("kimg")}
        for name, networks in loaded.items()
    ]
    metadata = blend_metadata(sources, next(iter(loaded.values())).metadata, options)
    output.parent.mkdir(parents=True, exist_ok=True)
    save_networks(output, Networks(None, None, result, metadata))
    print(f"{output}: blended from {', '.join(generators)}")
    if FLAGS.picture:
        _draw({**generators, output.name: result}, seeds, output.with_suffix(".png"))


def _draw(generators, seeds, path):
    """A row for each network, a column for each seed."""
    import numpy as np

    from stylegan_tf.networks.truncation import Truncation
    from stylegan_tf.visualize.painter import Painter
    from stylegan_tf.visualize.picture_files import save_image
    from stylegan_tf.visualize.tile_table import Band, tile_table

    rows = []
    for generator in generators.values():
        size = generator.config.label_size
        label = np.full([size], 1 / size, np.float32) if size else None  # The mean of all classes.
        painter = Painter(generator, label, truncation=Truncation(FLAGS.truncation_psi))
        rows.append(list(painter.pictures(painter.dlatents(painter.latents(seeds)))))
    above = [Band(f"seed {seed}", column, column) for column, seed in enumerate(seeds)]
    beside = [Band(Path(name).stem, row, row) for row, name in enumerate(generators)]
    save_image(tile_table(rows, None, above, beside, breaks_above={len(rows) - 1}), path)
    print(path)


if __name__ == "__main__":
    command_line.run(main)
