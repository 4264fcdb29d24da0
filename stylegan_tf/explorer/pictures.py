"""Pictures for the browser, and pictures from it."""

import base64
import io

import numpy as np
from PIL import Image

from stylegan_tf.data.sources.opening import picture_size
from stylegan_tf.errors import UserError

MOST_BYTES, MOST_PIXELS = 20 * 2**20, 64 * 10**6  # Of an upload.


def as_png(image: np.ndarray) -> bytes:
    """uint8 [H, W, 3] -> a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG", compress_level=1)  # Speed counts, not size.
    return stream.getvalue()


def as_element(image: np.ndarray) -> str:
    """uint8 [H, W, 3] -> an HTML element with the picture in it: no second request, and no file anywhere."""
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(as_png(image)).decode("ascii")}">'


def check_upload(data: bytes) -> None:
    """UserError for what is no picture, or too large a one; its pixels are not read yet."""
    if len(data) > MOST_BYTES:
        raise UserError(f"the file has {len(data):,} bytes, a picture may have {MOST_BYTES:,}.")
    try:
        width, height = picture_size(data)
    except ValueError as error:
        raise UserError(f"this is no picture that can be read ({error}).") from None
    if width * height > MOST_PIXELS:
        raise UserError(f"the picture has {width}x{height} pixels, it may have {MOST_PIXELS:,} in all.")
