"""Crops of faces by 68 landmarks: the geometry of CelebA-HQ and FFHQ (ProGAN, App. C; StyleGAN, App. A).

Landmarks are numbered as in iBUG 300-W, which dlib and others find: 36 to 47 are the eyes, 48 and 54 the corners of the
mouth. They are in pixels of the photo as viewers show it, upright.
"""

import collections
import csv
import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np
from PIL import Image

from stylegan_tf.config import PictureOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.making.report import LEFT_OUT_FILE, ImageStatistics, list_skipped
from stylegan_tf.data.records import encode_picture
from stylegan_tf.data.sources import open_collection
from stylegan_tf.data.sources.collection import Collection, Skipped
from stylegan_tf.data.sources.fitted import DecodedImage, to_pixels
from stylegan_tf.data.sources.image_files import summary
from stylegan_tf.data.sources.opening import BadPicture, NeedsOption
from stylegan_tf.data.sources.reading import reading_picture
from stylegan_tf.files.atomic_write import AtomicBatch, make_folder
from stylegan_tf.files.file_errors import reading, short

_COLUMNS = ["file", "face", *(f"{axis}{number}" for number in range(68) for axis in "xy")]
_MAX_ENLARGEMENT = 16  # A crop whose side is smaller than a sixteenth of the result's shows no face.
_BLUR = 0.02  # Sigma of what continues a photo beyond its edges, in sides of the crop.


class Crop(NamedTuple):
    """A rotated square in a photo: its centre, and half of its upper side as a vector to the right, in pixels."""

    centre: np.ndarray  # float64 [2], x and y.
    right: np.ndarray  # float64 [2]

    @property
    def side(self) -> float:
        return 2 * math.hypot(*self.right)

    @property
    def down(self) -> np.ndarray:
        return np.array([-self.right[1], self.right[0]])


def face_crop(landmarks: np.ndarray) -> Crop:
    """[68, 2] -> the square of ProGAN's App. C: 4 times the distance of the eyes, or 3.6 times that to the mouth."""
    left, right = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    eyes, mouth = (left + right) / 2, (landmarks[48] + landmarks[54]) / 2
    to_mouth = mouth - eyes
    # Along the eyes, and across the line to the mouth: the sum of both is steadier than one of them.
    direction = (right - left) + np.array([to_mouth[1], -to_mouth[0]])
    length, half = math.hypot(*direction), max(2.0 * math.hypot(*(right - left)), 1.8 * math.hypot(*to_mouth))
    if not np.isfinite(landmarks).all() or not length > 1e-6 or not 1 <= half < 1e6:
        raise ValueError("its landmarks do not form a face")
    return Crop(eyes + 0.1 * to_mouth, direction * (half / length))


def crop_face(image: np.ndarray, crop: Crop, size: int) -> np.ndarray:
    """uint8 [H, W, 3] -> [size, size, 3]. Beyond its edges the photo is mirrored and blurred."""
    if crop.side * _MAX_ENLARGEMENT < size:
        raise ValueError(f"it is too small: {crop.side:.0f} pixels for {size}")
    shrink = max(1, int(crop.side / size / 4))  # What bilinear sampling of four by four would pass over.
    reach = np.abs(crop.right) + np.abs(crop.down)
    low, high = np.floor(crop.centre - reach).astype(int) - shrink, np.ceil(crop.centre + reach).astype(int) + shrink
    if (high < 0).any() or (low > image.shape[1::-1]).any() or (high - low > 10 * np.array(image.shape[1::-1])).any():
        raise ValueError("it lies outside the photo")
    part = Image.fromarray(_part(image, low, high, crop.side * _BLUR)).reduce(shrink)
    count = size * min(4, max(1, math.ceil(crop.side / shrink / size)))  # Samples a side.
    corner = (crop.centre - low - crop.right - crop.down) / shrink
    across, down = 2 * crop.right / shrink / count, 2 * crop.down / shrink / count
    numbers = (across[0], down[0], corner[0], across[1], down[1], corner[1])
    sampled = part.transform((count, count), Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR)
    return np.asarray(sampled.resize((size, size), Image.Resampling.LANCZOS))


def _part(image: np.ndarray, low: np.ndarray, high: np.ndarray, sigma: float) -> np.ndarray:
    """The rectangle from `low` to `high` (x, y), which may reach beyond the image."""
    from scipy import ndimage

    rows, columns = (np.arange(low[axis], high[axis]) for axis in (1, 0))
    inside = [np.clip(places, 0, size - 1) for places, size in zip((rows, columns), image.shape)]
    mirrored = [_mirrored(places, size) for places, size in zip((rows, columns), image.shape)]
    part = image[np.ix_(*mirrored)]
    distance = np.maximum(*np.meshgrid(*(abs(a - b) for a, b in zip((rows, columns), inside)), indexing="ij"))
    if not distance.any():
        return part
    blurred = ndimage.gaussian_filter(part.astype(np.float32), (sigma, sigma, 0))
    share = np.minimum(distance / (3 * sigma), 1)[..., np.newaxis]  # Blurred the more, the farther it is outside.
    return np.rint(part + (blurred - part) * share).astype(np.uint8)


