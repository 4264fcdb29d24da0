"""Requests to an ASGI application without a server."""

import asyncio
import contextlib
import json
from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


class AsgiClient:
    """`with AsgiClient(app) as client: client.get("/")`. app: a Starlette; guarded: what it is wrapped in."""

    def __init__(self, app, guarded=None, **headers):
        self._app, self._guarded, self._headers = app, guarded or app, {"host": "127.0.0.1:7860", **headers}
        self._loop, self._stack = asyncio.new_event_loop(), contextlib.AsyncExitStack()

    def __enter__(self):
        self._loop.run_until_complete(self._stack.enter_async_context(self._app.router.lifespan_context(self._app)))
        return self

    def __exit__(self, *_exception):
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def post(self, path, data, **headers):
        """data: bytes as they are, anything else as JSON."""
        return self.request("POST", path, data if isinstance(data, bytes) else json.dumps(data).encode(), **headers)

    def request(self, method, path, body=b"", **headers):
        return self._loop.run_until_complete(self._request(method, path, body, headers))

    async def _request(self, method, path, body, headers):
        headers = {**self._headers, **headers}
        path, _, query = path.partition("?")
        pairs = [(name.replace("_", "-").encode(), str(value).encode()) for name, value in headers.items() if value]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "headers": pairs,
            "server": ("127.0.0.1", 7860), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        messages, sent = [{"type": "http.request", "body": body, "more_body": False}], []

        async def receive():
            return messages.pop() if messages else await asyncio.Event().wait()  # It stays connected.

        async def send(message):
            sent.append(message)

        await self._guarded(scope, receive, send)
        answer = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], answer, b"".join(message.get("body", b"") for message in sent[1:]))
