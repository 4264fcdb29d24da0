"""Networks made of others: averages of their weights, and layers of one below those of another.

Networks blend well if they share an ancestor, as snapshots of one run do, and runs that started from one network
(Pinkney and Adler 2020, "Resolution Dependent GAN Interpolation"). w_avg and noise maps are blended like all variables.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np

from stylegan_tf.config import BlendOptions
from stylegan_tf.errors import UserError
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.keras_model import named_variables


def blended(generators: Mapping[str, Generator], options: BlendOptions) -> Generator:
    """A new generator. generators: by their names for messages, at least two, in order.

    Raises UserError for networks of different architectures or resolutions reached.
    """
    check_alike(generators)
    first, *_ = networks = list(generators.values())
    result = Generator(first.config, growth=first.growth)
    sources = [named_variables(network) for network in networks]
    for name, variable in named_variables(result).items():
        level = re.search(r"synthesis/(\d+)x", name)
        shares = options.shares(len(networks), int(level[1]) if level else None)
        terms = (share * source[name].numpy().astype(np.float64) for share, source in zip(shares, sources) if share)
        variable.assign(sum(terms).astype(np.float32))
    return result


def check_alike(generators: Mapping[str, Generator]) -> None:
    """UserError that names the first difference which keeps networks from being blended."""
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
    """Of the result: that of the first network, and what it is made of. sources: {network, sha256, kimg} each."""
    kept = {name: value for name, value in metadata.items() if name != "kimg"}
    return {**kept, "blended_from": [dict(source) for source in sources], "blended_with": dataclasses.asdict(options)}
