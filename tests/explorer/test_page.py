"""Every control of the page, used in Chromium: what it shows, saves, finds and animates."""

import base64
import io
import os
import re
import shlex
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.editing.directions import Directions, save_directions
from stylegan_tf.explorer.renderer import Renderer
from stylegan_tf.explorer.view import View
from stylegan_tf.networks.network_file import Networks, save_networks
from stylegan_tf.networks.truncation import Truncation
from stylegan_tf.visualize.painter import Painter
from tests.helpers import tiny_networks as tiny
from tests.helpers.browser import Browser, open_browser

pytest.importorskip("gradio", reason="gradio is not installed")
pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

# The program as it is, but for connections to other machines, which are told and fail.
_SEALED = """
import runpy, socket, sys
connect = socket.socket.connect
def only_here(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        print("REACHED OUT", address, flush=True)
        raise OSError("sealed")
    return connect(self, address)
socket.socket.connect = only_here
runpy.run_module("stylegan_tf.explore", run_name="__main__", alter_sys=True)
"""
_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(folder with net.npz and directions.npz, a renderer of the same network)."""
    folder = tmp_path_factory.mktemp("explore")
    generator, _ = tiny.generator(seed=4, resolution=16, label_size=2)
    for variable in generator.synthesis.to_rgb["16x16"].weights:
        variable.assign(variable * 0.2)  # Not all black and white.
    save_networks(folder / "net.npz", Networks(None, None, generator, {}))
    directions = Directions.from_vectors(["left", "up"], np.eye(7)[:2], tiny.normal(50, 7), (0, 6))
    save_directions(folder / "directions.npz", directions, {})
    return folder, Renderer(Painter(generator, truncation=Truncation(centre="class")), directions)


@pytest.fixture(scope="module")
def page(files):
    folder, _ = files
    driver = open_browser(folder / "downloads")
    options = ["--network=net.npz", "--directions=directions.npz", "--nocrop", "--nobrowser", "--port=0"]
    with open(folder / "log.txt", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", _SEALED, *options],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**_ENVIRONMENT, "TMPDIR": str(folder)},
        )
    browser = Browser(driver)
    try:
        driver.get(browser.until(lambda: _address(folder)))
        browser.until(lambda: browser.source("#picture"))
        for accordion in ("Style mixing", "Noise", "Key frames", "Feature maps"):
            browser.click_label("button.label-wrap span", accordion)
        yield browser
    finally:
        driver.quit()
        server.terminate()
        server.wait(30)
    assert "REACHED OUT" not in (folder / "log.txt").read_text()


def _address(folder):
    """What the program says once it is there."""
    return re.search(r"http://127\.0\.0\.1:\d+", (folder / "log.txt").read_text())[0]


def _picture(data):
    """Of the source of an element."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))))


def _shows(browser, renderer, view):
    """Waits until the page shows the picture of a view."""
    expected = renderer.picture(view).astype(int)
    browser.until(lambda: np.abs(_picture(browser.source("#picture")) - expected).max() <= 1)


