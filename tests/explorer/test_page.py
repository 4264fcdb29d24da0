"""The page in Chromium: what it shows, saves, finds and animates, at three widths, in two windows."""

import json
import random
import shlex
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.explorer.network_choices import NetworkChoices
from stylegan_tf.explorer.view import View
from stylegan_tf.files.dlatents import load_dlatents, load_noise
from tests.explorer.conftest import ENVIRONMENT, Program
from tests.helpers.browser import Browser, axe_source, open_browser

pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

SIZES = [(390, 800), (768, 1000), (1400, 1000)]
_TABS = ("seed", "mix", "move", "blend", "noise", "find", "video", "layers")


@pytest.fixture(scope="module")
def program(networks):
    program = Program(networks, "--network=networks", "--directions=directions.npz")
    yield program
    program.stop()
    assert "REACHED OUT" not in program.log and "Traceback" not in program.log


@pytest.fixture(scope="module")
def browser(program, networks):
    driver = open_browser(networks / "downloads")
    try:
        browser = Browser(driver, networks / "downloads")
        driver.get(program.address())
        yield browser
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def choices(networks):
    return NetworkChoices(str(networks / "networks"), str(networks / "directions.npz"), True, {})


@pytest.fixture
def page(browser, program):
    """The page as it starts, with the small conditional network."""
    browser.resize(1400, 1000)
    _open(browser, program)
    return browser


def _open(browser, program, fragment="network=classes"):
    browser.driver.get("about:blank")
    browser.driver.get(program.address().partition("?")[0] + "#" + fragment)
    _settled(browser)


def _state(browser):
    """The page's own object."""
    script = (
        "const done = arguments[0]; import('./static/store.js').then(({store}) => done(JSON.stringify(store.state)))"
    )
    return json.loads(browser.driver.execute_async_script(script) or "null")


def _settled(browser):
    """The view, as soon as it is what the picture shows, and the address says so."""

    def view():
        if browser.run("return document.body.classList.contains('loading')"):
            return None
        state = _state(browser)
        shown = browser.run("return document.querySelector('#picture').dataset.view")
        command = browser.run("return document.querySelector('#command').dataset.view")
        return state["view"] if json.loads(shown) == json.loads(command) == state["view"] else None

    try:
        return browser.until(view)
    except AssertionError:
        raise AssertionError((browser.text("#messages"), _state(browser))) from None


def _asked(browser):
    """Requests of the page, in their order, below api/."""
    script = "return performance.getEntriesByType('resource').map(({startTime, name}) => [startTime, name])"
    return [name.partition("/api/")[2] for _, name in sorted(browser.run(script)) if "/api/" in name]


def _picture(choices, view):
    choice = choices.get(view["network"], *([view["blend"]["network"]] if view.get("blend") else []))
    return choice.renderer.render(View.from_json(view, choice.renderer.info)).picture.astype(int)


def _shows(browser, choices, **fields):
    view = _settled(browser)
    assert {name: view[name] for name in fields} == fields
    assert np.abs(browser.pixels("#picture") - _picture(choices, view)).max() <= 1


def _saved(browser):
    """(picture.png, dlatents.npz, the command) of what is shown."""
    picture = np.asarray(Image.open(browser.downloaded("#save_png", "picture.png"))).astype(int)
    return picture, browser.downloaded("#save_npz", "dlatents.npz"), browser.text("#command")


