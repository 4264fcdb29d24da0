"""Networks made of others: averages of their weights, and layers of one below those of another.

Networks blend well if they share an ancestor, as snapshots of one run do, and runs that started from one network
(Pinkney and Adler 2020, "Resolution Dependent GAN Interpolation"). w_avg and noise maps are blended like all variables.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Union

import numpy as np

from stylegan_tf.config import BlendOptions
from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.arrays import file_sha256
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import Networks, find_networks, load_networks, save_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Painter
from stylegan_tf.visualize.picture_files import save_image
from stylegan_tf.visualize.tile_table import Band, tile_table


def blended(generators: Mapping[str, Generator], options: BlendOptions) -> Generator:
    """A new generator. generators: by their names for messages, at least two, in order.

    Raises UserError for networks of different architectures or resolutions reached, and for a swap above these.
    """
    check_compatible(generators)
    networks = list(generators.values())
    reached = networks[0].growth.resolution
    if options.swap and not options.shares(len(networks), reached)[-1]:
        raise UserError(f"`swap={options.swap}` takes no layer from the second network: both end at {reached}.")
    result = Generator(networks[0].config, growth=networks[0].growth)
    assign_blend(result, networks, options)
    return result


def assign_blend(result: Generator, networks: Sequence[Generator], options: BlendOptions) -> None:
    """Sets the weights of `result`, a generator of the same architecture."""
    sources = [named_variables(network) for network in networks]
    for name, variable in named_variables(result).items():
        level = re.search(r"synthesis/(\d+)x", name)
        shares = options.shares(len(networks), int(level[1]) if level else None)
        terms = (share * source[name].numpy().astype(np.float64) for share, source in zip(shares, sources) if share)
        variable.assign(sum(terms).astype(np.float32))


def check_compatible(generators: Mapping[str, Generator]) -> None:
    """UserError that names the first difference that prevents blending."""
    if len(generators) < 2:
        raise UserError("`networks`: at least two different networks can be blended.")
    (first_name, first), *others = generators.items()
    for name, other in others:
        pairs = [(first.config.to_dict(), other.config.to_dict()), (_growth(first), _growth(other))]
        for mine, theirs in pairs:
            for key in mine:
                if mine[key] != theirs[key]:
                    raise UserError(
                        f"{first_name} and {name} cannot be blended: {key} is {mine[key]} in the first and "
                        f"{theirs[key]} in the second."
                    )


def _growth(generator: Generator) -> dict:
    return {"resolution reached": generator.growth.resolution, "alpha": float(generator.growth.alpha)}


def blend_metadata(sources: Sequence[Mapping], metadata: Mapping, options: BlendOptions) -> dict:
    """Metadata of the first network, and what was blended. sources: {network, sha256, kimg} each."""
    kept = {name: value for name, value in metadata.items() if name != "kimg"}
    return {**kept, "blended_from": [dict(source) for source in sources], "blended_with": dataclasses.asdict(options)}


def blend_files(
    names: Sequence[str],
    output: Union[str, os.PathLike[str]],
    options: BlendOptions = BlendOptions(),
    last: int = 1,
    seeds: Sequence[int] = (),
    truncation_psi: float = 0.7,
    note: Note = ignore,
) -> None:
    """Blends the networks of files and run folders and writes the result as a network file.

    Args:
      last: of a run folder, its last networks in place of the newest alone.
      seeds: of the images in a picture next to the file, a row for each network and the result; (): no picture.
    """
    paths = [path for name in names for path in find_networks(name)[-last:]]
    loaded = {str(path): load_networks(path) for path in paths}
    generators = {name: networks.best_generator for name, networks in loaded.items()}
    result, output = blended(generators, options), pathlib.Path(output)
    sources = [
        {"network": name, "sha256": file_sha256(name), "kimg": networks.metadata.get("kimg")}
        for name, networks in loaded.items()
    ]
    metadata = blend_metadata(sources, next(iter(loaded.values())).metadata, options)
    save_networks(output, Networks(None, None, result, metadata))
    note(f"{output}: blended from {', '.join(generators)}")
    if len(seeds):
        picture = output.with_suffix(".png")
        save_image(blend_picture({**generators, output.name: result}, seeds, truncation_psi), picture)
        note(str(picture))


def blend_picture(generators: Mapping[str, Generator], seeds: Sequence[int], truncation_psi: float) -> np.ndarray:
    """A row for each network, a column for each seed: uint8 [H, W, C]."""
    rows = []
    for generator in generators.values():
        size = generator.config.label_size
        label = np.full([size], 1 / size, np.float32) if size else None  # The mean of all classes.
        painter = Painter(generator, label, truncation=Truncation(truncation_psi))
        rows.append(list(painter.pictures(painter.dlatents(painter.latents(seeds)))))
    above = [Band(f"seed {seed}", column, column) for column, seed in enumerate(seeds)]
    beside = [Band(pathlib.Path(name).stem, row, row) for row, name in enumerate(generators)]
    return tile_table(rows, None, above, beside, breaks_above={len(rows) - 1})
