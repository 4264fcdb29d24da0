"""A few damaged inputs of every kind; `python -m tests.fuzz.fuzz_sources` takes as many as it is told."""

import pytest

from tests.fuzz import fuzz_sources
from tests.fuzz.source_cases import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_sources_end_in_a_set_or_in_one_line(tmp_path, kind):
    for module in {"hdf5": ["h5py"], "lmdb": ["lmdb"]}.get(kind, []):
        pytest.importorskip(module)
    if kind == "flag_file":  # In a process of its own: here are the flags of other commands as well.
        assert set(fuzz_sources.batch(kind, 0, 40).values()) <= {"set", "refused"}
        return
    case = KINDS[kind]()
    for number in range(6):
        assert fuzz_sources.run_guarded(kind, number, case, tmp_path / str(number)) in ("set", "refused"), number
