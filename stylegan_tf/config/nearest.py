"""Options of `nearest`: what is compared with real images, and how."""

import dataclasses

from stylegan_tf.config.option import Options, option

SEARCH = "Search"


@dataclasses.dataclass(frozen=True)
class NearestOptions(Options):
    """The search for the nearest real images of generated or given ones."""

    neighbours: int = option(
        SEARCH, 5, "Real images in a row of the picture, and of the table.", at_least=1, at_most=50
    )
    rows: int = option(SEARCH, 8, "Rows of the picture; the table and the conclusion have all images.", at_least=1)
    compare_size: int = option(SEARCH, 64, "Pixels and LPIPS are compared at this size at most.", at_least=16)
    reference_images: int = option(
        SEARCH,
        1000,
        "Without held-out images: real images whose distances to each other are the reference.",
        at_least=2,
    )
    seed: int = option(SEARCH, 0, "Of the bootstrap.", at_least=0)
