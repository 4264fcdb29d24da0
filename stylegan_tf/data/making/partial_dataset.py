"""A dataset that is being written: `.NAME.partial` beside the place where it will be.

    .NAME.partial/plan.json         what is being made of which source; a conversion with another plan is refused
    .NAME.partial/shard-00003.json  this shard is finished: how many records, which pictures were left out
    .NAME.partial/set/              the dataset so far; it is renamed at the end

Several processes, on several machines with a common disk, may write different shards at the same time. What is named
finished is on the disk.
"""

import contextlib
import json
import pathlib
import shutil
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Optional

from stylegan_tf.errors import UserError
from stylegan_tf.files.atomic_write import (
    atomic_write,
    followed,
    make_folder,
    open_reserved,
    publish,
    remove_leftovers,
    sync_folder,
    sync_tree,
    temporary_name,
)
from stylegan_tf.files.file_errors import read_json
from stylegan_tf.files.locks import locked


class UnfinishedSet:
    """The folder of one conversion."""

    def __init__(self, dest: pathlib.Path):
        """dest: where the set will be; if it is a link, where that leads to, while the set has the link's name."""
        self.name = dest.name
        self.dest = dest = followed(dest)
        self.folder = dest.with_name(f".{dest.name}.partial")
        self.files = self.folder / "set"

    @contextlib.contextmanager
    def locked(self, part: str) -> Iterator[None]:
        """For one process at a time; each part of a set has a lock of its own."""
        make_folder(self.dest.parent)
        with locked(self.dest.with_name(f".{self.dest.name}.{part}.lock"), f"the data set {self.dest} ({part})"):
            yield

    @property
    def anew(self) -> str:
        """Advice: of a set in parts, --restart would delete what other machines have written."""
        return f"pass --restart to begin anew (a set in parts: remove {self.folder} once, then write all parts again)"

    @property
    def may_be_in_place(self) -> bool:
        return self.folder.exists() and not self.files.exists() and self.dest.exists()

    def is_in_place(self, plan: dict) -> bool:
        """Whether an earlier run of this plan has given the set its name, and was killed while it tidied up."""
        if not self.may_be_in_place:
            return False
        if (self.folder / "plan.json").exists():
            return not self._changed(plan)
        return not any(self.folder.iterdir())  # The plan was the last to go.

    def begin(self, plan: dict, restart: bool) -> None:
        """Makes the folder, or takes up one that an earlier run has left. Raises UserError if its plan was another."""
        if restart and self.folder.exists():
            shutil.rmtree(self.folder)
        make_folder(self.files)
        remove_leftovers(self.folder)
        path = self.folder / "plan.json"
        if not path.exists():
            _write_json(path, plan)
            return
        changed = self._changed(plan)
        if changed:
            raise UserError(
                f"an unfinished conversion to {self.dest} had another {', '.join(changed)}: run it again as it was, "
                f"or {self.anew}."
            )

    def shard(self, number: int) -> Optional[dict]:
        """What is known about a finished shard; None if it is not finished."""
        return _read_json(self._marker(number))

    def finish_shard(self, number: int, files: Iterable[tuple[pathlib.Path, str]], report: dict) -> None:
        """Gives files their final names; from now on the shard counts as finished."""
        publish([(path, self.files / name) for path, name in files])
        _write_json(self._marker(number), report)

    def list_unreadable(self, reasons: Iterable[str]) -> pathlib.Path:
        """Writes down all pictures that cannot be read, a line each, and says where."""
        path = self.folder / "unreadable.txt"
        path.write_text("".join(f"{line}\n" for line in reasons), encoding="utf-8", errors="backslashreplace")
        return path

    def open_temporary(self, name: str) -> tuple[BinaryIO, pathlib.Path]:
        """A file for what will have this name, and its path until then. No other process takes it for a leftover."""
        path = temporary_name(self.folder / name)
        return open_reserved(path), path

    def discard_if_empty(self) -> None:
        """After a failure: keeps finished shards for the next run, and nothing else."""
        remove_leftovers(self.folder)
        if not any(self.folder.glob("shard-*.json")) and not any(self.folder.glob(".*.tmp")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def move_into_place(self) -> None:
        """The dataset gets its name. An older one there is moved aside first and deleted last."""
        sync_tree(self.files)
        aside = self.folder / "replaced"
        if self.dest.exists():
            self.dest.rename(aside)
        self.files.rename(self.dest)
        sync_folder(self.dest.parent)
        self.tidy_up()

    def tidy_up(self) -> None:
        """Removes all but the set itself; the plan, by which a next run knows that it is there, comes last."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "plan.json":
                path.unlink()
        shutil.rmtree(self.folder)

    def _changed(self, plan: dict) -> list[str]:
        """What differs from the plan that is written down."""
        before = _read_json(self.folder / "plan.json") or {}
        return [key for key in plan if before.get(key) != json.loads(json.dumps(plan[key]))]

    def _marker(self, number: int) -> pathlib.Path:
        return self.folder / f"shard-{number:05d}.json"


def _write_json(path: pathlib.Path, content: dict) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _read_json(path: pathlib.Path) -> Optional[dict]:
    if not path.exists():
        return None
    advice = f"--restart begins anew, for a set in parts remove {path.parent} once"
    content = read_json(path, "note of a conversion", advice)
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: {advice}.")
    return content