def _downloaded(browser, folder, selector, name):
    """A file behind a link of the page, as the browser saves it."""
    folder.mkdir(exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    browser.click(f'{selector} a[download="{name}"], {selector} a[href$="{name}"]')
    return browser.until(lambda: (folder / name).is_file() and (folder / name))


def test_every_control_moves_the_picture_and_save_says_how_to_make_it(page, files, tmp_path):
    folder, renderer = files
    _shows(page, renderer, View(label=0, cutoff=6))
    page.set_input("#psi", 0.9)
    _shows(page, renderer, View(label=0, cutoff=6, psi=0.9))
    page.set_input("#cutoff", 3)
    page.set_input("#seed", 11)
    page.set_input("#move_0", 1.5)
    view = View(seed=11, label=0, cutoff=3, psi=0.9, moves=(("left", 1.5), ("up", 0.0)))
    _shows(page, renderer, view)
    page.click("#save")
    command = page.until(lambda: page.find("#command textarea").get_property("value"))
    assert command == view.command("net.npz", "directions.npz", crop=False) and "--seeds 11" in command

    page.choose("#class", 1)
    page.click("#mix label:nth-of-type(2) input")
    page.set_input("#mix_seed", 8)
    page.click("#noise label:nth-of-type(2) input")
    page.set_input("#noise_seed", 5)
    page.set_input("#strength_fine", 0.5)
    view = View(
        seed=11, label=1, cutoff=3, psi=0.9, moves=(("left", 1.5), ("up", 0.0)), mixed_groups=("middle",),
        mixed_seed=8, noise_mode="random", noise_seed=5, noise_strengths=(1.0, 1.0, 0.5),
    )  # fmt: skip
    _shows(page, renderer, view)

    page.click("#save")
    page.until(lambda: "--dlatents" in page.find("#command textarea").get_property("value"))
    command = page.find("#command textarea").get_property("value")
    picture = _downloaded(page, folder / "downloads", "#files", "picture.png")
    _downloaded(page, folder / "downloads", "#files", "dlatents.npz").rename(folder / "dlatents.npz")
    words = [sys.executable, *shlex.split(command)[1:-1], str(tmp_path)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=_ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    made = np.asarray(Image.open(tmp_path / "image0000.png")).astype(int)
    assert np.abs(made - np.asarray(Image.open(picture))).max() <= 1


def test_dragging_over_the_plane_walks_between_seeds(page):
    from selenium.webdriver import ActionChains, Keys

    plane = page.find("#plane .plane")
    page.changed("#picture", ActionChains(page.driver).move_to_element_with_offset(plane, 20, 30).click().perform)
    drag = ActionChains(page.driver).move_to_element_with_offset(plane, -50, -50).click_and_hold().move_by_offset(40, 0)
    page.changed("#picture", drag.release().perform)
    page.changed("#picture", lambda: plane.send_keys(Keys.ARROW_DOWN))
    spot = page.driver.execute_script("return document.querySelector('#plane .spot').style.left")
    assert 0 < float(spot.rstrip("%")) < 100


def test_feature_maps_of_a_layer_are_shown(page):
    page.choose("#layer", 3)
    assert _picture(page.until(lambda: page.source("#maps"))).shape == (16, 24, 3)  # Layer 2: six channels at 8x8.


def test_an_uploaded_picture_is_found_and_shown_in_place_of_the_seed(page, files, tmp_path):
    _, renderer = files
    Image.fromarray(renderer.picture(View(seed=77, label=1))).resize((40, 40)).save(tmp_path / "mine.png")
    page.click("#find")
    page.until(lambda: "Choose a picture" in page.find("#progress").text)
    page.upload("#upload", tmp_path / "mine.png")
    page.click("#space label:nth-of-type(2) input")
    page.set_input("#steps", 20)
    page.click("#find")
    page.until(lambda: "Step 20 of 20" in page.find("#progress").text)
    page.until(lambda: page.find("#use_found input").is_selected())
    page.changed("#picture", lambda: page.click("#use_found input"))

    (tmp_path / "no.png").write_bytes(b"not a picture")
    page.upload("#upload", tmp_path / "no.png")
    page.click("#find")
    page.until(lambda: "no picture that can be read" in page.find("#progress").text)


def test_finding_can_be_stopped(page, tmp_path):
    Image.fromarray(np.full([20, 20, 3], 99, np.uint8)).save(tmp_path / "grey.png")
    page.upload("#upload", tmp_path / "grey.png")
    page.set_input("#steps", 1000)
    page.click("#find")
    page.until(lambda: re.search("Step [0-9]+ of 1000", page.find("#progress").text))
    page.click("#stop")
    time.sleep(1)
    text = page.find("#progress").text
    time.sleep(2)
    assert page.find("#progress").text == text and "Step 1000" not in text


def test_key_frames_become_a_video(page, files):
    page.click("#make_video")
    page.until(lambda: "at least two" in page.find("#video_text").text)
    for seed in (1, 2, 3):
        page.changed("#picture", lambda seed=seed: page.set_input("#seed", seed))
        page.click("#add_key")
        page.until(lambda seed=seed: len(page.driver.find_elements("css selector", "#keys img")) == seed)
    page.click("#loop input")
    page.set_input("#seconds", 0.5)
    page.click("#make_video")
    page.until(lambda: page.find("#video_text").text == "24 frames")
    with Image.open(_downloaded(page, files[0] / "downloads", "#video", "interpolation.webp")) as video:
        assert video.is_animated and video.size == (128, 128)
    page.click("#clear_keys")
    page.until(lambda: not page.driver.find_elements("css selector", "#keys img"))


def test_what_cannot_be_written_is_told_on_the_page_and_is_no_traceback(page, files):
    (downloads,) = files[0].glob("stylegan-explore-*")
    away = downloads.with_name("away")
    downloads.rename(away)
    try:
        page.click("#save")
        page.until(lambda: "No such file or directory: check the name." in page.find(".toast-body").text)
    finally:
        away.rename(downloads)
    assert "Traceback" not in (files[0] / "log.txt").read_text()


def test_another_user_has_a_page_of_its_own(page, files):
    mine = page.source("#picture")
    page.driver.switch_to.new_window("tab")
    page.driver.get(_address(files[0]))
    _shows(page, files[1], View(label=0, cutoff=6))
    page.driver.close()
    page.driver.switch_to.window(page.driver.window_handles[0])
    assert page.source("#picture") == mine


def test_the_page_asks_no_other_machine_for_anything(page):
    assert page.addresses() == {"127.0.0.1"}
