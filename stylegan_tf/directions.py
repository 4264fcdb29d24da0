"""Finds directions in the latent space of a network along which its images change in one way.

    python -m stylegan_tf.directions --network runs/demo --method pca,sefa --output directions.npz
    python -m stylegan_tf.directions --network runs/demo --method attributes --classifiers classifiers/demo
    python -m stylegan_tf.generate --network runs/demo --directions directions.npz --move pca1=2,sefa3=-1 --outdir out

pca         principal components of w
sefa        what changes the styles most, by their weights alone, each scaled to unit length as published
attributes  normals of planes that separate images with and without an attribute, by classifiers or a table of labels

Amounts are standard deviations of w along the direction; of attributes, those of the attribute's own score. Beside the
file, a picture of the same name shows the images of --seeds moved along each direction.
"""

from pathlib import Path

from stylegan_tf.cli import command_line, flags, sampling_flags
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.errors import UserError

FLAGS = flags.FLAGS
_METHODS = ("pca", "sefa", "attributes")
with flags.group("Directions"):
    flags.define("method", ["pca"], "One or several of pca, sefa, attributes.")
    flags.define("output", "directions.npz", "The file to write.")
    flags.define("count", 10, "Directions of pca, and of sefa.", lower_bound=1)
    flags.define("layers", None, "Layers to apply the directions to: coarse, middle, fine or like 0-3; left out: all.")
    flags.define("samples", 20_000, "Images or latents to analyse.", lower_bound=2)
    flags.define("classifiers", None, "attributes: a folder of stylegan_tf.train_classifier.")
    flags.define(
        "labels",
        None,
        "attributes: in place of classifiers a .csv with the first line `seed,glasses,hat`, then for each image its "
        "seed and 0 or 1 for each attribute, or nothing. With `image` in place of `seed`: a number in --dlatents.",
    )
    flags.define("dlatents", None, "The file of dlatents that --labels is about, such as project's.")
    flags.define("seed", 0, "Of the latents to analyse.", lower_bound=0, upper_bound=2**31 - 1)
with flags.group("Picture"):
    flags.define("picture", True, "Draw it.")
    flags.define("seeds", "0", "Seeds of the images that are moved.")
    flags.define("amounts", ["-3", "-2", "-1", "0", "1", "2", "3"], "How far, one a column.")
    flags.define_scale()
sampling_flags.define_noise_mode(["const", "none"])


def main():
    unknown = sorted(set(FLAGS.method) - set(_METHODS))
    if unknown:
        raise UserError(f"--method takes {', '.join(_METHODS)}; got {unknown[0]!r}.")
    if "attributes" in FLAGS.method and bool(FLAGS.classifiers) == bool(FLAGS.labels):
        raise UserError("--method=attributes needs either --classifiers=FOLDER or --labels=FILE.csv.")
    seeds, amounts = parse_seeds(FLAGS.seeds), _amounts()
    network = sampling_flags.network_path()
    painter = sampling_flags.painter(network, noise_mode=FLAGS.noise_mode)
    from stylegan_tf.editing.directions import save_directions
    from stylegan_tf.files.digests import file_sha256

    directions = _find(painter)
    output = Path(FLAGS.output)
    made_with = {"network_sha256": file_sha256(network), "method": FLAGS.method, "seed": FLAGS.seed}
    save_directions(output, directions, made_with)
    print(f"{output}: {', '.join(directions.names)}")
    if FLAGS.picture:
        _draw(painter, directions, seeds, amounts, output.with_suffix(".png"))


def _amounts():
    try:
        return [float(amount) for amount in FLAGS.amounts]
    except ValueError:
        raise UserError(f"--amounts takes numbers like -2,0,2; got {','.join(FLAGS.amounts)!r}.") from None


def _find(painter):
    """All requested directions."""
    from stylegan_tf.editing import direction_methods as methods
    from stylegan_tf.visualize.sampling import random_w
    from stylegan_tf.visualize.style_mixing import parse_layers

    layers = (0, painter.dlatent_shape[0])
    if FLAGS.layers is not None:
        painter.check_styles("--layers")
        numbers = parse_layers(FLAGS.layers, painter.resolutions)
        layers = (numbers[0], numbers[-1] + 1)
        if len(numbers) != layers[1] - layers[0]:
            raise UserError(f"--layers takes neighbouring layers, got {FLAGS.layers}.")
    w = random_w(painter.generator, FLAGS.samples, FLAGS.seed, painter.label)
    found = {
        "pca": lambda: methods.principal_components(w, FLAGS.count, layers),
        "sefa": lambda: methods.style_factors(painter.generator, w, FLAGS.count, layers),
        "attributes": lambda: methods.attribute_normals(*_attributes(painter), w, layers, print),
    }
    first, *others = [found[method]() for method in _METHODS if method in FLAGS.method]
    return sum(others, first)


def _attributes(painter):
    """-> names, w [N, W], scores [N, K]."""
    from stylegan_tf.editing.direction_methods import read_label_table

    if FLAGS.classifiers:
        return _classified(painter)
    kind, numbers, names, scores = read_label_table(FLAGS.labels)
    if kind == "seed":
        return names, painter.map(painter.latents(numbers)), scores
    if not FLAGS.dlatents:
        raise UserError("--labels has numbers of images: give the file that they are in as --dlatents.")
    from stylegan_tf.files.dlatents import load_dlatents

    ws = load_dlatents(FLAGS.dlatents, *painter.dlatent_shape, command_line.warn)
    if numbers.max() >= len(ws):
        raise UserError(f"--labels names image {numbers.max()}, {FLAGS.dlatents} has {len(ws)}, counted from 0.")
    return names, ws[numbers].mean(axis=1), scores


def _classified(painter):
    import numpy as np

    from stylegan_tf.distribution.strategy import create_strategy
    from stylegan_tf.metrics.attribute_classifiers import load_classifiers
    from stylegan_tf.metrics.images.generated import GeneratedImages
    from stylegan_tf.metrics.kinds.separability import classified, latents

    strategy = create_strategy("one")
    config = painter.config
    with strategy.scope():
        classifiers = load_classifiers(FLAGS.classifiers)
    classifiers.check(config.resolution, config.num_channels)
    labels = np.eye(config.label_size, dtype=np.float32) if painter.label is None else painter.label[None]
    images = GeneratedImages(painter.generator, FLAGS.seed, labels)
    scores = classified(images, classifiers, FLAGS.samples, strategy, rows=32)
    return classifiers.names, latents(images, FLAGS.samples)[1], scores


def _draw(painter, directions, seeds, amounts, path):
    """A row for each seed and direction, a column for each amount."""
    import numpy as np

    from stylegan_tf.visualize.picture_files import save_image
    from stylegan_tf.visualize.tile_table import Band, tile_table

    tiles, beside = [], []
    ws = painter.dlatents(painter.latents(seeds))
    for index, name in enumerate(directions.names):
        beside.append(Band(name, index * len(seeds), (index + 1) * len(seeds) - 1))
        offsets = np.stack([directions.offset({name: amount}, ws.shape[1]) for amount in amounts])
        tiles += [list(painter.pictures(w + offsets)) for w in ws]
    above = [Band(f"{amount:+g}", column, column) for column, amount in enumerate(amounts)]
    breaks = {band.first for band in beside[1:]}
    save_image(tile_table(tiles, FLAGS.scale, above, beside, breaks_above=breaks), path)
    print(path)


if __name__ == "__main__":
    command_line.run(main)
