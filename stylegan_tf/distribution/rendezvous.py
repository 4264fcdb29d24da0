"""The rendezvous of all processes of a run before TensorFlow connects them: no TensorFlow here.

TensorFlow waits in silence for processes that are missing, does not react to a signal meanwhile, and does not compare
flags and data. So every process first listens at its own address, and twice a second reports to the chief who it is
and what it is about to do. The chief's answer is to wait, to go, once they are complete and agree, or a line that names
the difference. Whoever else connects is refused: a report is signed with the run's token, if it has one (`RUN_TOKEN`).
"""

import contextlib
import hmac
import json
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.distribution.processes import Cluster
from stylegan_tf.files.file_errors import parse_json, reason_of, short

RUN_TOKEN = "STYLEGAN_TF_RUN_TOKEN"  # Environment variable: a secret that all processes of a run share.
_MAGIC = "stylegan_tf"
_MAX_LINE = 2**20  # Bytes.
_RETRY, _REMINDER, _TIMEOUT = 0.5, 60.0, 10.0  # Seconds.
_FRESH = 3.0  # Seconds since its last report for which a process counts as present.
_REFUSED_BEFORE_WARNING = 3  # Refused connections in a row after which a line says so.

_NEVER = ("", -math.inf)  # Token and time of the last report of a process that was not here yet.

Facts = Mapping[str, Any]  # Name -> value, as JSON has it: equal in all processes.


def rendezvous(cluster: Cluster, facts: Facts, note: Note = ignore) -> None:
    """Returns when all processes of the cluster are here and have the same facts. Collective.

    Every minute a line says who is missing. Raises UserError if the facts differ, if this process's port is taken, or
    if another process answers at its address.
    """
    facts = json.loads(json.dumps(facts))
    with _Listener(cluster, facts) as listener:
        _check_own_address(cluster, listener.token, note)
        if cluster.index == 0:
            listener.wait_for_all(note)
        else:
            _report_to_chief(cluster, listener.token, facts, note)


class _Report(NamedTuple):
    """What a process tells the chief."""

    index: int
    token: str  # Token of the process: two with the same index have different ones.
    addresses: list
    facts: dict


class _Listener:
    """What answers at this process's address until TensorFlow takes it; the chief's collects the others."""

    def __init__(self, cluster: Cluster, facts: Facts):
        self.token = secrets.token_hex(8)
        self._cluster, self._facts = cluster, facts
        self._present: dict[int, tuple[str, float]] = {}  # Index -> its token, and the time of its last report.
        self._problem: Optional[str] = None
        self._released = False
        self._informed: set[int] = set()  # Indices of those that know about the problem or the release.
        self._refused: list[str] = []  # Why, for those since the last process of this run.
        self._changed = threading.Condition()
        self._closed = False
        self._socket = _bound_socket(cluster)

    def __enter__(self) -> "_Listener":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # Ends `accept` in the other thread.
        self._socket.close()

    def wait_for_all(self, note: Note) -> None:
        """The chief's part."""
        reminder, until = time.monotonic() + _REMINDER, None
        with self._changed:
            while len(self._informed) < len(self._cluster.addresses) - 1:
                self._changed.wait(_RETRY)
                if self._problem or self._released:  # Those that ask within the next seconds also learn about it.
                    until = until or time.monotonic() + _TIMEOUT
                    if time.monotonic() > until:
                        break
                if len(self._refused) >= _REFUSED_BEFORE_WARNING:
                    address = self._cluster.addresses[0]
                    note(f"{len(self._refused)} connections to {address} were refused ({self._refused[-1]})")
                    self._refused.clear()
                if time.monotonic() > reminder:
                    reminder += _REMINDER
                    note(f"still waiting for {self._missing()}")
        if self._problem:
            raise UserError(self._problem)

    def _missing(self) -> str:
        """Those whose last report was too long ago; "" if there are none."""
        since = time.monotonic() - _FRESH
        indices = range(1, len(self._cluster.addresses))
        return ", ".join(_named(self._cluster, i) for i in indices if self._present.get(i, _NEVER)[1] < since)

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()
            except (OSError, RuntimeError):  # Closed; or no more files or threads for the moment.
                time.sleep(_RETRY)

    def _serve(self, connection: socket.socket) -> None:
        """Whatever comes in: nothing of it may end this process or print a traceback."""
        with contextlib.suppress(Exception), connection:
            connection.settimeout(_TIMEOUT)
            line = _line(connection)
            try:
                report = None if line == f"{_MAGIC} who" else _parsed_report(line, self._cluster)
                answer = self.token if report is None else self._register(report)
            except ValueError as error:
                with self._changed:
                    self._refused.append(short(error, 100))
                report, answer = None, f"refused by {_named(self._cluster, self._cluster.index)}: {error}"
            connection.sendall(f"{answer}\n".encode())
            if report is not None and answer in ("go", f"refused {self._problem}"):
                with self._changed:  # Only now: with the last of them TensorFlow starts, and keeps Python from running.
                    self._informed.add(report.index)
                    self._changed.notify_all()

    def _register(self, report: _Report) -> str:
        """A process is here -> the answer."""
        if self._cluster.index:
            return f"waiting {_named(self._cluster, 0)}"
        with self._changed:
            token, time_of_report = self._present.get(report.index, _NEVER)
            if token != report.token and time.monotonic() - time_of_report < _FRESH:
                name = _named(self._cluster, report.index)
                return f"refused {name} is there already: two processes have the same TF_CONFIG"
            self._refused.clear()
            self._present[report.index] = (report.token, time.monotonic())
            self._problem = self._problem or _difference(self._cluster, report, self._facts)
            missing = self._missing()
            self._released = self._released or not (missing or self._problem)
            if self._problem:
                return f"refused {self._problem}"
            return "go" if self._released else f"waiting {missing}"


