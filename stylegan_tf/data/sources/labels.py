"""Labels of a new dataset: from the source itself, from the names of folders, or from a file."""

import collections
import csv
import io
import json
import os
import pathlib
import unicodedata
from collections.abc import Sequence
from typing import Optional

import numpy as np

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import demo
from stylegan_tf.data.sources.collection import Collection, Labels, as_labels, finite_labels, one_hot
from stylegan_tf.files.arrays import read_array_stream
from stylegan_tf.files.file_errors import reading, short

_FILE_COLUMNS = ("file", "filename", "file_name", "path", "name", "image", "image_id", "id")
_PARTS_OF_SETS = {"train", "training", "val", "valid", "validation", "test", "testing", "eval", "dev"}


def find_labels(collection: Collection, text: str) -> Optional[Labels]:
    """The labels that `labels=text` stands for.

    "": none; "classes": the source's own; "folders": one class for each folder; a `.json` (StyleGAN2's form), `.csv`
    or `.npy` file, inside the source or next to it; otherwise names of attributes, separated by commas.
    Raises UserError if there is no such thing, and if a picture has no label.
    """
    text = text.strip()
    if not text or text == "none":
        return None
    if text == "classes":
        labels = collection.classes()
        if labels is None:
            raise UserError("`labels=classes`: this source has none. Others: folders, a .json, .csv or .npy file.")
        return labels
    if text == "folders":
        return _of_folders([collection.name(index) for index in range(len(collection))])
    if text.lower().endswith((".json", ".csv", ".npy")):
        return _of_file(collection, text)
    if text in collection.label_columns:
        return collection.classes(text)
    attributes = collection.attributes()
    if attributes is None:
        columns = f", but columns {', '.join(collection.label_columns[:20])}" if collection.label_columns else ""
        raise UserError(
            f"`labels={short(text)}`: this source has no attributes{columns}. Give classes, folders, or a .json, .csv "
            "or .npy file."
        )
    names = [name.strip() for name in text.split(",") if name.strip()]
    return Labels(*demo.one_hot_labels(attributes, names))


def _of_folders(names: Sequence[str]) -> Labels:
    """Below what all have in common, the first folder on the way to each picture is its class."""
    parts = [name.split("/") for name in names]
    level = _common_folders(parts)  # Archives often hold everything in one folder.
    _check_inside(names, parts, level)
    folders, note = sorted({part[level] for part in parts}), ""
    if {folder.lower() for folder in folders} <= _PARTS_OF_SETS:
        level += 1
        if all(len(part) < level + 2 for part in parts):
            raise UserError(
                f"`labels=folders`: {' and '.join(folders)} are parts of a set, not classes: "
                "those would be folders inside them."
            )
        _check_inside(names, parts, level)
        note = f"{', '.join(folders)} are taken for parts of one set: the folders inside them are the classes."
    classes = sorted({part[level] for part in parts})
    numbers = {name: number for number, name in enumerate(classes)}
    found = one_hot(np.array([numbers[part[level]] for part in parts]), tuple(classes))
    return found._replace(note=note)


def _common_folders(parts: Sequence[Sequence[str]]) -> int:
    level = 0
    while all(len(part) > level + 1 and part[level] == parts[0][level] for part in parts):
        level += 1
    return level


def _check_inside(names: Sequence[str], parts: Sequence[Sequence[str]], level: int) -> None:
    stray = [name for name, part in zip(names, parts) if len(part) < level + 2]
    if len(stray) == len(names):
        raise UserError(f"`labels=folders`: all {len(names)} pictures are in one folder, expected one for each class.")
    if stray:
        inside = next(name for name, part in zip(names, parts) if len(part) > level + 1)
        raise UserError(
            f"`labels=folders`: {stray[0]} is not inside a folder of a class, as {inside} is (nor are "
            f"{len(stray) - 1} others): move it, or leave it out."
        )


def _of_file(collection: Collection, text: str) -> Labels:
    with reading(text, "file of labels"):
        data = collection.read_other(text)
        if data is None:
            if not os.path.isfile(text):
                raise UserError(f"`labels={short(text)}`: there is no such file, neither in the source nor here.")
            data = pathlib.Path(text).read_bytes()
        if text.lower().endswith(".npy"):
            return as_labels(read_array_stream(io.BytesIO(data), len(data)), text, len(collection))
        content = data.decode("utf-8-sig")
        rows, found = _of_json(content, text) if text.lower().endswith(".json") else _of_csv(content, text)
    return found._replace(values=_by_name(collection, dict(zip(rows, found.values)), text))


