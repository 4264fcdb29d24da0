"""A few kills of a command that writes; `tests/power_cut.py` takes as many as it is told, and cuts a disk's power."""

import random

import pytest

from tests import power_cut


@pytest.mark.slow
@pytest.mark.end_to_end
def test_a_data_set_that_is_killed_while_it_is_written_is_whole_or_not_there(tmp_path):
    disk = power_cut.Folder(tmp_path)
    assert power_cut.cut_again_and_again("set", disk, 3, random.Random(1), "demo", tmp_path) > 0
