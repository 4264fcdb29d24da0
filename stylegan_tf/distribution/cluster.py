"""The processes of a run on several machines, as the environment variable TF_CONFIG names them. No TensorFlow here."""

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from typing import Any, Optional

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.file_errors import parse_json, short

_EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
_ROLES = ("chief", "worker", "evaluator")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The addresses of all training processes, the chief's first, and which of them this one is."""

    addresses: tuple[str, ...]
    index: int


def cluster_from_environment(environment: Mapping[str, str] = os.environ) -> Optional[Cluster]:
    """The cluster that TF_CONFIG describes, or None if the variable is not set, or names none.

    Raises UserError, in one line, for anything in it that TensorFlow would stumble over or wait for in vain.
    """
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        description = parse_json(text)
    except ValueError as error:
        raise _error(f"is not JSON ({error})") from None
    if not isinstance(description, dict):
        raise _error("is not a JSON object")
    roles = description.get("cluster")
    if not roles:
        return None
    _check_roles(roles)
    role, index = _task(description.get("task"), roles)
    addresses = (*roles.get("chief", ()), *roles.get("worker", ()))
    if len(set(addresses)) < len(addresses):
        raise _error(f"gives two processes the same address: {', '.join(addresses)}")
    return Cluster(addresses, index if role == "chief" else len(roles.get("chief", ())) + index)


def _check_roles(roles: Any) -> None:
    if not isinstance(roles, dict):
        raise _error('has a "cluster" that is not an object of lists of addresses')
    for role, addresses in roles.items():
        if role not in _ROLES:
            raise _error(f"names the role {short(role, 60)!r}, which training does not have: only chief and worker")
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            found = short(json.dumps(addresses), 150)
            raise _error(f"lists under {role!r} {found}, expected addresses like host0:2222, ports from 1 to 65535")
    if len(roles.get("chief", ())) > 1:
        raise _error(f"names {len(roles['chief'])} chiefs, expected one at most")


def _is_address(address: Any) -> bool:
    if not isinstance(address, str):
        return False
    host, _, port = address.rpartition(":")
    return bool(host.strip()) and re.fullmatch(r"[0-9]{1,5}", port) is not None and 1 <= int(port) <= 65535


def _task(task: Any, roles: Mapping[str, list]) -> tuple[str, int]:
    """-> (role, index) of this process."""
    if not isinstance(task, dict) or "type" not in task or "index" not in task:
        raise _error('does not say which process this is: "task" needs a "type" and an "index"')
    role, index = task["type"], task["index"]
    if role == "evaluator":
        raise _error("makes this process an evaluator, which training does not have: only chief and worker")
    if not isinstance(role, str) or role not in roles or role not in _ROLES:
        raise _error(f'has the task type {role!r}, which its "cluster" does not list ({", ".join(roles)})')
    if isinstance(index, str) and re.fullmatch("[0-9]+", index):  # Scripts like to quote it; TensorFlow takes that.
        index = int(index)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(roles[role]):
        raise _error(f"has the task index {index!r}, expected 0 to {len(roles[role]) - 1} for {role}")
    return role, index


def _error(problem: str) -> UserError:
    return UserError(f"TF_CONFIG {problem}. It should look like {_EXAMPLE}, or not be set for a single machine.")