def _by_name(collection: Collection, rows: dict[str, Sequence[float]], where: str) -> np.ndarray:
    """By the path within the source; either side may lack leading folders of the other."""
    ends: dict[str, Optional[str]] = {}
    for name in rows:
        for end in _ends(name):
            ends[end] = None if end in ends else name  # None: ambiguous.
    values, missing, used, others = [], [], {}, {}
    for index in range(len(collection)):
        name = collection.label_name(index)
        fitting = [end for end in _ends(_normalized(name)) if end in rows]
        found = fitting[0] if fitting else ends.get(_normalized(name))
        if found is None:
            missing.append(name)
            continue
        if used.setdefault(found, name) != name:
            raise UserError(
                f"{where} has one label {found} for two pictures, {used[found]} and {name}: give more of their paths."
            )
        others.update((end, (found, name)) for end in fitting[1:])
        values.append(rows[found])
    if missing:
        raise UserError(f"{where} has no label for {len(missing)} of {len(collection)} pictures, such as {missing[0]}.")
    for end, (found, name) in others.items():
        if end not in used:
            raise UserError(f"{where} has two labels for {name}, as {found} and as {end}: one of them is wrong.")
    return np.array(values, np.float32)


def _ends(path: str) -> list[str]:
    """ "a/b/c.png" -> a/b/c.png, b/c.png, c.png."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _normalized(name: str) -> str:
    """One spelling of paths: macOS decomposes umlauts, Windows writes backslashes."""
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))


def _file_names(names: Sequence[str], where: str) -> list[str]:
    """Raises UserError for one that occurs twice: which of its labels is right?"""
    names = [_normalized(str(name).strip()) for name in names]
    ((most, times),) = collections.Counter(names).most_common(1)
    if times > 1:
        raise UserError(f"{where} has {times} labels for {short(most, 200)}: one of them is wrong.")
    return names


def _of_json(content: str, where: str) -> tuple[list[str], Labels]:
    """{"labels": [["00000/img00000000.png", 6], ...]}: a class number, or a list of numbers, for each file."""
    # A pair stays a pair, so that a name that occurs twice is not lost.
    content = json.loads(content, object_pairs_hook=list)
    pairs = dict(content).get("labels") if _are_pairs(content) else None
    if not pairs or not _are_pairs(pairs):
        raise UserError(f'{where} should hold {{"labels": [["file.png", 3], ...]}}.')
    names = _file_names([name for name, _ in pairs], where)
    try:
        array = np.array([label for _, label in pairs])
    except (TypeError, ValueError):  # Lists of several lengths.
        array = np.zeros([0])
    return names, as_labels(array, where, len(pairs), names)


def _are_pairs(entries) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, (list, tuple)) and len(entry) == 2 and isinstance(entry[0], str) for entry in entries
    )


def _of_csv(content: str, where: str) -> tuple[list[str], Labels]:
    """A header such as `file,class`, then a line for each picture: a class (text or whole number), or numbers."""
    lines = csv.reader(io.StringIO(content, newline=None))  # None: all three kinds of line ends.
    numbered = [(lines.line_num, row) for row in lines if any(cell.strip() for cell in row)]
    rows = [row for _, row in numbered]
    header = [cell.strip() for cell in rows[0]] if rows else []
    if len(header) < 2 or header[0].lower() not in _FILE_COLUMNS or len(rows) < 2:
        found = short(",".join(header), 200) or "none"
        raise UserError(f"{where} should begin with a line like file,class, found: {found}.")
    for number, row in numbered:
        if len(row) != len(header):
            raise UserError(f"line {number} of {where} has {len(row)} cells, its header {len(header)}.")
        empty = next((name for name, cell in zip(header, row) if not cell.strip()), None)
        if empty is not None:
            raise UserError(f"line {number} of {where} has no value in its column {short(empty, 200)}.")
    files = _file_names([row[0] for row in rows[1:]], where)
    texts = [[cell.strip() for cell in row[1:]] for row in rows[1:]]
    try:
        numbers = np.array([[float(text) for text in row] for row in texts])
    except ValueError as error:
        if len(header) > 2:
            found = short(error, 200)
            raise UserError(f"{where} has several columns that should all be numbers: {found}.") from None
        classes = [row[0] for row in texts]
    else:
        values = finite_labels(numbers, where, files)
        if len(header) > 2 or (numbers != np.rint(numbers)).any():
            return files, Labels(values, tuple(header[1:]))
        classes = [_class_number(row[0]) for row in texts]
    names = sorted(set(classes), key=_class_order)
    places = {name: place for place, name in enumerate(names)}
    return files, one_hot(np.array([places[name] for name in classes]), tuple(names))


def _class_number(text: str) -> str:
    """1 and 1.0 are one class; as floats, large numbers would be merged."""
    try:
        return str(int(text))
    except ValueError:
        return str(int(float(text)))


def _class_order(name: str) -> tuple:
    """2 before 10, and numbers before names."""
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)
