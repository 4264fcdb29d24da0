"""Who may use the page: every route asks, before anything is read."""

import re

import pytest

pytest.importorskip("starlette", reason="starlette is not installed")

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stylegan_tf.config import PageServerConfig
from stylegan_tf.explorer.security import Guard
from tests.helpers.asgi import AsgiClient

ROUTES = ("/", "/static/page.js", "/api/network", "/api/picture.png", "/api/jobs/x", "/anything")


@pytest.fixture
def visit():
    """visit(password, **options of the server) -> (client of a guarded page that answers with a body's size, guard)."""
    clients = []

    async def read(request: Request):
        return PlainTextResponse(str(len(await request.body())))

    def make(password=None, **options):
        app = Starlette(routes=[Route("/{path:path}", read, methods=["GET", "POST"])])
        guard = Guard(app, PageServerConfig(**options), password)
        clients.append(AsgiClient(app, guard).__enter__())
        return clients[-1], guard

    yield make
    for client in clients:
        client.__exit__(None, None, None)


def _cookie(answer):
    return answer.headers["set-cookie"].partition(";")[0]


def test_every_route_asks_for_the_token_of_the_printed_address(visit):
    client, guard = visit()
    for path in ROUTES:
        assert client.get(path).status == client.post(path, {}).status == 401, path
    assert client.get("/?token=wrong").status == 401 and client.get(f"/api/network?token={guard.token}").status == 401
    answer = client.get(f"/?token={guard.token}")
    assert (answer.status, answer.headers["location"]) == (303, "./")
    assert re.search("; Path=/; HttpOnly; SameSite=Strict$", answer.headers["set-cookie"])
    assert all(client.get(path, cookie=_cookie(answer)).status == 200 for path in ROUTES)
    assert client.get("/", cookie=_cookie(answer) + "x").status == 401


def test_a_password_lets_in_and_is_the_only_way(visit):
    client, guard = visit("open sesame", host="0.0.0.0")
    assert b'type="password"' in client.get("/").body and client.get("/").status == 401
    assert client.get(f"/?token={guard.token}").status == 401
    wrong = client.post("/login", b"password=guess")
    assert wrong.status == 401 and b"This is not the password." in wrong.body and "set-cookie" not in wrong.headers
    assert client.post("/login", b"password=" + b"x" * 5000).status == 413
    right = client.post("/login", b"password=open+sesame")
    assert right.status == 303 and client.get("/api/network", cookie=_cookie(right)).status == 200


def test_other_sites_in_the_same_browser_are_refused(visit):
    client, guard = visit(allowed_hosts="page.example, other.example")
    cookie = _cookie(client.get(f"/?token={guard.token}"))
    own, other = "http://127.0.0.1:7860", "http://x.example"
    assert client.post("/api/picture.png", {}, cookie=cookie, origin=own).status == 200
    for origin in (other, "null", "http://127.0.0.1:8888", "http://127.0.0.1"):
        assert client.post("/api/picture.png", {}, cookie=cookie, origin=origin).status == 403, origin
        assert client.post("/api/picture.png", {}, origin=origin).status == 403, origin
    assert client.get("/api/network", cookie=cookie, sec_fetch_site="cross-site").status == 403
    assert client.get("/", cookie=cookie, sec_fetch_site="cross-site", sec_fetch_mode="no-cors").status == 403
    assert (
        client.get("/", cookie=cookie, sec_fetch_site="cross-site", sec_fetch_mode="navigate").status == 200
    )  # A link.
    assert client.post("/api/network", {}, cookie=cookie, origin="https://page.example").status == 200  # The proxy's.


@pytest.mark.parametrize(
    "host, status",
    [
        *(("localhost:1", 200), ("[::1]:1", 200), ("127.0.0.1", 200), ("page.example", 200)),
        *(("x.example", 421), ("", 421), ("192.168.0.2", 421), ("[", 421)),
    ],
)
def test_unknown_host_names_get_no_page_so_dns_rebinding_does_not_work(visit, host, status):
    client, guard = visit(allowed_hosts="page.example")
    cookie = _cookie(client.get(f"/?token={guard.token}"))
    assert client.get("/", cookie=cookie, host=host).status == status


def test_a_page_for_other_machines_is_reached_by_addresses_but_not_by_unknown_names(visit):
    client, _ = visit("secret", host="0.0.0.0")
    cookie = _cookie(client.post("/login", b"password=secret"))
    assert client.get("/", cookie=cookie, host="192.168.0.2:7860").status == 200
    assert client.get("/", cookie=cookie, host="x.example").status == 421


def test_bodies_are_bounded_before_they_are_read(visit):
    client, guard = visit()
    cookie = _cookie(client.get(f"/?token={guard.token}"))
    assert client.post("/api/picture.png", b"x", cookie=cookie, content_length=2**20 + 1).status == 413
    assert client.post("/api/picture.png", b"x" * (2**20 + 1), cookie=cookie).status == 413  # It said nothing.
    assert client.post("/api/picture.png", b"x", cookie=cookie, content_length="many").status == 413
    assert client.post("/api/picture.png", b"x", cookie=cookie, content_length="9" * 5000).status == 413
    assert client.post("/api/projections", b"x", cookie=cookie, content_length=64 * 2**20 + 1).status == 413
    assert client.post("/api/projections", b"x" * 2**21, cookie=cookie).body == b"2097152"


def test_long_addresses_are_refused(visit):
    client, guard = visit()
    cookie = _cookie(client.get(f"/?token={guard.token}"))
    assert client.get(f"/api/examples/{'9' * 5000}.png", cookie=cookie).status == 414


def test_headers_let_browsers_load_from_here_only_and_name_the_pages_that_may_frame_it(visit):
    client, _ = visit()
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    client, guard = visit(frame_ancestors="https://a.example,http://localhost:*")
    assert "frame-ancestors https://a.example http://localhost:*" in client.get("/").headers["content-security-policy"]
    cookie = client.get(f"/?token={guard.token}").headers["set-cookie"]
    assert cookie.endswith("SameSite=None; Secure; Partitioned")


def test_a_proxy_may_take_off_the_path_or_leave_it(visit):
    client, guard = visit(root_path="/explore/")
    cookie = client.get(f"/explore/?token={guard.token}").headers["set-cookie"]
    assert "; Path=/explore;" in cookie
    cookie = cookie.partition(";")[0]
    assert client.get("/explore/api/network", cookie=cookie).status == 200
    assert client.get("/api/network", cookie=cookie).status == 200
    assert client.post("/explore/api/projections", b"x" * 2**21, cookie=cookie).body == b"2097152"
