"""A headless Chromium at a page of Gradio: elements by id, values in and out, and what it asked of the network."""

import json
import shutil
import time
from urllib.parse import urlparse

import pytest


def open_browser(downloads):
    """A driver; the test is skipped where Chromium, its driver or Selenium is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if not browser or not driver:
        pytest.skip("Chromium or its driver is not installed (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1500,1300"):
        options.add_argument(f"--{argument}")
    # No name is resolved: what is not on this machine is not there.
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    several_downloads = {"profile.default_content_setting_values.automatic_downloads": 1}
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads), **several_downloads})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


class Browser:
    """What a test does with a page."""

    def __init__(self, driver, timeout=90):
        self.driver, self._timeout = driver, timeout

    def find(self, selector):
        return self.until(lambda: self.driver.find_element("css selector", selector))

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

    def source(self, selector):
        """The data of a picture, or "" """
        found = self.driver.find_elements("css selector", f"{selector} img")
        return found[0].get_attribute("src") if found else ""

    def changed(self, selector, action):
        """Does `action()` and waits for another picture: (its data, seconds)."""
        before, start = self.source(selector), time.monotonic()
        action()
        now = self.until(lambda: (self.source(selector) or before) != before and self.source(selector))
        return now, time.monotonic() - start

    def set_input(self, selector, value):
        """Types a number, or moves a slider, as a hand does: with the events that come with it."""
        element = self.find(f"{selector} input[type=range], {selector} input[type=number]")
        self.driver.execute_script(
            "const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;"
            "set.call(arguments[0], arguments[1]);"
            "for (const name of ['input', 'change', 'pointerup'])"
            "  arguments[0].dispatchEvent(new Event(name, {bubbles: true}));",
            element,
            str(value),
        )

    def click(self, selector):
        self.driver.execute_script("arguments[0].click()", self.find(selector))

    def click_label(self, selector, text):
        """A radio button, checkbox or accordion by its text."""
        self.driver.execute_script(
            "for (const element of document.querySelectorAll(arguments[0]))"
            "  if (element.textContent.trim() === arguments[1]) { element.click(); return; }"
            "throw new Error('no element ' + arguments[1]);",
            selector,
            text,
        )

    def choose(self, selector, index):
        """An entry of a drop-down list."""
        self.find(f"{selector} input").click()
        self.until(lambda: self.driver.find_elements("css selector", "ul[role=listbox] li"))[index].click()

    def upload(self, selector, path):
        """A file for a component, in place of the one that it has."""
        if self.driver.find_elements("css selector", f"{selector} button[aria-label=Clear]"):
            self.click(f"{selector} button[aria-label=Clear]")
        self.find(f"{selector} input[type=file]").send_keys(str(path))
        self.until(lambda: path.stem in self.find(selector).text)

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
