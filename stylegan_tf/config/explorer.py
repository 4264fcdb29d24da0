"""Options of the page that `explore` serves: who reaches it, and how."""

import dataclasses
from typing import Optional

from stylegan_tf.config.option import Options, option

SERVER = "Serving the page"
_LOOPBACK = ("localhost", "::1")


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
