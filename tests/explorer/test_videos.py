"""Videos go through their key frames as these are shown, noise and all."""

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.explorer.jobs import Job, Stopped, Video
from stylegan_tf.explorer.renderer import Renderer
from stylegan_tf.explorer.view import Blend, View
from tests.helpers import painters
from tests.helpers import tiny_networks as tiny

VIEWS = [
    View(seed=1, noise_mode="random", noise_seed=3, strengths={3: 2.0}),
    View(seed=2, psi=1.0, mixing={"fine": 8}),
    View(seed=2, noise_mode="none"),
]


@pytest.fixture(scope="module")
def renderer():
    return Renderer(painters.painter()[0])


@pytest.mark.parametrize("loop", [True, False])
def test_key_frames_are_the_pictures_that_were_shown(renderer, loop):
    video = Video(renderer, VIEWS, 0.25, loop)
    frames = [frame[::8, ::8] for frame in video.frames()]  # 16x16 pixels are shown as 128x128.
    assert len(frames) == video.num_frames == (18 if loop else 12)
    at = [0, 6, 12] if loop else [0, None, 11]
    for index, view in zip(at, VIEWS):
        if index is not None:
            expected = renderer.render(view).picture.astype(int)
            assert np.abs(frames[index] - expected).max() <= 1


def test_between_them_noise_changes_evenly(renderer):
    views = [View(seed=1, noise_mode="none"), View(seed=1)]
    middle = list(Video(renderer, views, 0.5, False).frames())[6][::8, ::8]  # The seventh of twelve: 6/11 of the way.
    full = renderer.render(views[1])
    expected = renderer.render_styles(full.ws, [layer * (6 / 11) for layer in full.noise]).picture
    assert np.abs(middle.astype(int) - expected).max() <= 1


def test_between_them_the_share_of_a_blend_changes_evenly_and_a_swap_holds():
    other, _ = tiny.generator(seed=9, resolution=16)
    renderer = Renderer(painters.painter()[0], found={("", "w"): tiny.normal(6, 7)}).blended_with(other)

    def view(blend):
        return View(found="w", blend=blend)

    def sixth(*blends):  # Of twelve: 6/11 of the way.
        return list(Video(renderer, [view(blend) for blend in blends], 0.5, False).frames())[6][::8, ::8].astype(int)

    half, swap = Blend("b", 0.55), Blend("b", swap=8)
    assert np.abs(sixth(None, half) - renderer.render(view(Blend("b", 0.3))).picture).max() <= 1
    assert np.abs(sixth(swap, swap) - renderer.render(view(swap)).picture).max() <= 1
    assert np.abs(renderer.render(view(swap)).picture.astype(int) - renderer.render(view(half)).picture).max() > 9


def test_a_video_is_written_and_can_be_stopped(renderer, tmp_path):
    job = Job("a video", None)
    Video(renderer, VIEWS[:2], 0.25, True).write(tmp_path / "video.webp", job)
    with Image.open(tmp_path / "video.webp") as written:
        assert written.n_frames == 12 and written.size == (128, 128)
    assert job.text == "frame 12 of 12"
    job.stop()
    with pytest.raises(Stopped):
        Video(renderer, VIEWS[:2], 0.25, True).write(tmp_path / "other.webp", job)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["video.webp"]
