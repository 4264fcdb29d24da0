"""Servers of object storage on loopback, moto's S3 and an emulator of Google's, and a proxy that fails."""

import contextlib
import http
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
def gcs_server():
    """The same for gs://. The emulator does not know conditional puts: the one condition that is used is added here."""
    from gcp_storage_emulator import server as emulator
    from gcp_storage_emulator.handlers import objects

    class Conditional:
        def __init__(self, storage):
            self._storage = storage

        def __getattr__(self, name):
            return getattr(self._storage, name)

        def create_file(self, bucket, name, *arguments):
            with contextlib.suppress(objects.NotFound):
                self._storage.get_file_obj(bucket, name)
                raise FileExistsError
            return self._storage.create_file(bucket, name, *arguments)

    def insert(request, response, storage, *arguments, **options):
        is_conditional = request.query.get("ifGenerationMatch") == ["0"]
        try:
            objects.insert(request, response, Conditional(storage) if is_conditional else storage)
        except FileExistsError:
            response.status = http.HTTPStatus.PRECONDITION_FAILED

    for _, methods in emulator.HANDLERS:
        if methods.get("POST") is objects.insert:
            methods["POST"] = insert
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    try:
        address = server._api._httpd.server_address
        # The second: no questions to Google about the kind of bucket.
        yield {
            "STORAGE_EMULATOR_HOST": "http://{}:{}".format(*address),
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
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
    """Passes bytes on to a server, except for every n-th request (`every`; 0: none).

    kind: "503" is answered so, "cut" ends the connection in the middle of the request, "stall" never answers.
    """

    def __init__(self, address, kind="", every=0, delay=0.0):
        self._server, self._kind, self._every, self._delay = address, kind, every, delay
        self.requests = self.faults = 0
        self._end = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._end.set()
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
            while piece := source.recv(2**16):
                if is_request and piece.startswith((b"PUT", b"GET", b"POST", b"HEAD", b"DELETE")):
                    time.sleep(self._delay)
                    self.requests += 1
                    if self._every and self.requests % self._every == 0:
                        self.faults += 1
                        self._fail(source, target, piece)
                        break
                target.sendall(piece)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _fail(self, source, target, piece):
        if self._kind == "503":
            source.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        elif self._kind == "cut":
            target.sendall(piece[: len(piece) // 2])
        else:
            self._end.wait(60)
