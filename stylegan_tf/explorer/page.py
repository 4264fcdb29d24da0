"""The page: controls, and what happens when they move. All state of a user is in the page's components."""

import functools
import html
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional

import gradio as gr
import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.explorer import plane
from stylegan_tf.explorer.pictures import as_element, as_png
from stylegan_tf.explorer.projecting import ProjectionDesk
from stylegan_tf.explorer.renderer import Renderer
from stylegan_tf.explorer.view import View
from stylegan_tf.files.dlatents import save_dlatents
from stylegan_tf.files.file_errors import os_error_line
from stylegan_tf.visualize.animation import write_animation
from stylegan_tf.visualize.interpolation import Interpolation, StyleWalk, frame_count
from stylegan_tf.visualize.tile_table import scale_for

CSS = (
    "#picture img, #maps img { width: 100%; image-rendering: pixelated; } "
    "#keys img { width: 72px; margin: 2px; image-rendering: pixelated; }"
)
_FPS, _MOST_KEYS, _FAR = 24, 32, 5.0
_QUIET = {"show_progress": "hidden", "api_visibility": "private"}


def _told(handler: Callable) -> Callable:
    """A full disk, say, is told on the page in one line; in the terminal it leaves nothing."""

    @functools.wraps(handler)
    def told(*arguments):
        try:
            return handler(*arguments)
        except (OSError, UserError) as error:
            line = os_error_line(error) if isinstance(error, OSError) else str(error)
            raise gr.Error(html.escape(line), print_exception=False) from None

    return told


