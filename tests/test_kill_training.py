"""`kill -9` loses nothing but the work since the last checkpoint."""

import pytest

from tests.helpers.array_source import write_numbered
from tests.kill_training import kill_again_and_again


@pytest.mark.end_to_end
@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_an_undisturbed_one(tmp_path):
    write_numbered(tmp_path / "data")
    assert kill_again_and_again(tmp_path, tmp_path / "data", kills=2, kimg=0.32, seed=5) == 2
