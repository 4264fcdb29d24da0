"""The networks that the page offers: loaded when they are chosen, the last few stay loaded."""

import functools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.config.training import NETWORK_FILE
from stylegan_tf.data.demo import load_demo_images
from stylegan_tf.editing.blending import check_compatible
from stylegan_tf.editing.directions import load_directions
from stylegan_tf.explorer.renderer import Renderer
from stylegan_tf.explorer.view import View
from stylegan_tf.files.file_errors import short
from stylegan_tf.networks.network_file import find_networks, load_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import painter_of

_LOADED = 4  # Networks in memory, of which two may be blended.
EXAMPLES = 6  # Pictures to project.


class Choice(NamedTuple):
    """A loaded network."""

    name: str
    path: str  # As the flag `network` takes it.
    renderer: Renderer
    label_names: tuple[str, ...]  # () where the file has none.
    directions_file: Optional[str]  # None: there is none, or it is of another network.
    is_of_demo_set: bool
    blended_with: Optional[str] = None  # The path of the other network, where views say how much of it there is.


class NetworkChoices:
    """The network files that a path means: a file, `demo`, those of a run, or all .npz files of another folder.

    Args:
      directions: a file of directions of the network to start with; others also have them if they fit.
      crop: as the flag of this name.
      found: see `Renderer`.
    """

    def __init__(self, path: str, directions: Optional[str], crop: bool, found: Mapping[tuple[str, str], np.ndarray]):
        self._paths, self._directions, self.crop, self._found = _network_paths(path), directions, crop, found
        self._lock = threading.Lock()
        self._load = functools.lru_cache(maxsize=_LOADED)(self._new_choice)
        # uint8 [h, w, 3] each: the demo set's for its networks, generated ones for others.
        self.examples = functools.lru_cache(maxsize=_LOADED)(self._new_examples)

    @property
    def names(self) -> list[str]:
        """The one that the page starts with is the last."""
        return list(self._paths)

    def get(self, name: Optional[str], other: Optional[str] = None) -> Choice:
        """The network of this name, or the one to start with; other: for views that blend it with this one.

        UserError for names that are not there, and for networks that cannot be blended.
        """
        names = [name or self.names[-1], *([other] if other is not None else [])]
        for each in names:
            if each not in self._paths:
                raise UserError(f"there is no network {short(each, 60)!r} here: choose one from the list.")
        with self._lock:
            return self._load(*names)

    def _new_examples(self, name):
        choice = self.get(name)
        if choice.is_of_demo_set:
            return list(load_demo_images()[:EXAMPLES])
        first = View.first(name, choice.renderer.info)
        views = (View(seed=1000 + index, psi=1.0, classes=first.classes) for index in range(EXAMPLES))
        return [choice.renderer.render(view).picture for view in views]

    def _new_choice(self, name, other=None):
        if other is not None:
            choice, second = self._load(name), self._load(other)
            check_compatible({each.name: each.renderer.painter.generator for each in (choice, second)})
            renderer = choice.renderer.blended_with(second.renderer.painter.generator)
            return choice._replace(renderer=renderer, blended_with=second.path)
        networks = load_networks(self._paths[name])
        painter = painter_of(networks, Truncation(centre=None), crop=self.crop)
        directions = None
        if self._directions:
            try:
                directions = load_directions(self._directions, *painter.dlatent_shape)
            except UserError:
                if name == self.names[-1]:
                    raise
        renderer = Renderer(painter, directions, networks.label_names, self._found)
        is_of_demo_set = networks.metadata.get("dataset") == "demo"
        directions_file = self._directions if directions else None
        return Choice(name, self._paths[name], renderer, networks.label_names, directions_file, is_of_demo_set)


def _network_paths(path: str) -> dict[str, str]:
    """Networks by name, in order."""
    folder = Path(path)
    is_run = any(NETWORK_FILE.fullmatch(file.name) for file in folder.glob("*.npz"))
    files = [] if is_run else sorted(folder.glob("*.npz"))
    if not files:
        files = find_networks(path)
        if len(files) == 1:
            return {folder.stem: path}
    return {file.stem: str(file) for file in files}
