"""A dataset that is being written: `.NAME.partial` next to its destination.

    .NAME.partial/plan.json         what is being made of which source; a conversion with another plan is refused
    .NAME.partial/shard-00003.json  the report of a finished shard: its number of records, unreadable pictures, ...
    .NAME.partial/set/              the dataset so far; it is renamed at the end

Several processes, on several machines with a shared disk, can write different shards at the same time. A shard with a
report is on disk.
"""

import contextlib
import json
import pathlib
import shutil
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Optional

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.atomic_write import (
    make_folder,
    open_temporary,
    publish,
    remove_leftovers,
    resolved_link,
    sync_folder,
    sync_tree,
    temporary_name,
    write_json,
)
from stylegan_tf.files.file_errors import read_json
from stylegan_tf.files.locks import locked


class PartialDataset:
    """The folder of one conversion."""

    def __init__(self, dest: pathlib.Path, address: Optional[str] = None):
        """dest: the folder of the finished set. A link is followed, and the set has the link's name.

        address: what `dest` is a temporary folder for: what stays in it does not outlast a failure.
        """
        self.name = dest.name
        self.dest = dest = resolved_link(dest)
        self.place, self._is_temporary = address or dest, address is not None
        self.folder = dest.with_name(f".{dest.name}.partial")
        self.files = self.folder / "set"

    @contextlib.contextmanager
    def locked(self, part: str) -> Iterator[None]:
        """Excludes other processes; each part of a set has a lock of its own."""
        make_folder(self.dest.parent)
        with locked(self.dest.with_name(f".{self.dest.name}.{part}.lock"), f"the dataset {self.dest} ({part})"):
            yield

    @property
    def restart_advice(self) -> str:
        """`restart` would delete the parts that other machines have written, so that these are removed by hand."""
        return f"pass `restart` to start over (a set in parts: remove {self.folder} once, then write all parts again)"

    @property
    def may_be_published(self) -> bool:
        """Whether an earlier run may have been killed after it renamed the set."""
        return self.folder.exists() and not self.files.exists() and self.dest.exists()

    def is_published(self, plan: dict) -> bool:
        """Whether an earlier run of this plan has renamed the set, and was killed while it cleaned up."""
        if not self.may_be_published:
            return False
        if (self.folder / "plan.json").exists():
            return not self._plan_differences(plan)
        return not any(self.folder.iterdir())  # The plan was the last to go.

    def create_or_resume(self, plan: dict, restart: bool) -> None:
        """Makes the folder, or resumes in the one of an interrupted run. Raises UserError if its plan differs."""
        if restart and self.folder.exists():
            shutil.rmtree(self.folder)
        make_folder(self.files)
        remove_leftovers(self.folder)
        path = self.folder / "plan.json"
        if not path.exists():
            write_json(path, plan)
            return
        differences = self._plan_differences(plan)
        if differences:
            raise UserError(
                f"an unfinished conversion to {self.dest} was started with another {', '.join(differences)}: run "
                f"it again with the same options, or {self.restart_advice}."
            )

    def shard(self, number: int) -> Optional[dict]:
        """The report of a finished shard; None if it is not finished."""
        return _read_json(self._report_path(number))

    def finish_shard(self, number: int, files: Iterable[tuple[pathlib.Path, str]], report: dict) -> None:
        """Renames its files to their final names, then writes its report."""
        publish([(path, self.files / name) for path, name in files])
        write_json(self._report_path(number), report)

    def list_unreadable(self, reasons: Iterable[str]) -> Optional[pathlib.Path]:
        """Writes a file with a line for each picture that cannot be read -> its path; None if it could not stay."""
        if self._is_temporary:
            return None
        path = self.folder / "unreadable.txt"
        path.write_text("".join(f"{line}\n" for line in reasons), encoding="utf-8", errors="backslashreplace")
        return path

    def open_temporary(self, name: str) -> tuple[BinaryIO, pathlib.Path]:
        """A file that will get this name, and its temporary path. While it is open, it does not count as a leftover."""
        path = temporary_name(self.folder / name)
        return open_temporary(path), path

    def discard_unfinished(self, keep_folder: bool) -> None:
        """After a failure: only finished shards are kept for the next run. keep_folder: other parts may need it."""
        remove_leftovers(self.folder)
        if not keep_folder and not any(self.folder.glob("shard-*.json")) and not any(self.folder.glob(".*.tmp")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def publish(self) -> None:
        """Renames the set to its destination. An existing one is moved aside first and deleted last."""
        sync_tree(self.files)
        aside = self.folder / "replaced"
        if self.dest.exists():
            self.dest.rename(aside)
        self.files.rename(self.dest)
        sync_folder(self.dest.parent)
        self.clean_up()

    def clean_up(self) -> None:
        """Removes the folder; the plan, by which the next run sees that the set is published, goes last."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "plan.json":
                path.unlink()
        shutil.rmtree(self.folder)

    def _plan_differences(self, plan: dict) -> list[str]:
        """The keys in which the stored plan differs."""
        stored = _read_json(self.folder / "plan.json") or {}
        return [key for key in plan if stored.get(key) != json.loads(json.dumps(plan[key]))]

    def _report_path(self, number: int) -> pathlib.Path:
        return self.folder / f"shard-{number:05d}.json"


def _read_json(path: pathlib.Path) -> Optional[dict]:
    if not path.exists():
        return None
    advice = f"`restart` starts over, for a set in parts remove {path.parent} once"
    content = read_json(path, "report of a conversion", advice)
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: {advice}.")
    return content
