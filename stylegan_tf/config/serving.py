"""Options of serving: of an export, and of the page of `explore`."""

import dataclasses
from collections.abc import Sequence
from typing import Optional

from stylegan_tf.config.option import GENERAL, Options, option

SERVER = "Serving the page"
_LOOPBACK = ("localhost", "::1")


@dataclasses.dataclass(frozen=True)
class ServingOptions(Options):
    """What is decided when a network is exported.

    >>> from stylegan_tf import ServingOptions
    >>> ServingOptions(noise_mode="random").truncation_cutoff
    8
    """

    noise_mode: str = option(
        GENERAL,
        "const",
        "Noise inputs: the network's fixed maps, fresh ones for every image (SavedModels only), or none.",
        choices=("const", "random", "none"),
    )
    truncation_cutoff: Optional[int] = option(
        GENERAL, 8, "truncation_psi applies to the first layers only, up to here; empty: to all.", at_least=0
    )
    # Mixed labels have the mean of their classes' centres, weighted as they are mixed.
    truncation_centre: Optional[str] = option(
        GENERAL,
        None,
        "What truncation draws towards in a network with labels: the mean w of the image's own class, or that of all "
        "training. Left out: class; all for converted networks of the authors, as in their code.",
        choices=("class", "all"),
    )
    weights: str = option(
        GENERAL,
        "float32",
        "How weights are stored; the network computes in float32. The 16-bit formats need half of the space; bfloat16 "
        "is for SavedModels only, int8 for TFLite, where it is inaccurate (the error is printed).",
        choices=("float32", "bfloat16", "float16", "int8"),
    )
    # Measured on two CPU cores: constants answer 3 to 19% sooner (most for one small image), but the first answer of
    # each signature takes 6 to 8 times as long, because the graph is optimised with its weights.
    constants: bool = option(
        GENERAL,
        False,
        "Write the weights into the graph, once for each signature: answers come somewhat sooner, the first one of "
        "each signature later, and the export is several times as large.",
    )
    bad_rows: str = option(
        GENERAL,
        "fail",
        "What NaN, infinity or a seed out of range does: the request fails, and with it all that a server has joined "
        "to it; or its row has a gray picture and False in an output `ok`, and the other rows are answered.",
        choices=("fail", "mark"),
    )
    content_box: Optional[Sequence[float]] = None  # Of networks trained on letterboxed pictures, see `crop_to_box`.


@dataclasses.dataclass(frozen=True)
class PageServerConfig(Options):
    """Lists are separated by commas."""

    host: str = option(SERVER, "127.0.0.1", "Address to listen on. One that other machines reach needs a password.")
    port: int = option(SERVER, 7860, "Port to listen on; 0: any that is free.", at_least=0, at_most=65535)
    password: Optional[str] = option(SERVER, None, "What the page asks for. Others see it in the list of processes.")
    password_file: Optional[str] = option(SERVER, None, "A file that holds the password in its first line.")
    root_path: str = option(SERVER, "", "Behind a proxy: the path under which it offers the page, like /explore.")
    allowed_hosts: str = option(
        SERVER, "", "Host names besides this machine's own under which browsers reach the page, as through a proxy."
    )
    frame_ancestors: str = option(
        SERVER, "", "Pages that may show this one in a frame, like https://huggingface.co or http://localhost:*."
    )

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
