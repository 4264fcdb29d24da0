"""A headless Chromium: elements by selector, values in and out, and what a page asked of the network."""

import base64
import io
import json
import shutil
import subprocess
import tarfile
import time
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image


def open_browser(downloads):
    """A driver; the test is skipped where Chromium, its driver or Selenium is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if not browser or not driver:
        pytest.skip("Chromium or its driver is not installed (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1400,1000"):
        options.add_argument(f"--{argument}")
    # No name is resolved: what is not on this machine is not there.
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost")
    several_downloads = {"profile.default_content_setting_values.automatic_downloads": 1}
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads), **several_downloads})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_script_timeout(60)
    return started


def axe_source(folder):
    """The script of axe-core, which finds what keeps people out; the test is skipped where npm cannot get it."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: it brings axe-core")
    packed = subprocess.run(
        ["npm", "pack", "--silent", "axe-core@4.10"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    archives = list(folder.glob("axe-core-*.tgz"))
    if packed.returncode or not archives:
        pytest.skip(f"npm has no axe-core for us: {packed.stderr.strip()[-200:]}")
    with tarfile.open(archives[0]) as archive:
        return archive.extractfile("package/axe.min.js").read().decode("utf-8")


class Browser:
    """What a test does with a page."""

    def __init__(self, driver, downloads, timeout=60):
        self.driver, self.downloads, self._timeout = driver, downloads, timeout

    def resize(self, width, height, dark=False):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        return self.until(lambda: self.driver.find_element("css selector", selector))

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent.trim()", selector)

    def until(self, condition):
        """What `condition()` gives as soon as it is true; exceptions count as not yet."""
        end, error = time.monotonic() + self._timeout, None
        while time.monotonic() < end:
            try:
                value = condition()
                if value:
                    return value
            except Exception as caught:  # Elements come and go.
                error = caught
            time.sleep(0.02)
        raise AssertionError(f"nothing happened in {self._timeout} s") from error

    def click(self, selector):
        self.run("arguments[0].click()", self.find(selector))

    def set(self, selector, value):
        """Types a number, moves a slider or chooses an entry, with the events that come with it."""
        self.run(
            "arguments[0].value = arguments[1];"
            "for (const name of ['input', 'change']) arguments[0].dispatchEvent(new Event(name, {bubbles: true}));",
            self.find(selector),
            str(value),
        )

    def press(self, selector, key, **modifiers):
        """A key, in an element that gets the focus."""
        script = "arguments[0].focus(); arguments[0].dispatchEvent(new KeyboardEvent('keydown', arguments[1]))"
        self.run(script, self.find(selector), {"key": key, "bubbles": True, **modifiers})

    def pixels(self, selector):
        """Of an <img>: uint8 [h, w, 3]."""
        script = (
            "const image = document.querySelector(arguments[0]), canvas = document.createElement('canvas');"
            "[canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];"
            "canvas.getContext('2d').drawImage(image, 0, 0); return canvas.toDataURL();"
        )
        data = self.run(script, selector).partition(",")[2]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))

    def downloaded(self, selector, name):
        """The file that a click on an element saves."""
        path = self.downloads / name
        path.unlink(missing_ok=True)
        self.click(selector)
        return self.until(lambda: path.is_file() and path.stat().st_size and path)

    def addresses(self):
        """Hosts that the page has asked for anything."""
        hosts = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                parameters = message["params"]
                url = urlparse(parameters.get("url") or parameters["request"]["url"])
                if url.scheme not in ("data", "blob", "chrome", "chrome-extension"):
                    hosts.add(url.hostname)
        return hosts
