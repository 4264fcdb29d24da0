"""A dataset that is being written: `.NAME.partial` beside the place where it will be.

    .NAME.partial/plan.json         what is being made of which source; a conversion with another plan is refused
    .NAME.partial/shard-00003.json  this shard is finished: how many records, which pictures were left out
    .NAME.partial/set/              the dataset so far; it is renamed at the end

Several processes, on several machines with a common disk, may write different shards at the same time.
"""

import json
import os
import pathlib
import shutil
from collections.abc import Iterable
from typing import Optional

from stylegan_tf.errors import UserError


class UnfinishedSet:
    """The folder of one conversion."""

    def __init__(self, dest: pathlib.Path):
        self.dest = dest
        self.folder = dest.with_name(f".{dest.name}.partial")
        self.files = self.folder / "set"

    def begin(self, plan: dict, restart: bool) -> None:
        """Makes the folder, or takes up one that an earlier run has left. Raises UserError if its plan was another."""
        if restart and self.folder.exists():
            shutil.rmtree(self.folder)
        try:
            self.files.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {self.dest.parent}: {error.strerror}.") from error
        path = self.folder / "plan.json"
        if not path.exists():
            _write_json(path, plan)
            return
        before = _read_json(path) or {}
        changed = [key for key in plan if before.get(key) != json.loads(json.dumps(plan[key]))]
        if changed:
            raise UserError(
                f"an unfinished conversion to {self.dest} had another {', '.join(changed)}: run it again as it was, "
                "or pass --restart to throw away what it has written."
            )

    def shard(self, number: int) -> Optional[dict]:
        """What is known about a finished shard; None if it is not finished."""
        return _read_json(self._marker(number))

    def finish_shard(self, number: int, files: Iterable[tuple[pathlib.Path, str]], report: dict) -> None:
        """Gives files their final names; from now on the shard counts as finished."""
        for path, name in files:
            os.replace(path, self.files / name)
        _write_json(self._marker(number), report)

    def list_unreadable(self, reasons: Iterable[str]) -> pathlib.Path:
        """Writes down all pictures that cannot be read, a line each, and says where."""
        path = self.folder / "unreadable.txt"
        path.write_text("".join(f"{line}\n" for line in reasons), encoding="utf-8", errors="backslashreplace")
        return path

    def temporary(self, name: str) -> pathlib.Path:
        """Where to write a file before it is finished; the process is part of the name."""
        return self.folder / f"{name}.{os.getpid()}.tmp"

    def discard_temporary(self) -> None:
        """Removes what this process, or an interrupted one with its number, has begun."""
        for path in self.folder.glob(f"*.{os.getpid()}.tmp"):
            path.unlink(missing_ok=True)

    def discard_if_empty(self) -> None:
        """After a failure: keeps finished shards for the next run, and nothing else."""
        self.discard_temporary()
        if not any(self.folder.glob("shard-*.json")) and not any(self.folder.glob("*.tmp")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def move_into_place(self) -> None:
        """The dataset gets its name. An older one there is moved aside first and deleted last."""
        aside = self.folder / "replaced"
        if self.dest.exists():
            self.dest.rename(aside)
        self.files.rename(self.dest)
        shutil.rmtree(self.folder)

    def _marker(self, number: int) -> pathlib.Path:
        return self.folder / f"shard-{number:05d}.json"


def _write_json(path: pathlib.Path, content: dict) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _read_json(path: pathlib.Path) -> Optional[dict]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}. --restart begins anew.") from error