class Page:
    """Builds the page of a network.

    Args:
      network: how --network names it, for the command line; directions_file: likewise.
      desk: where pictures are projected; folder: for files to download.
      crop: as --crop, for the command line.
    """

    def __init__(
        self,
        renderer: Renderer,
        network: str,
        desk: ProjectionDesk,
        folder: Path,
        directions_file: Optional[str] = None,
        label_names: Sequence[str] = (),
        crop: bool = True,
    ):
        self._renderer, self._network, self._desk = renderer, network, desk
        self._folder, self._directions_file, self._crop = folder, directions_file, crop
        self._config, self._label_names = renderer.painter.config, label_names
        self._groups = [group.name for group in renderer.groups]
        self._names = renderer.directions.names if renderer.directions else ()

    def build(self) -> gr.Blocks:
        with gr.Blocks(title="StyleGAN explorer", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
            with gr.Row():
                with gr.Column(scale=2, min_width=320):
                    self._build_controls()
                with gr.Column(scale=3, min_width=320):
                    self._picture = gr.HTML(elem_id="picture")
                    self._build_saving()
                with gr.Column(scale=2, min_width=320):
                    self._build_projection()
                    self._build_key_frames()
                    self._build_features()
            self._connect(page)
        return page

    # ---- What is on it

    def _build_controls(self):
        gr.Markdown("Drag from seed to seed, or take the arrow keys:")
        self._plane = gr.HTML("0,0", html_template=plane.TEMPLATE, css_template=plane.CSS, js_on_load=plane.SCRIPT,
                              elem_id="plane")  # fmt: skip
        self._seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**32 - 1, elem_id="seed")
        self._psi = gr.Slider(-1.5, 1.5, 0.7, step=0.01, label="Truncation psi", elem_id="psi")
        layers = self._renderer.num_layers
        self._cutoff = gr.Slider(0, layers, min(8, layers), step=1, label="Truncated layers", elem_id="cutoff")
        size = self._config.label_size
        labels = list(zip(self._label_names or map(str, range(size)), range(size)))
        self._label = gr.Dropdown(labels, value=0 if size else None, label="Class", visible=bool(size), elem_id="class")
        styles, noisy = self._config.use_styles, self._config.use_noise
        with gr.Accordion("Style mixing", open=False, visible=styles):
            self._mixed = gr.CheckboxGroup(self._groups, label="Layers that take another seed's styles", elem_id="mix")
            self._mixed_seed = gr.Number(
                1, label="The other seed", precision=0, minimum=0, maximum=2**32 - 1, elem_id="mix_seed"
            )
        with gr.Accordion("Noise", open=False, visible=noisy):
            self._noise_mode = gr.Radio(["const", "random", "none"], value="const", label="Maps", elem_id="noise")
            self._noise_seed = gr.Number(
                0, label="Seed of random maps", precision=0, minimum=0, maximum=2**31 - 1, elem_id="noise_seed"
            )
            self._strengths = [
                gr.Slider(0, 3, 1, step=0.05, label=f"Strength in {name} layers", elem_id=f"strength_{name}")
                for name in self._groups
            ]
        with gr.Accordion("Directions (standard deviations)", visible=bool(self._names)):
            self._moves = [
                gr.Slider(-_FAR, _FAR, 0, step=0.1, label=name, elem_id=f"move_{index}")
                for index, name in enumerate(self._names)
            ]

    def _build_saving(self):
        with gr.Row():
            self._save = gr.Button("Save", elem_id="save")
        self._command = gr.Textbox(label="The command that makes this picture", elem_id="command", interactive=False)
        self._files = gr.File(label="Files", file_count="multiple", interactive=False, elem_id="files", height=110)

    def _build_projection(self):
        self._found = gr.State(None)  # w of every layer of the picture that was found.
        with gr.Accordion("Find a picture"):
            self._upload = gr.File(label="Picture", file_types=["image"], type="binary", elem_id="upload", height=110)
            self._space = gr.Radio(self._desk.spaces, value=self._desk.spaces[0], label="Space", elem_id="space")
            self._steps = gr.Slider(20, 1000, 200, step=10, label="Steps", elem_id="steps")
            with gr.Row():
                self._find = gr.Button("Find it", elem_id="find")
                self._stop = gr.Button("Stop", elem_id="stop")
            self._progress = gr.HTML(elem_id="progress")
            self._use_found = gr.Checkbox(False, label="Show what was found in place of the seed", elem_id="use_found")

    def _build_key_frames(self):
        self._keys = gr.State([])  # w of every layer, one a key frame.
        with gr.Accordion("Key frames", open=False):
            with gr.Row():
                self._add_key = gr.Button("Add this picture", elem_id="add_key")
                self._clear_keys = gr.Button("Clear", elem_id="clear_keys")
            self._key_pictures = gr.HTML(elem_id="keys")
            self._seconds = gr.Slider(0.2, 5, 1, step=0.1, label="Seconds from one to the next", elem_id="seconds")
            self._loop = gr.Checkbox(True, label="Back to the first", elem_id="loop")
            self._make_video = gr.Button("Make the video", elem_id="make_video")
            self._video_text = gr.HTML(elem_id="video_text")
            self._video = gr.File(label="Video", interactive=False, elem_id="video", height=110)

    def _build_features(self):
        with gr.Accordion("Feature maps", open=False):
            layers = [(f"{2 * level + half}: {size}x{size}", 2 * level + half)
                      for level, size in enumerate(self._renderer.painter.resolutions) for half in (0, 1)]  # fmt: skip
            self._layer = gr.Dropdown([("none", -1), *layers], value=-1, label="Layer", elem_id="layer")
            self._maps = gr.HTML(elem_id="maps")

    # ---- What it does

    def _connect(self, page):
        moving = [self._seed, self._psi, self._cutoff, self._label, self._mixed, self._mixed_seed, self._noise_mode]
        moving += [self._noise_seed, *self._strengths, *self._moves]
        self._inputs = [self._plane, self._found, self._use_found, *moving]
        triggers = [control.input for control in (self._plane, self._use_found, *moving)]
        triggers.append(self._layer.input)
        gr.on([page.load, *triggers], self._draw, [self._layer, *self._inputs], [self._picture, self._maps],
              trigger_mode="always_last", queue=False, **_QUIET)  # fmt: skip
        self._save.click(self._write_files, self._inputs, [self._command, self._files], **_QUIET)
        finding = self._find.click(
            self._project, [self._upload, self._space, self._steps, self._label],
            [self._picture, self._progress, self._found, self._use_found], concurrency_limit=1, **_QUIET,
        )  # fmt: skip
        self._stop.click(None, cancels=[finding], api_visibility="private")
        keys = [self._keys, self._key_pictures]
        self._add_key.click(self._with_key, [self._keys, *self._inputs], keys, **_QUIET)
        self._clear_keys.click(lambda: ([], ""), None, keys, **_QUIET)
        self._make_video.click(
            self._write_video, [self._keys, self._seconds, self._loop], [self._video_text, self._video],
            concurrency_limit=1, **_QUIET,
        )  # fmt: skip

    def _view(self, position, found, use_found, seed, psi, cutoff, label, mixed, mixed_seed, mode, noise_seed, *rest):
        """The controls' values in the order of `_inputs`; a field that is being typed in may be empty."""
        strengths, moves = rest[: len(self._groups)], rest[len(self._groups) :]
        return View(
            seed=int(seed or 0), position=plane.parse_position(position), psi=float(psi or 0), cutoff=int(cutoff or 0),
            label=int(label or 0) if self._config.label_size else None, found=found if use_found else None,
            mixed_groups=tuple(mixed or ()), mixed_seed=int(mixed_seed or 0), noise_mode=mode,
            noise_seed=int(noise_seed or 0), noise_strengths=tuple(float(value or 0) for value in strengths),
            moves=tuple(zip(self._names, (float(value or 0) for value in moves))),
        )  # fmt: skip

    @_told
    def _draw(self, layer, *values):
        """The picture, and the feature maps of a layer."""
        view = self._view(*values)
        maps = ""
        if layer is not None and layer >= 0:
            maps = as_element(self._renderer.feature_maps(view, layer))
        return as_element(self._renderer.picture(view)), maps

    @_told
    def _write_files(self, *values):
        view = self._view(*values)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        (folder / "picture.png").write_bytes(as_png(self._renderer.picture(view)))
        ws = self._renderer.dlatents(view)[None]
        noise = self._renderer.noise(view) if view.has_own_noise else ()
        save_dlatents(folder / "dlatents.npz", ws.shape, [ws], noise)
        files = [str(folder / name) for name in ("picture.png", "dlatents.npz")]
        return view.command(self._network, self._directions_file, self._label_names, self._crop), files

    def _project(self, upload, space, steps, label):
        """Yields the picture so far, the progress, w, and whether w is shown: from the end on."""
        if not upload:
            yield gr.skip(), "Choose a picture first.", gr.skip(), gr.skip()
            return
        for image, text, ws, is_last in self._desk.find(upload, space, int(steps), label):
            shown = as_element(image) if image is not None else gr.skip()
            keeps = (ws, True) if is_last else (gr.skip(), gr.skip())
            yield shown, html.escape(text), *keeps

    @_told
    def _with_key(self, keys, *values):
        view = self._view(*values)
        keys = [*keys, self._renderer.dlatents(view)][-_MOST_KEYS:]
        pictures = self._renderer.painter.pictures(np.stack(keys))
        return keys, "".join(as_element(picture) for picture in pictures)

    @_told
    def _write_video(self, keys, seconds, loop):
        if len(keys) < 2:
            return "Add at least two pictures first.", None
        walk = StyleWalk(np.stack(keys), closed=bool(loop))
        count = frame_count(float(seconds) * walk.length, _FPS)
        scale = scale_for((self._renderer.painter.resolutions[-1],))
        frames = Interpolation(self._renderer.painter, [walk], count, scale=scale, closed=bool(loop)).frames()
        path = Path(tempfile.mkdtemp(dir=self._folder)) / "interpolation.webp"
        write_animation(frames, count, path, _FPS)
        return f"{count} frames", str(path)