def _bound_socket(cluster: Cluster) -> socket.socket:
    """Listens at this process's address; on all interfaces where its name is not one of this machine (NAT)."""
    host, _, port = cluster.addresses[cluster.index].rpartition(":")
    problem: Optional[OSError] = None
    for name in (host.strip("[]"), ""):
        try:
            family = socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)[0][0] if name else socket.AF_INET
        except (OSError, UnicodeError):  # The name is unknown here.
            continue
        try:
            return socket.create_server((name, int(port)), family=family, backlog=len(cluster.addresses) + 16)
        except OSError as error:
            problem = error
    raise UserError(
        f"{_named(cluster, cluster.index)} cannot start: port {port} of this machine is in use "
        f"({reason_of(problem)}). Is a process with this TF_CONFIG running already, or was one started twice?"
    )


def _signature(body: str) -> str:
    return hmac.new(os.environ.get(RUN_TOKEN, "").encode(), body.encode(), "sha256").hexdigest()


def _parsed_report(line: str, cluster: Cluster) -> _Report:
    """ValueError, with what to answer, for anything but the report of a process of this run."""
    magic, signature, body = ([*line.split(" ", 2), "", ""])[:3]
    if magic != _MAGIC:
        raise ValueError("this is not a process of this program")
    if not hmac.compare_digest(signature.encode(), _signature(body).encode()):
        raise ValueError(f"the environment variable {RUN_TOKEN} is not that of this run")
    content = parse_json(body)
    kinds = {"index": int, "token": str, "addresses": list, "facts": dict}
    if not isinstance(content, dict) or {name: type(value) for name, value in content.items()} != kinds:
        raise ValueError("its report has another form")
    report = _Report(**content)
    if report.addresses == list(cluster.addresses) and not 1 <= report.index < len(cluster.addresses):
        raise ValueError(f"there is no process {report.index} to wait for")
    return report


def _difference(cluster: Cluster, report: _Report, chiefs: Facts) -> Optional[str]:
    """One line about the first fact that a process does not share with the chief, None if all are equal."""
    index, facts = report.index, report.facts
    if report.addresses != list(cluster.addresses):
        theirs = short(", ".join(map(str, report.addresses)), 100)
        return f"process {index} and the chief have different clusters in TF_CONFIG: {theirs}; {_listed(cluster)}."
    for name in sorted({*facts, *chiefs}):
        if facts.get(name) != chiefs.get(name):
            theirs, ours = (short(json.dumps(values.get(name)), 80) for values in (facts, chiefs))
            return (
                f"{_named(cluster, index)} has {name} {theirs}, the chief has {ours}: start all processes with the "
                "same versions, flags and data."
            )
    return None


def _check_own_address(cluster: Cluster, token: str, note: Note) -> None:
    """Which process answers at this one's address?"""
    address = cluster.addresses[cluster.index]
    try:
        answer = _ask(address, f"{_MAGIC} who", 2.0)
    except OSError as error:
        note(
            f"warning: {_named(cluster, cluster.index)} cannot be reached from its own machine ({reason_of(error)}): "
            "does TF_CONFIG name the right address and task?"
        )
        return
    if answer != token:
        raise UserError(
            f"at {address} another process answers: this is not the machine of {_named(cluster, cluster.index)}, or "
            "two processes have the same TF_CONFIG."
        )


def _report_to_chief(cluster: Cluster, token: str, facts: Facts, note: Note) -> None:
    """The part of all but the chief."""
    body = json.dumps(_Report(cluster.index, token, list(cluster.addresses), dict(facts))._asdict())
    reminder = time.monotonic() + _REMINDER
    while True:
        missing = _named(cluster, 0)
        with contextlib.suppress(OSError):
            answer = _ask(cluster.addresses[0], f"{_MAGIC} {_signature(body)} {body}", _TIMEOUT)
            kind, _, text = (answer or "").partition(" ")
            if kind == "go":
                return
            if kind == "refused":
                raise UserError(text)
            if kind == "waiting":
                missing = text
            elif answer:  # TensorFlow, or something else.
                raise UserError(
                    f"at {cluster.addresses[0]}, the chief's address, another program answers, or a run that is under "
                    "way without this process: start all processes of a run together."
                )
            elif answer is None:
                missing += ", which accepts connections but does not answer"
        if time.monotonic() > reminder:
            reminder += _REMINDER
            note(f"still waiting for {missing}")
        time.sleep(_RETRY)


def _ask(address: str, line: str, timeout: float) -> Optional[str]:
    """The answer to a line: "" if there is none, None after `timeout` seconds. OSError if there is no connection."""
    host, _, port = address.rpartition(":")
    try:
        connection = socket.create_connection((host.strip("[]"), int(port)), timeout)
    except UnicodeError:  # An empty or too long part between dots.
        raise UserError(f"TF_CONFIG: {short(host, 100)!r} is not the name of a machine.") from None
    with connection:
        connection.sendall(f"{line}\n".encode())
        try:
            return _line(connection)
        except socket.timeout:
            return None


def _line(connection: socket.socket) -> str:
    with connection.makefile("rb") as stream:
        return stream.readline(_MAX_LINE).decode("utf-8", errors="replace").rstrip("\n")


def _named(cluster: Cluster, index: int) -> str:
    return f"{'the chief' if index == 0 else f'process {index}'} at {cluster.addresses[index]}"


def _listed(cluster: Cluster) -> str:
    return short(", ".join(cluster.addresses), 100)
