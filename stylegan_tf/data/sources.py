"""Where the images of a new dataset come from: a folder of pictures, or the embedded demo set."""

import pathlib
from collections.abc import Sequence
from typing import Optional

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from stylegan_tf.data import demo, records
from stylegan_tf.errors import UserError

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class DemoSource:
    """The embedded set. Labels: one-hot classes of its attributes (`demo.one_hot_labels`)."""

    num_channels = 3

    def __init__(self, resolution: Optional[int] = None, label_attributes: Sequence[str] = ()):
        if resolution is not None:
            check_resolution(resolution)
        images = demo.load_demo_images()
        self.resolution = resolution or images.shape[1]
        if self.resolution > images.shape[1]:
            raise UserError(f"--resolution {resolution}: the demo set has {images.shape[1]}x{images.shape[1]} pixels.")
        self._images = records.image_levels(images)[self.resolution]
        self.labels, self.label_names = None, ()
        if label_attributes:
            self.labels, self.label_names = demo.one_hot_labels(demo.load_demo_attributes(), label_attributes)

    def __len__(self) -> int:
        return len(self._images)

    def read(self, index: int) -> np.ndarray:
        """-> uint8 [r, r, 3]."""
        return self._images[index]


class FolderSource:
    """All images in a folder and the folders inside it, in the order of their paths, as RGB.

    Transparency is composited on white; gray and palette images become RGB; the EXIF orientation is applied.
    Without `resolution` all images must be squares of one size, a power of two. With it, any image is cropped to
    its central square and resized (Lanczos).
    """

    num_channels = 3
    labels, label_names = None, ()

    def __init__(self, folder: pathlib.Path, resolution: Optional[int] = None):
        self._resize = resolution is not None
        self._paths = _image_paths(folder)
        if resolution is not None:
            self.resolution = check_resolution(resolution)
        else:
            self.resolution = _common_resolution(self._paths[0])

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, index: int) -> np.ndarray:
        """-> uint8 [r, r, 3]. Raises UserError, which names the file."""
        path = self._paths[index]
        image = _read_rgb(path)
        size = (self.resolution, self.resolution)
        if image.size != size and not self._resize:
            raise UserError(
                f"{path} has {image.width}x{image.height} pixels, the images before it {size[0]}x{size[1]}: "
                "pass --resolution to crop and resize all of them."
            )
        if image.size != size:
            image = _central_square(image).resize(size, Image.Resampling.LANCZOS)
        return np.asarray(image)


def open_source(source: str, resolution: Optional[int] = None, label_attributes: Sequence[str] = ()):
    """`source` is "demo" or a folder -> a DemoSource or a FolderSource.

    Both have `len()`, `read(i)` -> uint8 [r, r, C], `resolution`, `num_channels`, `labels` and `label_names`.

    `resolution`: side of the written images; None keeps the source's. `label_attributes`: demo set only.
    Raises UserError for a missing folder, one without images, and for a bad resolution.
    """
    if source == "demo":
        return DemoSource(resolution, label_attributes)
    if label_attributes:
        raise UserError("--labels names attributes of the demo set: a folder of images has none.")
    return FolderSource(pathlib.Path(source), resolution)


def check_resolution(resolution: int) -> int:
    """Returns it. Raises UserError unless it is a power of two of at least 4."""
    if not records.is_valid_resolution(resolution):
        raise UserError(f"--resolution must be a power of two of at least 4, got {resolution}.")
    return resolution


def _image_paths(folder: pathlib.Path) -> list[pathlib.Path]:
    if not folder.exists():
        raise UserError(f"--source {folder}: there is no such folder. Give a folder of images, or 'demo'.")
    if not folder.is_dir():
        raise UserError(f"--source {folder} is a file. Give a folder of images, or 'demo'.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not paths:
        raise UserError(f"--source {folder} has no images in it (looked for {', '.join(IMAGE_SUFFIXES)}).")
    return paths


def _common_resolution(path: pathlib.Path) -> int:
    """The size of the first image, which must be one that can be halved down to 4x4."""
    width, height = _read_rgb(path).size
    if width != height or not records.is_valid_resolution(width):
        raise UserError(
            f"{path} has {width}x{height} pixels: expected a square with a power of two on each side. "
            "Pass --resolution to crop and resize all images."
        )
    return width


def _central_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _read_rgb(path: pathlib.Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            return _to_rgb(image)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"cannot read {path} as an image ({error}): repair it or take it out.") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB; what is transparent becomes white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.mode.startswith(("I", "F")):  # 16-bit gray: Pillow's own conversion would clip it.
        return _wide_gray_to_rgb(image)
    rgba = image.convert("RGBA")
    canvas = Image.new("RGBA", rgba.size, "white")
    canvas.alpha_composite(rgba)
    return canvas.convert("RGB")


def _wide_gray_to_rgb(image: Image.Image) -> Image.Image:
    values, bits = np.asarray(image), 16
    if image.mode == "F" or values.min() < 0 or values.max() >= 2**bits:
        raise ValueError(f"mode {image.mode} with values {values.min()} to {values.max()} is not supported")
    gray = np.rint(values.astype(np.float64) * (255 / (2**bits - 1))).astype(np.uint8)
    return Image.fromarray(gray).convert("RGB")