def _mirrored(places: np.ndarray, size: int) -> np.ndarray:
    folded = np.mod(places, 2 * size)
    return np.where(folded < size, folded, 2 * size - 1 - folded)


def read_landmarks(path: os.PathLike) -> dict[str, list[tuple[str, np.ndarray]]]:
    """A .csv with the columns file, face, x0, y0, ... x67, y67 -> photo: [(face, float64 [68, 2])]."""
    with reading(path, "table of landmarks"):
        lines = csv.reader(io.StringIO(pathlib.Path(path).read_text(encoding="utf-8-sig"), newline=None))
        rows = [(lines.line_num, [cell.strip() for cell in row]) for row in lines if any(row)]
    if not rows or rows[0][1] != _COLUMNS:
        found = short(",".join(rows[0][1]), 100) if rows else "nothing"
        raise UserError(f"`landmarks` {path} should begin with file,face,x0,y0, ... x67,y67, found {found}.")
    faces, seen = collections.defaultdict(list), set()
    for number, row in rows[1:]:
        try:
            landmarks = np.array(row[2:], np.float64).reshape(68, 2)
        except ValueError:
            raise UserError(f"line {number} of {path} should have a file, a face and 136 numbers.") from None
        name, face = row[0].replace("\\", "/"), row[1]
        if not face.isalnum() or (name, face) in seen:
            raise UserError(f"line {number} of {path}: face {short(face, 60)} of a file is letters or digits, once.")
        seen.add((name, face))
        faces[name].append((face, landmarks))
    return faces


def align_faces(
    source: str,
    landmarks: os.PathLike,
    outdir: os.PathLike,
    size: int,
    note: Note,
    progress: StartProgress = Progress,
    pictures: PictureOptions = PictureOptions(),
) -> int:
    """Writes OUTDIR/PHOTO-FACE.png for each face, and OUTDIR/left_out.txt -> how many faces.

    PHOTO is without its suffix, unless another photo has the same name but for the suffix. pictures: their black and
    white.

    Raises UserError if `outdir` holds anything already, or if no face can be written.
    """
    folder = pathlib.Path(outdir)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"`outdir` {folder} exists and is not an empty folder: give a new one.")
    table, collection = read_landmarks(landmarks), open_collection(source)
    skipped = list(collection.skipped)
    names = [collection.name(index) for index in range(len(collection))]
    skipped += [Skipped(name, "photos without landmarks") for name in names if name not in table]
    skipped += [Skipped(name, "landmarks without a photo") for name in sorted(set(table) - set(names))]
    stems = {name: name.rpartition(".")[0] or name for name in names if name in table}
    uses = collections.Counter([*stems, *stems.values()])
    make_folder(folder)
    written, count, statistics, options = AtomicBatch(), 0, ImageStatistics(), dataclasses.replace(pictures, channels=3)
    with progress(len(names), "Aligning", "photos") as bar:
        for index, name in enumerate(names):
            photo = _photo(collection, index, options, skipped) if name in table else None
            statistics = statistics if photo is None else statistics.joined(ImageStatistics.of([photo]))
            for face, content in _faces(name, photo, table[name], size, skipped) if photo else ():
                path = folder / f"{stems[name] if uses[stems[name]] == 1 else name}-{face}.png"
                if not path.resolve().is_relative_to(folder.resolve()):  # Archives may name anything.
                    skipped.append(Skipped(name, "with names that lead elsewhere"))
                    continue
                make_folder(path.parent)
                written.write(path, content)
                count += 1
            written.publish()
            bar.update(index + 1)
    list_skipped(skipped, folder)
    if not count:
        such = f", such as {short(skipped[-1].name, 300)}" if skipped else ""
        raise UserError(f"no face of {source} could be cut out: {summary(skipped) or 'there are none'}{such}.")
    if skipped:
        note(f"skipped: {summary(skipped)}; all of them are listed in {folder / LEFT_OUT_FILE}")
    for line in statistics.lines(options.white):
        note(line)
    return count


def _photo(
    collection: Collection, index: int, options: PictureOptions, skipped: list[Skipped]
) -> Optional[DecodedImage]:
    """None for one that cannot be read, or not as a photo."""
    try:
        with reading_picture(collection.name(index)):
            return to_pixels(collection.read(index), options)
    except (BadPicture, NeedsOption) as error:
        skipped.append(Skipped(str(error), "photos that cannot be read"))
        return None


def _faces(name: str, photo: DecodedImage, faces: Sequence[tuple], size: int, skipped: list[Skipped]):
    """Yields (face, content of a PNG file) of one photo."""
    for face, landmarks in faces:
        try:
            aligned = crop_face(photo.image, face_crop(landmarks), size)
        except ValueError as error:
            skipped.append(Skipped(f"{name}, face {face}: {error}", "faces that cannot be cut out"))
            continue
        yield face, encode_picture(aligned, "PNG")
