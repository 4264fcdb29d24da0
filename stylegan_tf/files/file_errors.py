"""Reading files, with errors of one line: the file's name, the reason, what to do. The one place that words them.

with reading(path, "network file"):
    ...                                       # Library code: whatever it raises becomes a DamagedFile.
description = read_json(path, "list of labels")
except OSError as error: print(os_error_line(error))
kind = foreign_kind(path)                     # What was given in place of a network file.
"""

import contextlib
import errno
import json
import os
import pathlib
import re
import zipfile
from collections.abc import Iterator
from typing import Any, Optional

from stylegan_tf.config.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)  # Error numbers of a full disk.
LONGEST = 300  # Characters of a line: text from a damaged file may have any length.
ADVICE = "copy it again or use another"
_ADVICE = {
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "a part of the name is a file: check the name",
    errno.EISDIR: "a file is expected there, not a folder",
    errno.EEXIST: "a folder is needed there, or another name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its links lead in a circle",
    errno.EACCES: "grant access to it, or choose another location",
    errno.EPERM: "grant access to it, or choose another location",
    errno.EROFS: "choose another location",
    errno.ENOSPC: "free some space, and run the same command again",
    errno.EDQUOT: "free some space, and run the same command again",
    errno.EFBIG: "choose a location that can hold larger files",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.EIO: "the disk or the connection to it fails: copy the file, or choose another location",
    errno.ESTALE: "the file was replaced on its server: run the same command again",
}
# Errors of the machine, not of the file's content.
_NOT_DAMAGE = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENAMETOOLONG)


class DamagedFile(UserError):
    """The file is there, but what it holds cannot be read."""


def short(text: Any, longest: int = LONGEST) -> str:
    """In one line, without control characters, the middle cut where it is longer than `longest`."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", str(text)).strip()
    half = (longest - 5) // 2
    return text if len(text) <= longest else f"{text[: longest - 5 - half]} ... {text[len(text) - half :]}"


def file_line(path: Any, problem: str, reason: Any, advice: str) -> str:
    """`PATH PROBLEM (REASON): ADVICE.`; the reason is what gets shorter."""
    path = short(os.fspath(path) if isinstance(path, os.PathLike) else path, 200)
    room = max(LONGEST - len(f"{path} {problem} (): {advice}."), 40)
    return f"{path} {problem} ({short(reason, room)}): {advice}."


def reason_of(error: BaseException) -> str:
    """What an exception says, or its kind if it says nothing that helps; never the advice to trust a file."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, (KeyError, IndexError)):
        text = f"{text} is missing" if text else ""
    if isinstance(error, RecursionError):
        text = "nested too deeply"
    if "allow_pickle" in text or "pickle" in text.lower():
        text = "it holds Python objects, or a header that is too long"
    text = re.sub(r" ?<\S+ object at 0x\w+>", "", text)  # Pillow's name for content in memory.
    return text.removesuffix(".") or type(error).__name__


def os_error_line(error: OSError) -> str:
    """`PATH: No space left on device: free some space, ...`."""
    names = [name for name in (error.filename, error.filename2) if isinstance(name, (str, bytes, os.PathLike))]
    where = " -> ".join(short(os.fsdecode(name), 200) for name in names)
    advice = _ADVICE.get(error.errno, "check the file, its disk and its rights")
    return f"{where + ': ' if where else ''}{short(reason_of(error), 200)}: {advice}."


@contextlib.contextmanager
def reading(path: os.PathLike, kind: str, advice: str = ADVICE) -> Iterator[None]:
    """Put it around library code that opens and parses `path`; `kind`, like "network file", is for the message.

    Whatever is raised becomes a UserError of one line: DamagedFile where the content is to blame. No list of what
    parsers raise is ever complete.
    """
    try:
        yield
    except UserError:
        raise
    except MemoryError:
        raise UserError(file_line(path, f"is a {kind} larger than the memory", "out of memory", advice)) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NOT_DAMAGE:
            raise UserError(f"cannot read {_named(error, path)}") from None
        raise DamagedFile(file_line(path, f"is not a readable {kind}", reason_of(error), advice)) from None


def _named(error, path):
    return os_error_line(OSError(error.errno, error.strerror, os.fspath(path)))


def parse_json(text: str) -> Any:
    """JSON as the standard has it: NaN and infinity are errors. ValueError for whatever is wrong with it."""

    def refuse(name):
        raise ValueError(f"{name} is not a JSON number")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: os.PathLike, kind: str, advice: str = "fix it, or create it again") -> Any:
    """The content of a JSON file. UserError, in one line, for whatever is wrong with it."""
    with reading(path, kind, advice):
        return parse_json(pathlib.Path(path).read_text(encoding="utf-8"))


