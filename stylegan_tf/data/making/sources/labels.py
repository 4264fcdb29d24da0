"""Labels of a new dataset: from the source itself, from the names of folders, or from a file."""

import csv
import io
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Optional

import numpy as np

from stylegan_tf.data import demo
from stylegan_tf.data.making.sources.collection import Collection, Labels, as_labels, one_hot
from stylegan_tf.errors import UserError

_FILE_COLUMNS = ("file", "filename", "file_name", "path", "name", "image", "image_id", "id")


def find_labels(collection: Collection, text: str) -> Optional[Labels]:
    """What `--labels=text` asks for.

    "": none; "classes": the source's own; "folders": one class for each folder; a `.json` (StyleGAN2's form), `.csv`
    or `.npy` file, inside the source or beside it; otherwise names of attributes, separated by commas.
    Raises UserError if there is no such thing, and if a picture has no label.
    """
    text = text.strip()
    if not text or text == "none":
        return None
    if text == "classes":
        labels = collection.classes()
        if labels is None:
            raise UserError("--labels=classes: this source brings none. Others: folders, a .json, .csv or .npy file.")
        return labels
    if text == "folders":
        return _of_folders([collection.name(index) for index in range(len(collection))])
    if text.lower().endswith((".json", ".csv", ".npy")):
        return _of_file(collection, text)
    attributes = collection.attributes()
    if attributes is None:
        raise UserError(
            f"--labels={text}: this source has no attributes. Give classes, folders, or a .json, .csv or .npy file."
        )
    names = [name.strip() for name in text.split(",") if name.strip()]
    return Labels(*demo.one_hot_labels(attributes, names))


def _of_folders(names: Sequence[str]) -> Labels:
    """The first folder on the way to each picture is its class."""
    flat = next((name for name in names if "/" not in name), None)
    if flat is not None:
        raise UserError(f"--labels=folders: {flat} is not inside a folder, so that its class is unknown.")
    # Archives often hold everything in one folder: the classes are then the folders inside it.
    parts = [name.split("/") for name in names]
    level = 0
    while all(len(part) > level + 2 and part[level] == parts[0][level] for part in parts):
        level += 1
    folders = [part[level] for part in parts]
    classes = sorted(set(folders))
    numbers = {name: number for number, name in enumerate(classes)}
    return one_hot(np.array([numbers[folder] for folder in folders]), tuple(classes))


def _of_file(collection: Collection, text: str) -> Labels:
    data = collection.read_other(text)
    if data is None:
        if not os.path.isfile(text):
            raise UserError(f"--labels={text}: there is no such file, neither in the source nor here.")
        data = pathlib.Path(text).read_bytes()
    try:
        if text.lower().endswith(".npy"):
            return as_labels(np.load(io.BytesIO(data), allow_pickle=False), text, len(collection))
        content = data.decode("utf-8-sig")
        found = _of_json(content, text) if text.lower().endswith(".json") else _of_csv(content, text)
    except (ValueError, EOFError) as error:
        raise UserError(f"cannot read the labels in {text}: {error}.") from error
    rows, names = found
    return Labels(_looked_up(collection, rows, text), names)


def _looked_up(collection: Collection, rows: dict[str, Sequence[float]], where: str) -> np.ndarray:
    """By the path within the source; folders in front of it may be missing, or more, in either of the two."""
    ends: dict[str, Optional[str]] = {}
    for name in rows:
        for end in _ends(name):
            ends[end] = None if end in ends else name  # None: ambiguous.
    values, missing, used = [], [], {}
    for index in range(len(collection)):
        name = collection.name(index)
        found = next((end for end in _ends(name) if end in rows), ends.get(name))
        if found is None:
            missing.append(name)
            continue
        if used.setdefault(found, name) != name:
            raise UserError(f"{where} has one label {found} for two pictures, {used[found]} and {name}: give more of "
                            "their paths.")
        values.append(rows[found])
    if missing:
        raise UserError(f"{where} has no label for {len(missing)} of {len(collection)} pictures, such as {missing[0]}.")
    return np.array(values, np.float32)


def _ends(path: str) -> list[str]:
    """ "a/b/c.png" -> a/b/c.png, b/c.png, c.png."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _of_json(content: str, where: str) -> tuple[dict[str, Sequence[float]], tuple[str, ...]]:
    """{"labels": [["00000/img00000000.png", 6], ...]}: a class number, or a list of numbers, for each file."""
    content = json.loads(content)
    pairs = content.get("labels") if isinstance(content, dict) else None
    if isinstance(pairs, dict):
        pairs = list(pairs.items())
    if not isinstance(pairs, list) or not pairs:
        raise UserError(f'{where} should hold {{"labels": [["file.png", 3], ...]}}.')
    try:
        names, labels = zip(*((str(name).replace("\\", "/"), label) for name, label in pairs))
        array = np.array(labels)
    except (TypeError, ValueError):
        array = np.zeros([0])
    if array.dtype.kind not in "iufb" or array.ndim not in (1, 2) or len(array) != len(pairs):
        raise UserError(f"{where} should hold a file name and a class number (or a list of numbers) for each picture.")
    found = as_labels(array, where, len(pairs))
    return dict(zip(names, found.values)), found.names


def _of_csv(content: str, where: str) -> tuple[dict[str, Sequence[float]], tuple[str, ...]]:
    """A header such as `file,class`, then a line for each picture: a class (text or whole number), or numbers."""
    rows = [row for row in csv.reader(io.StringIO(content)) if any(cell.strip() for cell in row)]
    header = [cell.strip() for cell in rows[0]] if rows else []
    if len(header) < 2 or header[0].lower() not in _FILE_COLUMNS or len(rows) < 2:
        raise UserError(f"{where} should begin with a line like file,class, found: {','.join(header) or 'none'}.")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise UserError(f"line {number} of {where} has {len(row)} cells, its header {len(header)}.")
    files = [row[0].strip().replace("\\", "/") for row in rows[1:]]
    cells = [[cell.strip() for cell in row[1:]] for row in rows[1:]]
    if len(header) == 2 and not _are_fractions([row[0] for row in cells]):
        classes = sorted({row[0] for row in cells}, key=_class_order)
        numbers = {name: number for number, name in enumerate(classes)}
        found = one_hot(np.array([numbers[row[0]] for row in cells]), tuple(classes))
        return dict(zip(files, found.values)), found.names
    try:
        values = [[float(cell) for cell in row] for row in cells]
    except ValueError as error:
        raise UserError(f"{where} has several columns that should all be numbers: {error}.") from error
    return dict(zip(files, values)), tuple(header[1:])


def _class_order(name: str) -> tuple:
    """2 before 10, and numbers before names."""
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)


def _are_fractions(cells: Sequence[str]) -> bool:
    """Numbers of which some are not whole: a value and not a class."""
    try:
        return any(float(cell) != int(float(cell)) for cell in cells)
    except (ValueError, OverflowError):
        return False
