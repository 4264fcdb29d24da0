"""The processes of one run, on one machine or on several: who they are, and what they have to agree on."""

import contextlib
import re
import signal
import traceback
from collections.abc import Iterator

import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.distribution.cluster import cluster_from_environment
from stylegan_tf.files.file_errors import short


class Processes:
    """All processes of a run's strategy. Only the first one, the chief, writes to the run folder.

    Methods marked so have to be called by all of them, in the same order; with one process they cost nothing.
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
        """The sum of every process's value. For all to call."""
        if self.count == 1:
            return value
        local_replicas = self._strategy.num_replicas_in_sync // self.count

        def of_replica(context):
            first = context.replica_id_in_sync_group % local_replicas == 0
            return tf.constant(value if first else 0, tf.int64)

        values = self._strategy.experimental_distribute_values_from_function(of_replica)
        return int(self._strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))

    def any(self, value) -> bool:
        """Whether the value of any process is true. For all to call."""
        return self.sum(int(bool(value))) > 0

    def of_chief(self, value: int) -> int:
        """The chief's value. For all to call."""
        return self.sum(value if self.is_chief else 0)

    def agree_on(self, value: int) -> bool:
        """Whether all have the same value. For all to call."""
        return self.sum(int(value == self.of_chief(value))) == self.count

    def wait_for_all(self) -> None:
        """A barrier. For all to call."""
        self.sum(0)

    @contextlib.contextmanager
    def naming_lost_processes(self) -> Iterator[None]:
        """Put it around what the processes do together: the loss of another one becomes a UserError."""
        with lost_processes_named() if self.count > 1 else contextlib.nullcontext():
            yield


_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
# What else TensorFlow raises when another process is gone, or executes something else.
_PERHAPS_LOST = (tf.errors.InternalError, tf.errors.CancelledError, tf.errors.UnknownError)
_OF_PROCESSES = re.compile(r"collective|coordination|remote (target|peer)|/job:\w+/replica|heartbeat|barrier", re.I)


@contextlib.contextmanager
def lost_processes_named() -> Iterator[None]:
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
            f"the processes of this run no longer do the same, or one of them ended ({reason}): the output of the "
            "others says why. Start all of them again with the same flags, data and versions: the run resumes from "
            "its last checkpoint."
        ) from error


def _free(error: Exception) -> None:
    """Frees what the frames of an error hold: TensorFlow's pool of threads, which may print a traceback at exit."""
    traceback.clear_frames(error.__traceback__)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Put it around a long wait inside of TensorFlow, during which Python handles no signals."""
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
