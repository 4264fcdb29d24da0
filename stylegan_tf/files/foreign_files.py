"""What a file is that was given in place of a network file: recognised by its first bytes, nothing in it is run."""

import os
import pathlib
import re
import zipfile
from typing import Optional

_CONVERT = "stylegan-tf convert_checkpoint makes a network file of the authors' StyleGAN and ProGAN pickles"
_EXAMINED = 2**22  # Bytes of a pickle: names of classes and functions come before most of the numbers.
_TORCH_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19"  # Of PyTorch's files before version 1.6, within their first bytes.
# What is found in a pickle first -> what it is.
_PICKLES = (
    (rb"torch_utils[./]persistence|_reconstruct_persistent_obj",
     "a pickle of the authors' PyTorch code (StyleGAN2-ADA or StyleGAN3)"),
    (rb"networks_stylegan2|G_synthesis_stylegan2|D_stylegan2|modulated_conv2d|upfirdn_2d|G_main",
     "a pickle of a StyleGAN2 or StyleGAN2-ADA network"),
    (re.escape(_TORCH_MAGIC), "a file of PyTorch's weights (.pth, .pt)"),
)  # fmt: skip
_BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
    (b"\x89HDF", "an HDF5 file, such as Keras' weights"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "compressed with xz: unpack it first"),
    (b"<", "a web page: the download failed"),
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
    return next((kind for beginning, kind in _BEGINNINGS if start.lstrip().startswith(beginning)), None)


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
        return "a file of dlatents: give it as `dlatents`"
    if {"config.json", "model.weights.h5"} <= set(names):
        return "a Keras model (.keras): give the network file that it was made of"
    return None


def _kind_of_folder(path) -> Optional[str]:
    if (path / "saved_model.pb").exists() or any(path.glob("*/saved_model.pb")):
        return "a folder of exports (SavedModels): give the network file or the run folder that they were made of"
    if any(path.glob("*.tfrecords")):
        return "a data set: give a run folder or a network file"
    if any(path.glob("images-*.npz")):
        return "the folder of checkpoints: give the run folder around it"
    return None
