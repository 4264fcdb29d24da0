"""All processes of a run meet before TensorFlow connects them: no TensorFlow here.

TensorFlow waits in silence for those that are missing, does not hear a signal while it does, and knows nothing of
flags and data that differ. So the processes meet at the chief's address first. Every process listens at its own port;
the others send the chief who they are and what they are about to do, and it lets all of them go when all are there
and want the same, or sends all of them away with one line that names the difference.
"""

import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable, Optional

from stylegan_tf.distribution.cluster import Cluster
from stylegan_tf.errors import UserError
from stylegan_tf.files.file_errors import reason_of, short

_MAGIC = "stylegan_tf"
_LONGEST = 2**20  # Bytes of a line.
_RETRY, _REMINDER, _PATIENCE = 0.5, 60.0, 10.0  # Seconds.

Facts = Mapping[str, Any]  # Name -> value, as JSON has it: equal in all processes.


def meet(cluster: Cluster, facts: Facts, say: Callable[[str], None] = print) -> None:
    """Returns when all processes of the cluster are here and have the same facts; for all of them to call.

    Every minute a line says for whom it waits. Raises UserError if the facts differ, if this process's port is taken,
    or if another one is there in its place.
    """
    facts = json.loads(json.dumps(facts))
    with _Listener(cluster, facts) as listener:
        _check_own_address(cluster, listener.token, say)
        if cluster.index == 0:
            listener.wait_for_all(say)
        else:
            _report(cluster, listener.token, facts, say)


class _Listener:
    """What answers at this process's port until TensorFlow takes it; the chief's collects the others."""

    def __init__(self, cluster: Cluster, facts: Facts):
        self.token = secrets.token_hex(8)
        self._cluster, self._facts = cluster, facts
        self._present: dict[int, tuple[socket.socket, str]] = {}  # Index -> its connection and token.
        self._problem: Optional[str] = None
        self._changed = threading.Condition()
        self._socket = self._bound()

    def __enter__(self) -> "_Listener":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # Ends `accept` in the other thread.
        self._socket.close()
        with self._changed:  # Processes that go away meanwhile are taken out by other threads.
            for connection, _ in self._present.values():
                connection.close()

    def wait_for_all(self, say: Callable[[str], None]) -> None:
        """The chief's part."""
        reminder, until = time.monotonic() + _REMINDER, None
        with self._changed:
            while len(self._present) < len(self._cluster.addresses) - 1:
                self._changed.wait(_RETRY)
                if self._problem:  # Those that come in the next seconds are told, too.
                    until = until or time.monotonic() + _PATIENCE
                    if time.monotonic() > until:
                        break
                if time.monotonic() > reminder:
                    reminder += _REMINDER
                    line = f"still waiting for {self._missing()}"
                    say(line)
                    self._tell_all("waiting " + line)
            self._tell_all(f"refused {self._problem}" if self._problem else "go")
        if self._problem:
            raise UserError(self._problem)

    def _missing(self) -> str:
        missing = [index for index in range(1, len(self._cluster.addresses)) if index not in self._present]
        return ", ".join(_named(self._cluster, index) for index in missing)

    def _tell_all(self, line: str) -> None:
        for connection, _ in self._present.values():
            with contextlib.suppress(OSError):
                connection.sendall(f"{line}\n".encode())

    def _bound(self) -> socket.socket:
        port = int(self._cluster.addresses[self._cluster.index].rpartition(":")[2])
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("", port))
            listening.listen(len(self._cluster.addresses) + 16)
        except OSError as error:
            listening.close()
            raise UserError(
                f"{_named(self._cluster, self._cluster.index)} cannot start: port {port} of this machine is taken "
                f"({reason_of(error)}). Is a process with this TF_CONFIG running already, or was one started twice?"
            ) from None
        return listening

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # It was closed: the meeting is over.
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(_PATIENCE)
            request = next(_lines(connection), "")
            if request == f"{_MAGIC} who":
                connection.sendall(f"{self.token}\n".encode())
            elif request.startswith(f"{_MAGIC} {{") and self._cluster.index == 0:
                self._register(connection, json.loads(request[len(_MAGIC) :]))
                return
        except (OSError, ValueError, KeyError, TypeError):
            pass  # Something else has knocked at the port.
        connection.close()

    def _register(self, connection: socket.socket, request: Mapping[str, Any]) -> None:
        """A process is here; stays until it is let go, or goes away itself."""
        index, token = int(request["index"]), str(request["token"])
        with self._changed:
            if index in self._present and self._present[index][1] != token:
                text = f"{_named(self._cluster, index)} is there already: two processes have the same TF_CONFIG"
                connection.sendall(f"refused {text}\n".encode())
                connection.close()
                return
            self._present[index] = (connection, token)
            difference = _difference(self._cluster, index, self._facts, request)
            self._problem = self._problem or difference
            self._changed.notify_all()
        connection.settimeout(None)
        with contextlib.suppress(OSError):
            if not connection.recv(1):  # It ended, or was ended.
                with self._changed:
                    if self._present.get(index, (None,))[0] is connection:
                        del self._present[index]


