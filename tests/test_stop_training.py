"""A few stops at random moments; `tests/stop_training.py` takes as many as it is told."""

import pytest

from tests.helpers.array_source import write_numbered
from tests.stop_training import stop_again_and_again


@pytest.mark.end_to_end
@pytest.mark.slow
def test_a_run_that_is_stopped_anywhere_ends_in_order(tmp_path):
    write_numbered(tmp_path / "data")
    stop_again_and_again(tmp_path, tmp_path / "data", stops=3, seed=7)
