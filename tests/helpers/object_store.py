"""An S3 server (moto's) on loopback, and a proxy before it that fails in chosen ways."""

import contextlib
import os
import socket
import threading
import time

import pytest

BUCKET = "bucket"


@contextlib.contextmanager
def s3_server():
    """Yields the environment variables by which any process reaches its bucket."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield {
            "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.stop()


@contextlib.contextmanager
def environment(values):
    """Of this process; fsspec keeps connections, which are dropped."""
    import fsspec

    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    fsspec.filesystem("s3", skip_instance_cache=True)
    _forget_connections()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        _forget_connections()


def _forget_connections():
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


class FaultyProxy:
    """Passes bytes on to a server. `faults`: how many of the next connections with a PUT are cut in the middle."""

    def __init__(self, address, delay=0.0):
        self._server, self._delay = address, delay
        self.faults = self.cuts = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._socket.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target, is_request):
        with contextlib.suppress(OSError):
            while True:
                piece = source.recv(2**16)
                if not piece:
                    break
                if is_request and piece.startswith(b"PUT"):
                    time.sleep(self._delay)
                    if self.faults > 0:
                        self.faults -= 1
                        self.cuts += 1
                        target.sendall(piece[: len(piece) // 2])
                        break
                target.sendall(piece)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