def _difference(cluster: Cluster, index: int, chiefs: Facts, request: Mapping[str, Any]) -> Optional[str]:
    """One line about the first fact that a process does not share with the chief, None if all are equal."""
    if request["addresses"] != list(cluster.addresses):
        theirs = short(", ".join(request["addresses"]), 100)
        return f"process {index} and the chief have different clusters in TF_CONFIG: {theirs}; {_listed(cluster)}."
    facts = request["facts"]
    for name in sorted({*facts, *chiefs}):
        if facts.get(name) != chiefs.get(name):
            theirs, ours = (short(json.dumps(values.get(name)), 80) for values in (facts, chiefs))
            return (
                f"{_named(cluster, index)} has {name} {theirs}, the chief has {ours}: start all processes with the "
                "same versions, flags and data."
            )
    return None


def _check_own_address(cluster: Cluster, token: str, say: Callable[[str], None]) -> None:
    """Who answers at this process's address?"""
    address = cluster.addresses[cluster.index]
    try:
        with _connected(address, 2.0) as connection:
            connection.sendall(f"{_MAGIC} who\n".encode())
            answer = next(_lines(connection), "")
    except OSError as error:
        say(
            f"warning: {_named(cluster, cluster.index)} cannot be reached from its own machine ({reason_of(error)}): "
            "does TF_CONFIG name the right address and task?"
        )
        return
    if answer != token:
        raise UserError(
            f"at {address} another process answers: this is not the machine of {_named(cluster, cluster.index)}, or "
            "two processes have the same TF_CONFIG."
        )


def _report(cluster: Cluster, token: str, facts: Facts, say: Callable[[str], None]) -> None:
    """The part of all but the chief."""
    request = {"index": cluster.index, "token": token, "addresses": cluster.addresses, "facts": facts}
    reminder = time.monotonic() + _REMINDER
    while True:
        with contextlib.suppress(OSError):
            with _connected(cluster.addresses[0], _PATIENCE) as connection:
                connection.sendall(f"{_MAGIC} {json.dumps(request)}\n".encode())
                connection.settimeout(None)
                for line in _lines(connection):
                    kind, _, text = line.partition(" ")
                    if kind == "go":
                        return
                    if kind == "refused":
                        raise UserError(text)
                    if kind != "waiting":  # TensorFlow, or something else.
                        raise UserError(
                            f"at {cluster.addresses[0]}, the chief's address, another program answers, or a run that "
                            "is under way without this process: start all processes of a run together."
                        )
                    say(text)
        if time.monotonic() > reminder:
            reminder += _REMINDER
            say(f"still waiting for {_named(cluster, 0)}")
        time.sleep(_RETRY)


@contextlib.contextmanager
def _connected(address: str, timeout: float) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    try:
        connection = socket.create_connection((host.strip("[]"), int(port)), timeout)
    except UnicodeError:  # An empty or too long part between dots.
        raise UserError(f"TF_CONFIG: {short(host, 100)!r} is not the name of a machine.") from None
    with connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # A machine that dies says no good-bye.
        yield connection


def _lines(connection: socket.socket) -> Iterator[str]:
    """What comes in, line by line, until the other end closes it."""
    rest = b""
    while len(rest) < _LONGEST:
        piece = connection.recv(2**16)
        if not piece:
            return
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", errors="replace")


def _named(cluster: Cluster, index: int) -> str:
    return f"{'the chief' if index == 0 else f'process {index}'} at {cluster.addresses[index]}"


def _listed(cluster: Cluster) -> str:
    return short(", ".join(cluster.addresses), 100)
