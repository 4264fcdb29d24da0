"""Who may use the page: checks before any route, and headers of every answer."""

import contextlib
import hmac
import html
import ipaddress
import re
import secrets
from typing import Optional
from urllib.parse import parse_qs, urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from stylegan_tf.config import PageServerConfig

MAX_UPLOAD, MAX_BODY = 64 * 2**20, 2**20  # Bytes of a request: of a picture, and of anything else.
MAX_PATH = 1000  # Characters. Python refuses to parse numbers of several thousand digits, as in a route (`:int`).
UPLOADS = "/api/projections"
_STYLE = "/static/style.css"  # The page that asks for the password also uses it.
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>StyleGAN explorer</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="static/style.css"></head>
<body class="door"><main><h1>StyleGAN explorer</h1>{}</main></body></html>"""
_LOGIN = """<form method="post" action="login"><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" autofocus>
<button class="primary">Open</button><p role="alert">{}</p></form>"""
_NO_TOKEN = "<p>Open the address that the program shows in its terminal: it holds the key to this page.</p>"


class Guard:
    """ASGI middleware. In this order: the path below the proxy, Host, Origin, password or token, size of the body.

    Browsers prove themselves with a cookie. They get it for the token in the address that the program shows, or for
    the password where there is one.
    """

    def __init__(self, app, config: PageServerConfig, password: Optional[str]):
        self._app, self._config, self._password = app, config, password
        self.token = secrets.token_urlsafe(24)
        self._cookie = f"stylegan-explorer-{secrets.token_hex(4)}"  # Ports of a machine share their cookies.
        self._hosts = {"localhost", "127.0.0.1", "::1", config.host.lower(), *(host.lower() for host in config.hosts)}
        self._attempts = anyio.Lock()
        sources = " ".join(config.frames) or "'none'"
        self._headers = {
            "content-security-policy": (
                "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
                f"form-action 'self'; frame-ancestors {sources}"
            ),
            "referrer-policy": "same-origin",  # With none, forms would come from the origin null.
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-store",
        }

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        root = self._config.root_path.rstrip("/")
        if root and (scope["path"] + "/").startswith(root + "/"):  # The proxy may have taken it off.
            scope = {**scope, "path": scope["path"][len(root) :] or "/"}
        try:
            refusal = self._refusal(scope) or await self._admission(scope, receive)
        except HTTPException as error:
            refusal = PlainTextResponse(error.detail, error.status_code)
        if refusal is not None:
            return await refusal(scope, receive, send_with_headers)
        await self._app(scope, _limited(receive, _max_body(scope)), send_with_headers)

    # ---- Where a request comes from

    def _refusal(self, scope) -> Optional[Response]:
        if len(scope["path"]) > MAX_PATH:
            return PlainTextResponse("The address is too long.", status_code=414)
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_known(host):
            text = "Unknown host name: give it as `allowed_hosts`, if it is yours."
            return PlainTextResponse(text, status_code=421)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        is_visit = scope["method"] == "GET" and scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        if origin is None:
            is_own = site in ("none", "same-origin") or is_visit
        else:
            is_own = self._is_own(origin, host)
        if not is_own:
            return PlainTextResponse("Another site's page must not use this one.", status_code=403)
        length = headers.get("content-length", "0")
        if not re.fullmatch("[0-9]{1,20}", length) or int(length) > _max_body(scope):
            return PlainTextResponse("The request is too large.", status_code=413)
        return None

    def _is_known(self, host):
        """Names that are this machine's, and addresses where others reach it: only names can be made to lie."""
        name = _host_name(f"//{host}")
        return name in self._hosts or (not self._config.is_local and _is_address(name))

    def _is_own(self, origin, host):
        return origin.partition("://")[2] == host or _host_name(origin) in self._config.hosts

    # ---- Who asks

    async def _admission(self, scope, receive) -> Optional[Response]:
        """None for those who may use the page."""
        cookies = cookie_parser("; ".join(Headers(scope=scope).getlist("cookie")))
        if _equal(cookies.get(self._cookie, ""), self.token) or scope["path"] == _STYLE:
            return None
        if self._password is not None:
            return await self._login(scope, receive)
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and _equal(token, self.token):
            return self._admitted()
        return HTMLResponse(_PAGE.format(_NO_TOKEN), status_code=401)

    async def _login(self, scope, receive):
        message = ""
        if scope["path"] == "/login" and scope["method"] == "POST":
            body = await Request(scope, _limited(receive, 4096)).body()
            given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
            async with self._attempts:
                if _equal(given, self._password):
                    return self._admitted()
                await anyio.sleep(1)  # For all together: guessing takes its time.
            message = "This is not the password."
        return HTMLResponse(_PAGE.format(_LOGIN.format(html.escape(message))), status_code=401)

    def _admitted(self):
        response = RedirectResponse("./", status_code=303)
        in_frames = bool(self._config.frames)
        attributes = "; SameSite=None; Secure; Partitioned" if in_frames else "; SameSite=Strict"
        path = self._config.root_path.rstrip("/") or "/"
        response.headers["set-cookie"] = f"{self._cookie}={self.token}; Path={path}; HttpOnly{attributes}"
        return response


def _max_body(scope):
    return MAX_UPLOAD if scope["path"] == UPLOADS else MAX_BODY


def _limited(receive, limit):
    """`receive` that gives up on a body that is longer than it said."""
    seen = 0

    async def limited():
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(413, "The request is too large.")
        return message

    return limited


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8"))


def _host_name(address: str) -> str:
    """ "" for what is not an address."""
    with contextlib.suppress(ValueError):
        return urlsplit(address).hostname or ""
    return ""


def _is_address(name: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False
