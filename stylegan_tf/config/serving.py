"""Options for serving: for `export`, and for the page of `explore`."""

import dataclasses
from collections.abc import Sequence
from typing import Optional

from stylegan_tf.config.option import OptionError, Options, option

MAX_PSI = 1000.0  # Far beyond what any network draws; not yet infinite on the way through it.
_LOOPBACK = ("localhost", "::1")


@dataclasses.dataclass(frozen=True)
class ServingOptions(Options):
    """Settings that are fixed when a network is exported.

    >>> from stylegan_tf import ServingOptions
    >>> ServingOptions(noise_mode="random").truncation_cutoff
    8
    """

    noise_mode: str = option(
        "const",
        "Noise inputs: const (the network's fixed maps), random (new ones for every image; SavedModels only) or none.",
        choices=("const", "random", "none"),
    )
    truncation_cutoff: Optional[int] = option(
        8, "Number of layers, from the first, to which truncation_psi applies; empty: all layers.", at_least=0
    )
    # Mixed labels have the mean of their classes' centres, weighted as they are mixed.
    truncation_centre: Optional[str] = option(
        None,
        "The mean w towards which truncation moves the styles in a network with labels: that of the image's own "
        "class (class), or the one over all of training (all). Default: class, but all for networks converted from "
        "the authors', as in their code.",
        choices=("class", "all"),
    )
    weights: str = option(
        "float32",
        "Format in which weights are stored; the network computes in float32. The 16-bit formats take half the "
        "space. bfloat16 is for SavedModels only; int8 is for TFLite only, where it is inaccurate (the error is "
        "printed).",
        choices=("float32", "bfloat16", "float16", "int8"),
    )
    # Measured on two CPU cores: constants answer 3 to 19% sooner (most for one small image), but the first answer of
    # each signature takes 6 to 8 times as long, because the graph is optimised with its weights.
    constants: bool = option(
        False,
        "Write the weights into the graph as constants, once for each signature: responses are somewhat faster, but "
        "the first one of each signature is slower, and the export is several times as large.",
    )
    bad_rows: str = option(
        "fail",
        "How NaN, infinity and seeds out of range are handled. fail: the request fails, and with it all requests "
        "that a server has batched with it. mark: the affected row gets a gray picture and False in the output `ok`, "
        "and the other rows are answered.",
        choices=("fail", "mark"),
    )
    content_box: Optional[Sequence[float]] = None  # For networks trained on letterboxed pictures, see `crop_to_box`.
    aspect_ratio: Optional[float] = None  # On stretched ones: that of pages and samples. The functions return squares.


@dataclasses.dataclass(frozen=True)
class PageServerConfig(Options, group="Serving the page"):
    """How the page of `explore` is served. Lists are separated by commas."""

    host: str = option("127.0.0.1", "Address to listen on. One that other machines can reach requires a password.")
    port: int = option(7860, "Port to listen on; 0: any free port.", at_least=0, at_most=65535)
    password: Optional[str] = option(
        None,
        "Password of the page. Other users of the machine can see it in the list of processes; see --password_file.",
    )
    password_file: Optional[str] = option(None, "File whose first line is the password.")
    root_path: str = option("", "Path under which a reverse proxy serves the page, like /explore.")
    allowed_hosts: str = option(
        "", "Other host names under which browsers reach the page, as through a proxy; separated by commas."
    )
    frame_ancestors: str = option(
        "", "Origins of pages that may embed this one, separated by commas, like https://huggingface.co."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.password and self.password_file:
            raise OptionError("password and `password_file` both give the password: give one of them.")

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the page."""
        return self.host in _LOOPBACK or self.host.startswith("127.")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Entries of `allowed_hosts`."""
        return _entries(self.allowed_hosts)

    @property
    def frames(self) -> tuple[str, ...]:
        """Entries of `frame_ancestors`."""
        return _entries(self.frame_ancestors)


def _entries(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())
