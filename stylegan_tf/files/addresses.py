"""Addresses of object storage and of the web, `scheme://...`, as opposed to paths of local files."""

import os
import re
from typing import Optional, Union

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.file_errors import short

# Path("gs://bucket") has lost a slash. A single letter is a drive.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


def scheme_of(path: Union[str, os.PathLike]) -> Optional[str]:
    """`gs` of gs://bucket/run; None for a local path, such as ./gs:/bucket."""
    match = _SCHEME.match(os.fsdecode(path))
    return match[1].lower() if match else None


def check_local(path: Union[str, os.PathLike], name: Optional[str] = None) -> None:
    """UserError where an address is given in place of a local path. name: the option, for the message."""
    if scheme_of(path):
        which = f"`{name}` takes" if name else "expected"
        raise UserError(f"{short(os.fsdecode(path), 200)}: {which} a local path, not an address.")