def parse_line(line: str) -> Optional[dict]:
    """The object of one line of a .jsonl, None where it is none: cut off, damaged, something else."""
    try:
        record = parse_json(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def read_lines(path: os.PathLike) -> list[tuple[str, dict]]:
    """The complete lines of a .jsonl, each with its object; [] without the file.

    Skipped are damaged lines, and a last one without its end, which may still be being written.
    """
    if not os.path.isfile(path):
        return []
    lines = pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    found = ((line, parse_line(line)) for line in lines if line.endswith("\n"))
    return [(line, record) for line, record in found if record is not None]


# ---- What a file is that was given in place of a network file: recognised by its first bytes, nothing in it is run.

_CONVERT = "stylegan-tf convert_checkpoint makes a network file of the authors' StyleGAN and ProGAN pickles"
_EXAMINED = 2**22  # Bytes of a pickle: names of classes and functions come before most of the numbers.
_TORCH_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19"  # In PyTorch's files before version 1.6, within their first bytes.
# What is found in a pickle first -> what it is.
_PICKLES = (
    (rb"torch_utils[./]persistence|_reconstruct_persistent_obj",
     "a pickle of the authors' PyTorch code (StyleGAN2-ADA or StyleGAN3)"),
    (rb"networks_stylegan2|G_synthesis_stylegan2|D_stylegan2|modulated_conv2d|upfirdn_2d|G_main",
     "a pickle of a StyleGAN2 or StyleGAN2-ADA network"),
    (re.escape(_TORCH_MAGIC), "a file of PyTorch's weights (.pth, .pt)"),
)  # fmt: skip
_BEGINNINGS = (  # As regular expressions.
    (rb"(?s).{5}\0{3}\{", "a file of weights (.safetensors)"),  # The length of a header in JSON.
    (rb"\s*version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
    (b"\x89HDF", "an HDF5 file, such as Keras' weights"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "compressed with xz: unpack it first"),
    (rb"\s*<[!?a-zA-Z]", "a web page: the download failed"),
    (b"PK\x03\x04", "a zip archive, such as an .npz or PyTorch's weights"),
)


def foreign_kind(path: os.PathLike) -> Optional[str]:
    """What the file is instead, and what to do, for "PATH is ...". None for an .npz and for unknown files."""
    path = pathlib.Path(path)
    if path.is_dir():
        return _kind_of_folder(path)
    try:
        with open(path, "rb") as stream:
            start = stream.read(512)
            if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
                return _kind_of_pickle(start + stream.read(_EXAMINED))
        if start[:2] == b"PK":
            return _kind_of_zip(path)
    except OSError:
        return None  # Reading will report it.
    return kind_by_beginning(start)


def kind_by_beginning(start: bytes) -> Optional[str]:
    """What a file is that starts with these bytes, in the same words."""
    return next((kind for beginning, kind in _BEGINNINGS if re.match(beginning, start)), None)


def _kind_of_pickle(content: bytes) -> str:
    for pattern, kind in _PICKLES:
        if re.search(pattern, content):
            return f"{kind}, whose networks this program does not have; {_CONVERT}"
    return f"a pickle, not a network file: {_CONVERT}"


def _kind_of_zip(path) -> Optional[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # Damaged: reading will report it.
        return None
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        return f"a file of PyTorch's weights (.pth, .pt), whose networks this program does not have; {_CONVERT}"
    if "checkpoint.npy" in names:
        return "a checkpoint of a run: give its run folder, or a network-NNNNNN.npz in it"
    if "config.npy" in names and any(name.startswith(("G/", "Gs/", "D/")) for name in names):
        return "a file under the authors' names (made by convert_checkpoint): give the network file it was made of"
    if "dlatents.npy" in names:
        return "a file of dlatents, which takes the place of seeds (`dlatents`): give a network file"
    if {"config.json", "model.weights.h5"} <= set(names):
        return "a Keras model (.keras): give the network file that it was made of"
    return None


def _kind_of_folder(path) -> Optional[str]:
    if (path / "saved_model.pb").exists() or any(path.glob("*/saved_model.pb")):
        return "a folder of exports (SavedModels): give the network file or the run folder that they were made of"
    if any(path.glob("*.tfrecords")):
        return "a dataset: give a run folder or a network file"
    if any(path.glob("images-*.npz")):
        return "the folder of checkpoints: give the run folder around it"
    return None
