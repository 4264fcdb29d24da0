"""Serves the page: in the foreground for `explore`, in a thread for notebooks."""

import html
import secrets
import socket
import threading
from pathlib import Path
from typing import Optional

import uvicorn

from stylegan_tf.config import INCEPTION, PageServerConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.editing.projecting import choose_distance
from stylegan_tf.explorer.app import Application
from stylegan_tf.explorer.network_choices import NetworkChoices
from stylegan_tf.explorer.projections import FoundPictures
from stylegan_tf.explorer.security import Guard

_NOTEBOOKS = "http://localhost:*,http://127.0.0.1:*,https://colab.research.google.com,https://*.googleusercontent.com"


class PageServer:
    """The page of some networks on a port that is open already.

    Args:
      network: a network file, a run folder, another folder of network files, or `demo`.
      directions: a file of directions; crop: whether letterboxed or stretched pictures get their shape back.
      image_distance, feature_extractor: for projection, see `project`.
    """

    def __init__(
        self,
        network: str,
        config: PageServerConfig,
        directions: Optional[str] = None,
        crop: bool = True,
        image_distance: str = "pixels",
        feature_extractor: str = INCEPTION,
    ):
        password = _password(config)
        self._socket = _listening(config)  # A port in use is reported before anything is loaded.
        found = FoundPictures()
        choices = NetworkChoices(network, directions, crop, found)
        choices.get(None)  # Reports now what is wrong with it.
        distance = choose_distance(image_distance, feature_extractor)
        guard = Guard(Application(choices, found, distance).asgi(), config, password)
        self._config, self._token = config, None if password else guard.token
        self.port = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                guard, log_level="warning", access_log=False, ws="none", server_header=False, timeout_keep_alive=60,
                timeout_graceful_shutdown=2, h11_max_incomplete_event_size=2**15,
            )
        )  # fmt: skip

    @property
    def path(self) -> str:
        """Path of the address, with the key to the page unless there is a password."""
        return f"{self._config.root_path.rstrip('/')}/" + (f"?token={self._token}" if self._token else "")

    @property
    def address(self) -> str:
        host = self._config.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self.path}"

    def run(self) -> None:
        """Until Ctrl-C or SIGTERM."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        self._server.should_exit = True


class NotebookPage:
    """A page in the output of a notebook's cell. It is served until the kernel ends, or `close()`."""

    def __init__(self, server: PageServer, height: int):
        self._server, self._height = server, height
        self._thread = threading.Thread(target=server.run, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return self._server.address

    def close(self) -> None:
        self._server.stop()
        self._thread.join()

    def _repr_html_(self) -> str:
        style = f"width: 100%; height: {self._height}px; border: 0"
        return f'<iframe title="StyleGAN explorer" src="{html.escape(self.address)}" style="{style}"></iframe>'

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        try:
            from google.colab import output
        except ImportError:
            display(HTML(self._repr_html_()))
        else:  # The browser reaches the kernel through Colab only.
            output.serve_kernel_port_as_iframe(self._server.port, path=self._server.path, height=self._height)


def show(
    network: str = "demo", directions: Optional[str] = None, height: int = 860, crop: bool = True, **options
) -> NotebookPage:
    """The page of a network in the output of a notebook's cell, in Jupyter and Colab.

    Args:
      network, directions, crop: as the flags of `explore`.
      height: of the cell, in pixels.
      options: fields of `PageServerConfig`, such as `allowed_hosts` for a notebook behind a proxy.
    """
    config = PageServerConfig(**{"port": 0, "frame_ancestors": _NOTEBOOKS, **options})
    return NotebookPage(PageServer(network, config, directions, crop), height)


def _password(config: PageServerConfig) -> Optional[str]:
    password = config.password
    if config.password_file:
        lines = Path(config.password_file).read_text(encoding="utf-8").splitlines()
        password = lines[0].strip() if lines else ""
    if password == "":
        raise UserError("the password is empty: choose one that nobody guesses.")
    if password is None and not config.is_local:
        suggestion = secrets.token_urlsafe(9)
        raise UserError(
            f"`host={config.host}` lets other machines in: give a password in `password_file`, or for a try "
            f"`password={suggestion}`."
        )
    return password


def _listening(config: PageServerConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family, backlog=128)
    except OSError as error:
        raise UserError(
            f"cannot listen on {config.host}:{config.port} ({error.strerror or error}): choose another `port`."
        ) from None