def test_after_any_actions_what_is_saved_is_what_is_shown(page, choices, program, tmp_path):
    from selenium.common.exceptions import StaleElementReferenceException

    draw = random.Random(5)
    page.click("#tab-find")
    page.click("#examples button")
    page.until(lambda: "Example 1" in page.text("#chosen_name"))
    page.set("#steps_number", 20)
    page.click("#find")
    page.until(lambda: _state(page)["view"]["found"])
    found = _state(page)["view"]["found"]
    page.click("#leave_found")

    hasty = Browser(page.driver, page.downloads, timeout=0.1)  # Not every network has every control.

    def slide(selector):
        low, high = (float(hasty.find(selector).get_attribute(name)) for name in ("min", "max"))
        hasty.set(selector, round(draw.uniform(low, high), 2))

    actions = [
        *(lambda name=name: slide(f"#{name}_range") for name in ("psi", "cutoff", "move_0", "move_7", "factor_1")),
        *(lambda name=name: slide(f"#strength_{name}_range") for name in ("coarse", "fine")),
        *(lambda key=key: hasty.press("#map", f"Arrow{key}", shiftKey=draw.random() < 0.5) for key in ("Up", "Right")),
        lambda: hasty.set("#seed", draw.randrange(2**32)),
        lambda: hasty.click(f"#noise_mode input[value={draw.choice(['const', 'random', 'none'])}]"),
        lambda: hasty.set("#noise_seed", draw.randrange(1000)),
        lambda: hasty.run("document.querySelectorAll('.cell')[arguments[0]]?.click()", draw.randrange(12)),
        lambda: hasty.set("#class", draw.randrange(3)),
        lambda: hasty.set("#blend", 1),
        *[lambda: hasty.click("#random"), lambda: hasty.click("#add_key"), lambda: hasty.click("#leave_found")],
        *[lambda: hasty.click("#undo"), lambda: hasty.click("#redo"), lambda: hasty.click("#undo")],
        lambda: hasty.run("location.hash = `network=classes&found=${arguments[0]}`", found),
        lambda: hasty.set("#network", draw.choice(["classes", "growing", "classes"])),
    ]
    kinds = set()
    for number in range(1, 201):
        try:
            draw.choice(actions)()
        except (AssertionError, StaleElementReferenceException):  # A control that is not there, or is no longer.
            continue
        if number % 10:
            continue
        view = _settled(page)
        picture, file, command = _saved(page)
        assert (page.pixels("#picture") == picture).all(), view
        painter = choices.get(view["network"]).renderer.painter
        mode = view["noise_mode"] if view["noise_mode"] == "none" else "const"
        assert ("--noise_mode none" in command) == (mode == "none")
        noise = load_noise(file, 1, painter.noise_shapes)
        noise = [np.zeros([1, *shape], np.float32) for shape in painter.noise_shapes] if mode == "none" else noise
        (made,) = painter.image_batches(load_dlatents(file, *painter.dlatent_shape), noise=noise)
        assert np.abs(made[0].astype(int) - picture).max() <= 1, view
        kinds.add("--dlatents" in command)
    assert kinds == {True, False}
    page.click("#add_key")  # Whatever it is by now: its thumbnail is the picture.
    last = "#keys li:last-child img"
    page.until(lambda: page.run("return document.querySelector(arguments[0])?.naturalWidth", last))
    assert (page.pixels(last) == page.pixels("#picture")).all()

    words = [sys.executable, *shlex.split(command)[1:-1], str(tmp_path)]
    done = subprocess.run(words, cwd=file.parent.parent, capture_output=True, text=True, env=ENVIRONMENT)
    if "--dlatents" in command:
        words[words.index("dlatents.npz")] = str(file)
        done = subprocess.run(words, cwd=file.parent.parent, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.glob("*.png")
    assert np.abs(np.asarray(Image.open(made)).astype(int) - picture).max() <= 1


def test_the_picture_is_asked_for_before_its_neighbours(page):
    page.until(lambda: "thumbnail.png" in _asked(page))
    assert _asked(page).index("picture.png") < _asked(page).index("thumbnail.png")


def test_the_seed_field_says_what_is_shown_and_typing_moves_the_plane(page, choices):
    for key in ("ArrowRight", "ArrowDown", "ArrowDown"):
        page.press("#map", key)
    _shows(page, choices, seed=201, offset=[0, 0])
    assert page.find("#seed").get_property("value") == "201"
    page.press("#map", "ArrowLeft", shiftKey=True)
    _shows(page, choices, seed=201, offset=[-0.25, 0])
    page.set("#seed", 22)
    _shows(page, choices, seed=22, offset=[0, 0])
    from selenium.webdriver import ActionChains

    plane = page.find("#map")
    side = plane.size["width"] / 5
    ActionChains(page.driver).drag_and_drop_by_offset(plane, -round(1.25 * side), 0).perform()
    view = _settled(page)
    assert view["seed"] == 23 and 0.2 < view["offset"][0] < 0.3
    ActionChains(page.driver).move_to_element_with_offset(plane, round(-2 * side), round(side)).click().perform()
    _shows(page, choices, seed=view["seed"] + 98, offset=[0, 0])


@pytest.mark.parametrize("selector, value, message", [
    ("#seed", "-5", "Seed must be a whole number from 0 to 4294967295."),
    ("#psi", "9", "Truncation psi must be a number from -1.5 to 1.5."), ("#psi", "", "Truncation psi must be a number"),
])  # fmt: skip
def test_what_cannot_be_is_said_and_changes_nothing(page, selector, value, message):
    before = _settled(page)
    page.set(selector, value)
    page.until(lambda: page.text("#messages").startswith(message))
    assert _settled(page) == before and page.find(selector).get_attribute("aria-invalid") == "true"


def test_addresses_that_nobody_wrote_are_said(page, program):
    for fragment, message in (
        ("psi=9", "Psi must be a number from -2 to 2, got 9."), ("psi=x", "The address says psi=x, which cannot be"),
        ("colour=1", "The address has colour, which this page cannot use."),
        ("found=abc", "The image that was found is no longer kept here"),
        ("network=x", "There is no network 'x' here"),
    ):  # fmt: skip
        page.driver.get("about:blank")
        page.driver.get(program.address().partition("?")[0] + "#" + fragment)
        page.until(lambda message=message: page.text("#messages").startswith(message))


def test_undo_and_redo_restore_everything_and_the_address_holds_it(page, choices, program):
    states = []
    for action in (
        lambda: page.set("#psi_range", 1.2), lambda: page.click("#add_key"), lambda: page.set("#mixing input", 77),
        lambda: page.set("#network", "growing"), lambda: page.set("#seed", 5),
    ):  # fmt: skip
        states.append(_state(page))
        action()
        _settled(page)
        time.sleep(0.5)
    last = _state(page)
    assert last["view"]["network"] == "growing" and last["columns"][0] == 77 and len(last["keys"]) == 1
    for expected in reversed(states):
        page.press("#map", "z", ctrlKey=True)
        _settled(page)
        assert _state(page) == expected
    for _ in states:
        page.click("#redo")
        _settled(page)
    assert _state(page) == last
    fragment = page.driver.current_url.partition("#")[2]
    _open(page, program, fragment)  # As somebody else would.
    assert _state(page) == last


def test_a_found_picture_says_what_it_leaves_without_effect(page, choices, tmp_path):
    Image.fromarray(_picture(choices, {"network": "classes", "seed": 77}).astype(np.uint8)).save(tmp_path / "mine.png")
    page.click("#tab-find")
    page.click("#find")
    page.until(lambda: page.text("#messages") == "Choose an image first.")
    page.find("#upload").send_keys(str(tmp_path / "mine.png"))
    page.set("#steps_number", 1000)
    page.click("#find")
    page.until(lambda: page.text("#find_text").startswith("Step") and page.run("return find_progress.value > 10"))
    page.click("#stop")
    view = page.until(lambda: _state(page)["view"]["found"] and _settled(page))
    assert "Step 1000" not in page.text("#find_text") and page.find("#found_notice").is_displayed()
    picture, file, command = _saved(page)  # Half found: what is shown is what is saved.
    assert (page.pixels("#picture") == picture).all() and "--dlatents" in command
    painter = choices.get("classes").renderer.painter
    (made,) = painter.image_batches(load_dlatents(file, *painter.dlatent_shape))
    assert np.abs(made[0].astype(int) - picture).max() <= 1
    assert page.pixels("#before").shape == picture.shape and page.pixels("#after").shape == picture.shape
    page.click("#tab-seed")
    assert not any(page.find(name).is_enabled() for name in ("#seed", "#psi", "#cutoff", "#class", "#random", "#walk"))
    page.press("#map", "ArrowRight")
    assert _settled(page) == view
    page.click("#leave_found")
    _shows(page, choices, seed=0, found=None)
    (tmp_path / "no.png").write_bytes(b"not a picture")
    page.find("#upload").send_keys(str(tmp_path / "no.png"))
    page.click("#find")
    page.until(lambda: page.text("#messages") == "no.png: this is not a readable image.")


def _start_search(page):
    """Of an example, for a thousand steps."""
    page.click("#tab-find")
    page.click("#examples button")
    page.until(lambda: "Example" in page.text("#chosen_name"))
    page.set("#steps_number", 1000)
    page.click("#find")
    page.until(lambda: page.text("#find_text").startswith("Step"))


def test_a_second_window_has_a_state_of_its_own_and_says_what_it_waits_for(page, program):
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    second = page.driver.current_window_handle
    try:
        page.resize(1400, 1000)
        _open(page, program, "network=classes&seed=9")
        page.click("#tab-find")
        page.click("#examples button")
        page.until(lambda: "Example" in page.text("#chosen_name"))
        page.driver.switch_to.window(first)
        _start_search(page)
        page.driver.switch_to.window(second)
        page.click("#find")
        page.until(lambda: page.text("#find_text").startswith("Waiting for a search that is running (step"))
        page.click("#stop")
    finally:
        page.driver.switch_to.window(second)
        page.driver.close()
        page.driver.switch_to.window(first)
    assert _state(page)["view"]["seed"] == 0
    page.click("#stop")
    page.until(lambda: _state(page)["view"]["found"])


def test_a_search_ends_in_the_network_that_it_began_in(page):
    _start_search(page)
    page.run("performance.clearResourceTimings()")
    page.set("#network", "classes_relative")
    page.until(lambda: _state(page)["view"]["network"] == "classes_relative" and _settled(page))
    assert [name for name in _asked(page) if name.startswith("network")] == ["network?name=classes_relative"]
    page.click("#walk")
    page.until(lambda: _state(page)["view"]["offset"] != [0, 0])
    page.click("#stop")
    page.until(lambda: _state(page)["view"]["found"])
    assert _settled(page)["network"] == "classes" and "--dlatents" in page.text("#command")
    assert page.text("#walk") == "Walk" and page.find("#walk").get_attribute("aria-pressed") == "false"


def test_styles_are_mixed_in_the_table(page, choices):
    page.click("#tab-mix")
    cells = "document.querySelectorAll('.cell')"
    page.until(lambda: page.run(f"return [...{cells}].every((cell) => cell.firstChild.naturalWidth)"))
    page.run(f"{cells}[5].id = 'cell'")
    expected = page.pixels("#cell img")
    page.click("#cell")
    _shows(page, choices, mixing={"middle": 2})
    assert (page.pixels("#picture") == expected).all() and page.find("#cell").get_attribute("aria-pressed") == "true"
    page.set("#mixing th:nth-of-type(2) input", 50)
    _shows(page, choices, mixing={"middle": 50})
    page.click("#cell")
    _shows(page, choices, mixing={})


def test_classes_are_blended_with_sliders(page, choices):
    page.set("#class", 2)
    _shows(page, choices, classes={"2": 1})
    page.set("#blend", 0)
    page.set("#class_0_range", 0.25)
    _shows(page, choices, classes={"0": 0.25, "2": 1})
    assert "--truncation_centre class --class cat=0.25,owl=1" in page.text("#command")


def test_networks_are_blended_with_a_slider_or_from_a_resolution_up(page, choices, program, tmp_path):
    page.click("#tab-blend")
    assert not page.find("#blend_swap").is_enabled() and not page.find("#blend_share_number").is_enabled()
    page.set("#blend_network", "growing")
    page.until(
        lambda: page.text("#blend_problem").startswith("Classes and growing cannot be blended: resolution is 16")
    )
    assert not page.find("#blend_share_number").is_enabled() and _settled(page)["blend"] is None
    page.set("#blend_network", "classes_relative")
    page.until(lambda: _state(page)["view"]["blend"])
    page.set("#blend_share_number_range", 0.25)
    _shows(page, choices, blend={"share": 0.25, "swap": 0, "network": "classes_relative"})
    page.click("#add_key")
    page.set("#blend_swap", 8)
    _shows(page, choices, blend={"share": 0.25, "swap": 8, "network": "classes_relative"})
    assert not page.find("#blend_share_number").is_enabled() and not page.find("#blend_problem").is_displayed()
    assert _state(page)["keys"][0]["blend"]["swap"] == 0
    picture, _, command = _saved(page)
    assert "--swap 8" in command
    for ours, here in (("python", sys.executable), (" out", f" {tmp_path}"), ("blend.npz", f"{tmp_path}/blend.npz")):
        command = command.replace(ours, here)
    subprocess.run(command, shell=True, check=True, cwd=program.folder, env=ENVIRONMENT)
    (made,) = tmp_path.glob("*.png")
    assert np.abs(np.asarray(Image.open(made)).astype(int) - picture).max() <= 1
    _open(page, program, page.driver.current_url.partition("#")[2])  # As somebody else would.
    assert _state(page)["view"]["blend"]["swap"] == 8
    page.set("#blend_network", "")
    _shows(page, choices, blend=None)


def test_directions_are_searched_and_the_strongest_come_first(page, choices):
    page.click("#tab-move")
    shown = (
        "return [...document.querySelectorAll('#moves label')]"
        ".filter((label) => label.offsetParent).map((label) => label.textContent)"
    )
    assert len(page.run(shown)) == 5
    page.click("#more_moves")
    assert len(page.run(shown)) == 12
    page.set("#search_moves", "way1")
    names = page.run(shown)
    assert sorted(names) == ["way1", "way10", "way11"]
    page.run("document.querySelector('#moves .slider:not([hidden]) input[type=range]').id = 'shown_move'")
    page.set("#shown_move", 2)
    _shows(page, choices, moves={names[0]: 2})


def test_layers_show_their_features_noise_and_strength(page, choices):
    page.click("#tab-layers")
    page.run("document.querySelectorAll('.layer')[2].click()")
    page.until(lambda: page.pixels(".layer_body:not([hidden]) .noise").shape == (8, 8, 3))
    assert page.pixels(".layer_body:not([hidden]) .maps").shape == (16, 24, 3)  # Six channels at 8x8.
    page.set("#factor_2_range", 2)
    _shows(page, choices, strengths={"2": 2})


def test_key_frames_become_videos(page):
    page.click("#tab-video")
    page.click("#make_video")
    page.until(lambda: page.text("#messages") == "Add at least two images first.")
    for seed in (1, 2, 3):
        page.set("#seed", seed)
        page.click("#key")
    page.click("#loop")
    page.set("#seconds_number", 0.5)
    for kind in ("webp", "mp4"):
        page.click(f"#format input[value={kind}]")
        page.click("#make_video")
        page.until(lambda kind=kind: page.find("#video a").get_attribute("download") == f"video.{kind}")
        file = page.downloaded("#video a", f"video.{kind}")
        if kind == "webp":
            with Image.open(file) as video:
                assert video.n_frames == 24 and video.size == (128, 128)
        else:
            assert file.read_bytes()[4:8] == b"ftyp"
    page.click("#keys .remove")
    assert len(_state(page)["keys"]) == 2


def test_the_command_is_copied_for_the_newest_view(page):
    page.run("navigator.clipboard.writeText = async (text) => (window.copied = text)")
    page.set("#seed", 22)
    page.click("#copy")
    page.until(lambda: "--seeds 22 " in page.run("return window.copied"))
    page.click("#walk")
    page.until(lambda: _state(page)["view"]["offset"] != [0, 0])
    assert "stale" in page.find("#command").get_attribute("class")
    page.click("#copy")
    page.until(lambda: "--dlatents dlatents.npz" in page.run("return window.copied"))
    page.click("#walk")
    _settled(page)
    assert "stale" not in page.find("#command").get_attribute("class")


def test_the_walk_has_no_end_and_stops(page):
    page.click("#walk")
    page.until(lambda: _state(page)["view"]["offset"] != [0, 0])
    seen = {page.run("return document.querySelector('#picture').src") for _ in range(20) if not time.sleep(0.05)}
    page.click("#walk")
    view = _settled(page)
    time.sleep(0.3)
    assert len(seen) > 3 and _state(page)["view"] == view


@pytest.mark.parametrize("network, size", [("classes", 16), ("growing", 16), ("large", 256)])
@pytest.mark.parametrize("width, height", SIZES)
def test_the_picture_stays_in_sight_and_small_ones_are_crisp(browser, program, network, size, width, height):
    browser.resize(width, height)
    _open(browser, program, f"network={network}")
    for tab in _TABS:
        is_there = browser.run("return Boolean(document.getElementById(arguments[0]))", f"tab-{tab}")
        if tab == "move":
            assert ("Edit needs" in browser.text("#absent")) == (not is_there)
        if not is_there:
            continue
        browser.click(f"#tab-{tab}")
        browser.run("window.scrollTo(0, document.body.scrollHeight)")
        box = browser.run("return document.querySelector('#picture').getBoundingClientRect().toJSON()")
        assert box["top"] >= 0 and box["bottom"] <= height and box["left"] >= 0 and box["right"] <= width, tab
        assert browser.run("return document.documentElement.scrollWidth") <= width, tab
    assert box["width"] == box["height"]
    if box["width"] >= size:
        assert box["width"] % size == 0
        assert browser.run("return getComputedStyle(picture).imageRendering") == "pixelated"


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    return axe_source(tmp_path_factory.mktemp("axe"))


@pytest.mark.parametrize("width, height, dark", [(390, 800, True), (1400, 1000, False), (1400, 1000, True)])
def test_nothing_keeps_people_out(page, axe, program, width, height, dark):
    page.resize(width, height, dark)
    page.run(axe)
    for tab in _TABS:
        page.click(f"#tab-{tab}")
        if tab == "layers":
            page.run("document.querySelectorAll('.layer')[1].click()")
        if tab == "video":
            page.click("#key")
        found = page.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then(({violations}) => done(violations.map("
            "({id, nodes}) => [id, nodes.map((node) => node.html.slice(0, 200))])))"
        )
        assert found == [], (tab, found)


def test_the_page_asks_no_other_machine_for_anything(page):
    assert page.addresses() == {"127.0.0.1"}
    severe = [entry for entry in page.driver.get_log("browser") if "Content Security Policy" in entry["message"]]
    assert severe == []
