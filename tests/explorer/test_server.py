"""Where the page runs: with a password, behind a proxy, in frames and notebooks; and what it leaves behind."""

import http.client
import http.server
import threading
import time
from urllib.parse import urlsplit

import pytest

from stylegan_tf.config import PageServerConfig
from stylegan_tf.config.errors import UserError
from tests.explorer.conftest import Program
from tests.helpers.browser import Browser, open_browser

pytest.importorskip("uvicorn", reason="uvicorn is not installed")

from stylegan_tf.explorer import show
from stylegan_tf.explorer.server import PageServer

_DRAWN = "return Boolean(document.querySelector('#picture')?.naturalWidth)"


def test_a_page_for_other_machines_asks_for_a_password_in_one_line(tmp_path):
    for options, message in (
        ({"host": "0.0.0.0"}, "lets other machines in: give a password in `password_file`"),
        ({"password": ""}, "the password is empty"),
    ):
        with pytest.raises(UserError, match=message):
            PageServer("demo", PageServerConfig(port=0, **options))
    (tmp_path / "password").write_text("secret\n")
    server = PageServer("demo", PageServerConfig(port=0, host="0.0.0.0", password_file=str(tmp_path / "password")))
    assert server.address.endswith(f":{server.port}/")  # No key in it.
    with pytest.raises(UserError, match="choose another `port`"):
        PageServer("demo", PageServerConfig(port=server.port, host="0.0.0.0", password="x"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("downloads")
    driver = open_browser(folder)
    yield Browser(driver, folder)
    driver.quit()


class _Site(http.server.BaseHTTPRequestHandler):
    """A page with a frame, as a notebook's; and a proxy that offers the address of its server under /explore/."""

    frame, target = "", ""

    def do_GET(self):
        if self.path.startswith("/explore/"):
            return self._forward()
        self._answer(200, [("content-type", "text/html")], f"<title>site</title>{self.frame}".encode())

    def do_POST(self):
        self._forward()

    def _forward(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(self.target).port)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        headers = [pair for pair in answer.getheaders() if pair[0].lower() not in ("transfer-encoding", "connection")]
        self._answer(answer.status, headers, answer.read())

    def _answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.mark.end_to_end
@pytest.mark.slow
def test_the_page_is_shown_in_the_frames_of_notebooks_and_in_no_others(browser, site):
    page = show("demo")
    try:
        _Site.frame = page._repr_html_()
        for host in ("localhost", "127.0.0.1"):  # Another site than the frame's, and the same.
            browser.driver.get(f"http://{host}:{site.server_port}/")
            browser.driver.switch_to.frame(0)
            browser.until(lambda: browser.run(_DRAWN))
            browser.click("#random")
            browser.until(lambda: browser.run("return picture.dataset.view.includes('\"seed\":0,')") is False)
            browser.driver.switch_to.default_content()
    finally:
        page.close()
    page = show("demo", frame_ancestors="http://a.example")
    try:
        _Site.frame = page._repr_html_()
        browser.driver.get(f"http://localhost:{site.server_port}/")
        browser.driver.switch_to.frame(0)
        time.sleep(1)
        assert not browser.run(_DRAWN)
    finally:
        page.close()


@pytest.mark.end_to_end
@pytest.mark.slow
def test_behind_a_proxy_the_page_lies_below_its_path(browser, site, tmp_path):
    program = Program(tmp_path, "--network=demo", "--root_path=/explore", "--password=secret")
    try:
        _Site.target = program.address()
        assert _Site.target.endswith("/explore/")
        browser.driver.get(f"http://127.0.0.1:{site.server_port}/explore/#seed=5")
        browser.find("#password").send_keys("secret\n")
        browser.until(lambda: browser.run(_DRAWN))
        browser.click("#random")
        browser.until(lambda: "--seeds" in browser.text("#command"))
    finally:
        assert program.stop() in (0, -15)


@pytest.mark.end_to_end
@pytest.mark.slow
def test_sigterm_leaves_nothing_in_the_temporary_folder(tmp_path):
    program = Program(tmp_path, "--network=demo")
    address = urlsplit(program.address())
    connection = http.client.HTTPConnection("127.0.0.1", address.port)
    connection.request("GET", f"/?{address.query}")
    assert connection.getresponse().status == 303
    assert len(list((tmp_path / "tmp").glob("stylegan-explore-*"))) == 1
    assert program.stop() in (0, -15)
    assert list((tmp_path / "tmp").iterdir()) == [] and "Traceback" not in program.log
