"""The rendezvous of processes before TensorFlow connects them: here, of threads."""

import contextlib
import json
import socket
import threading
import time

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.distribution import rendezvous as module
from stylegan_tf.distribution.processes import Cluster
from stylegan_tf.distribution.rendezvous import rendezvous


@pytest.fixture
def addresses(monkeypatch):
    """Three, on free ports."""
    monkeypatch.setattr(module, "_RETRY", 0.02)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for free in sockets:
            free.bind(("localhost", 0))
        return tuple(f"localhost:{free.getsockname()[1]}" for free in sockets)


def _all(clusters_and_facts):
    """What each process said, and how it ended: None, or the text of a UserError."""
    outcomes = [None] * len(clusters_and_facts)

    def run(position, cluster, facts):
        said = []
        try:
            rendezvous(cluster, facts, said.append)
            outcomes[position] = (said, None)
        except UserError as error:
            outcomes[position] = (said, str(error))

    threads = [threading.Thread(daemon=True, target=run, args=[i, *both]) for i, both in enumerate(clusters_and_facts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return outcomes


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_processes_with_the_same_facts_go_on_together(addresses, order):
    facts = {"--batch_sizes": {"8": 4}, "images": 24}
    outcomes = _all([(Cluster(addresses, index), facts) for index in order])
    assert outcomes == [([], None)] * 3


def test_a_fact_that_differs_ends_all_of_them_in_one_line_that_names_it(addresses):
    facts = [{"--seed": 1, "--learning_rate": rate} for rate in (0.001, 0.002, 0.002)]
    outcomes = _all([(Cluster(addresses, index), facts[index]) for index in range(3)])
    errors = {error for _, error in outcomes}
    assert len(errors) == 1
    (error,) = errors
    assert "has --learning_rate 0.002, the chief has 0.001" in error and "start all processes with the same" in error


def test_a_process_that_leaves_is_waited_for_again(addresses, monkeypatch):
    monkeypatch.setattr(module, "_FRESH", 0.2)
    with (
        module._Listener(Cluster(addresses, 0), {}) as listener,
        _connected(addresses, _report(addresses)) as connection,
    ):
        assert connection.makefile().readline() == f"waiting process 2 at {addresses[2]}\n"
        time.sleep(0.3)
        assert listener._missing().startswith("process 1 at")


def test_different_clusters_are_told(addresses):
    outcomes = _all([(Cluster(addresses[:2], 0), {}), (Cluster((addresses[0], addresses[1], "b:1"), 1), {})])
    assert all("different clusters in TF_CONFIG" in error for _, error in outcomes)


def test_a_minute_of_waiting_is_a_line_that_says_for_whom(addresses, monkeypatch):
    monkeypatch.setattr(module, "_REMINDER", 0.2)
    said, ended = {0: [], 1: []}, []

    def run(index):
        rendezvous(Cluster(addresses, index), {}, said[index].append)
        ended.append(index)

    threads = [threading.Thread(daemon=True, target=run, args=[index]) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        if said[0] and said[1]:
            break
        threads[0].join(0.05)
    assert said[0][-1] == said[1][-1] == f"still waiting for process 2 at {addresses[2]}" and not ended
    rendezvous(Cluster(addresses, 2), {})
    for thread in threads:
        thread.join(30)
    assert sorted(ended) == [0, 1]


def test_who_waits_for_the_chief_says_so(addresses, monkeypatch):
    monkeypatch.setattr(module, "_REMINDER", 0.1)
    said, event = [], threading.Event()

    def say(line):
        said.append(line)
        event.set()

    worker = threading.Thread(daemon=True, target=rendezvous, args=[Cluster(addresses[:2], 1), {}, say])
    worker.start()
    assert event.wait(30) and said[0] == f"still waiting for the chief at {addresses[0]}"
    rendezvous(Cluster(addresses[:2], 0), {})
    worker.join(30)
    assert not worker.is_alive()


def test_a_port_that_is_taken_is_told_at_once(addresses):
    with socket.socket() as taken:
        taken.bind(("", int(addresses[1].rpartition(":")[2])))
        taken.listen()
        with pytest.raises(UserError, match="process 1 at localhost:.* cannot start: port .* of .* is in use"):
            rendezvous(Cluster(addresses, 1), {})


def test_an_address_of_another_process_is_told_at_once(addresses):
    """As if the process of index 1 ran on a machine that is not addresses[1]."""
    listener = module._Listener(Cluster(addresses, 1), {})
    with listener, pytest.raises(UserError, match="at localhost:.* another process answers"):
        module._check_own_address(Cluster(addresses, 1), "another token", print)


def test_an_address_that_leads_nowhere_is_a_warning(addresses):
    said = []
    module._check_own_address(Cluster(("no-such-host.invalid:2222",), 0), "token", said.append)
    assert "cannot be reached from its own machine" in said[0]


def test_a_second_process_of_one_index_is_refused(addresses):
    with module._Listener(Cluster(addresses, 0), {}), _connected(addresses, _report(addresses)) as connection:
        assert connection.makefile().readline().startswith("waiting")
        with pytest.raises(UserError, match="process 1 .*is there already"):
            module._report_to_chief(Cluster(addresses, 1), "second", {}, print)


def _report(addresses, **changes):
    """The line of process 1 with this run's (empty) token, whose content may be wrong."""
    content = {"index": 1, "token": "first", "addresses": list(addresses), "facts": {}, **changes}
    body = json.dumps(content)
    return f"stylegan_tf {module._signature(body)} {body}\n".encode()


@contextlib.contextmanager
def _connected(addresses, content):
    """To the chief, once it is there."""
    until = time.monotonic() + 30
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            connection = socket.create_connection(("localhost", int(addresses[0].rpartition(":")[2])), 30)
            break
        assert time.monotonic() < until
    with connection:
        connection.sendall(content)
        yield connection


def test_strangers_are_refused_and_reported_and_the_real_process_is_waited_for(addresses):
    addresses, notes = addresses[:2], []
    strangers = [b"GET / HTTP/1.1\r\n\r\n", b"stylegan_tf {\n", b"\xff" * 100 + b"\n", b"\n"]
    strangers += [b'stylegan_tf {"index": 1, "token": "x"}\n']
    strangers += [_report(addresses, index=0), _report(addresses, index=2), _report(addresses, facts=[])]
    strangers += [_report(addresses, index="1"), _report(addresses, more=1)]
    chief = threading.Thread(daemon=True, target=rendezvous, args=[Cluster(addresses, 0), {"a": 1}, notes.append])
    chief.start()
    for content in strangers:
        with _connected(addresses, content) as connection:
            assert connection.makefile().readline().startswith("refused by the chief"), content
    until = time.monotonic() + 30
    while not notes and time.monotonic() < until:
        time.sleep(0.05)
    assert "connections to localhost" in notes[0] and "were refused" in notes[0] and chief.is_alive()
    rendezvous(Cluster(addresses, 1), {"a": 1})
    chief.join(30)
    assert not chief.is_alive()


def test_a_process_without_the_runs_token_is_refused(addresses, monkeypatch):
    monkeypatch.setenv(module.RUN_TOKEN, "of another run")
    theirs = _report(addresses[:2])
    monkeypatch.setenv(module.RUN_TOKEN, "of this run")
    chief = threading.Thread(daemon=True, target=rendezvous, args=[Cluster(addresses[:2], 0), {}])
    chief.start()
    with _connected(addresses, theirs) as connection:
        answer = connection.makefile().readline()
    assert "STYLEGAN_TF_RUN_TOKEN is not that of this run" in answer and b"of another run" not in theirs
    rendezvous(Cluster(addresses[:2], 1), {})
    chief.join(30)
    assert not chief.is_alive()


def test_a_chiefs_address_that_accepts_and_says_nothing_is_reported(addresses, monkeypatch):
    monkeypatch.setattr(module, "_REMINDER", 0.1)
    monkeypatch.setattr(module, "_TIMEOUT", 0.5)
    notes, event = [], threading.Event()

    def note(line):
        notes.append(line)
        event.set()

    with socket.socket() as silent:
        silent.bind(("localhost", int(addresses[0].rpartition(":")[2])))
        silent.listen()
        worker = threading.Thread(daemon=True, target=rendezvous, args=[Cluster(addresses[:2], 1), {}, note])
        worker.start()
        assert event.wait(30)
    assert notes[0] == f"still waiting for the chief at {addresses[0]}, which accepts connections but does not answer"
    rendezvous(Cluster(addresses[:2], 0), {})
    worker.join(30)
    assert not worker.is_alive()


def test_another_program_at_the_chiefs_address_is_told(addresses):
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", int(addresses[0].rpartition(":")[2])))
        server.listen()

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"\x00\x00\x12 settings of another protocol\n")

        threading.Thread(daemon=True, target=answer).start()
        with pytest.raises(UserError, match="another program answers, or a run that is under way"):
            rendezvous(Cluster(addresses[:2], 1), {})
