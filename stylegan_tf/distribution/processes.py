"""The processes of a run: who they are, by TF_CONFIG, what they do together, and how the loss of one is reported."""

import contextlib
import dataclasses
import faulthandler
import json
import os
import re
import signal
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, Optional

import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.file_errors import parse_json, short

_EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
_ROLES = ("chief", "worker", "evaluator")
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
# Raised as well when another process is gone or executes something else.
_PERHAPS_LOST = (tf.errors.InternalError, tf.errors.CancelledError, tf.errors.UnknownError)
_OF_PROCESSES = re.compile(r"collective|coordination|remote (target|peer)|/job:\w+/replica|heartbeat|barrier", re.I)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The addresses of all training processes, the chief's first, and which of them this one is."""

    addresses: tuple[str, ...]
    index: int


def cluster_from_environment(environment: Mapping[str, str] = os.environ) -> Optional[Cluster]:
    """The cluster that TF_CONFIG describes, or None if the variable is not set, or names none.

    Raises UserError, in one line, for anything in it that TensorFlow would fail on or wait for forever.
    """
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        description = parse_json(text)
    except ValueError as error:
        raise _error(f"is not JSON ({error})") from None
    if not isinstance(description, dict):
        raise _error("is not a JSON object")
    roles = description.get("cluster")
    if not roles:
        return None
    _check_roles(roles)
    role, index = _task(description.get("task"), roles)
    addresses = (*roles.get("chief", ()), *roles.get("worker", ()))
    if len(set(addresses)) < len(addresses):
        raise _error(f"gives two processes the same address: {', '.join(addresses)}")
    return Cluster(addresses, index if role == "chief" else len(roles.get("chief", ())) + index)


def _check_roles(roles: Any) -> None:
    if not isinstance(roles, dict):
        raise _error('has a "cluster" that is not an object of lists of addresses')
    for role, addresses in roles.items():
        if role not in _ROLES:
            raise _error(f"names the role {short(role, 60)!r}, which training does not have: only chief and worker")
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            found = short(json.dumps(addresses), 150)
            raise _error(f"lists under {role!r} {found}, expected addresses like host0:2222, ports from 1 to 65535")
    if len(roles.get("chief", ())) > 1:
        raise _error(f"names {len(roles['chief'])} chiefs, expected one at most")


def _is_address(address: Any) -> bool:
    if not isinstance(address, str):
        return False
    host, _, port = address.rpartition(":")
    return bool(host.strip()) and re.fullmatch(r"[0-9]{1,5}", port) is not None and 1 <= int(port) <= 65535


def _task(task: Any, roles: Mapping[str, list]) -> tuple[str, int]:
    """-> (role, index) of this process."""
    if not isinstance(task, dict) or "type" not in task or "index" not in task:
        raise _error('does not say which process this is: "task" needs a "type" and an "index"')
    role, index = task["type"], task["index"]
    if role == "evaluator":
        raise _error("makes this process an evaluator, which training does not have: only chief and worker")
    if not isinstance(role, str) or role not in roles or role not in _ROLES:
        raise _error(f'has the task type {role!r}, which its "cluster" does not list ({", ".join(roles)})')
    if isinstance(index, str) and re.fullmatch("[0-9]+", index):  # Scripts like to quote it; TensorFlow takes that.
        index = int(index)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(roles[role]):
        raise _error(f"has the task index {index!r}, expected 0 to {len(roles[role]) - 1} for {role}")
    return role, index


def _error(problem: str) -> UserError:
    return UserError(f"TF_CONFIG {problem}. It should look like {_EXAMPLE}, or not be set for a single machine.")


class Processes:
    """All processes of a run's strategy. Only the first one, the chief, writes to the run folder.

    Collective methods must be called by all of them, in the same order; with one process they cost nothing.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        cluster = cluster_from_environment() if several else None
        self.count = len(cluster.addresses) if cluster else 1
        self.index = cluster.index if cluster else 0

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @property
    def described(self) -> str:
        """For the run's first line: " of 2 processes (this is number 0, the chief)", or "" with one process."""
        role = ", the chief" if self.is_chief else ""
        return f" of {self.count} processes (this is number {self.index}{role})" if self.count > 1 else ""

    def sum(self, value: int) -> int:
        """The sum of every process's value. Collective."""
        if self.count == 1:
            return value
        local_replicas = self._strategy.num_replicas_in_sync // self.count

        def of_replica(context):
            first = context.replica_id_in_sync_group % local_replicas == 0
            return tf.constant(value if first else 0, tf.int64)

        values = self._strategy.experimental_distribute_values_from_function(of_replica)
        return int(self._strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))

    def any(self, value) -> bool:
        """Whether the value of any process is true. Collective."""
        return self.sum(int(bool(value))) > 0

    def of_chief(self, value: int) -> int:
        """The chief's value. Collective."""
        return self.sum(value if self.is_chief else 0)

    def agree_on(self, value: int) -> bool:
        """Whether all have the same value. Collective."""
        return self.sum(int(value == self.of_chief(value))) == self.count

    @contextlib.contextmanager
    def naming_lost_processes(self) -> Iterator[None]:
        """For a block of what the processes do together: the loss of another one becomes a UserError."""
        with translate_lost_processes() if self.count > 1 else contextlib.nullcontext():
            yield


@contextlib.contextmanager
def translate_lost_processes() -> Iterator[None]:
    """What TensorFlow raises when another process is gone, or executes something else, becomes a UserError."""
    try:
        yield
    except _LOST as error:
        # The message begins with a trace of the graph; the address of the lost one, if it is known, comes late.
        lost = re.search(r"remote target /job:(\w+)/replica:0/task:(\d+)", str(error))
        _free(error)
        raise UserError(
            f"{f'{lost[1]} {lost[2]}' if lost else 'another process'} of this run ended or cannot be reached: its own "
            "output says why. Start all processes again: the run resumes from its last checkpoint."
        ) from error
    except _PERHAPS_LOST as error:
        said = str(error)
        found = _OF_PROCESSES.search(said)
        if not found:
            raise
        reason = short(said[max(0, found.start() - 60) :], 150)
        _free(error)
        raise UserError(
            f"the processes of this run are out of sync, or one of them ended ({reason}): the output of the "
            "others says why. Start all of them again with the same flags, data and versions: the run resumes from "
            "its last checkpoint."
        ) from error


def _free(error: Exception) -> None:
    """Frees what the frames of an error hold: TensorFlow's pool of threads, which may print a traceback at exit."""
    traceback.clear_frames(error.__traceback__)


@contextlib.contextmanager
def exit_on_timeout(seconds: float) -> Iterator[None]:
    """Ends the process with exit code 1 if the block takes longer, also where no Python code can run meanwhile."""
    with open(os.devnull, "w") as nowhere:  # For the traceback.
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def default_signal_handlers() -> Iterator[None]:
    """For a block that waits long inside TensorFlow, during which Python handles no signals."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            if previous[number] != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        yield
    finally:
        for number in numbers:
            signal.signal(number, previous[number])
