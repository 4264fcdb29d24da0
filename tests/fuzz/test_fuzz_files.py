"""Some damaged files of every kind; `python -m tests.fuzz.fuzz_files` takes as many as it is told."""

from tests.fuzz import fuzz_files


def test_damaged_files_are_refused_in_one_line_or_read_as_they_are(tmp_path):
    outcomes = fuzz_files.run_all([], 0, 60, tmp_path)
    assert len(outcomes) == 10
    for name, counts in outcomes.items():
        assert set(counts) <= {"read", "refused"}, name
    for name in ("network", "checkpoint", "dlatents_npz"):
        assert counts and outcomes[name]["refused"] >= 20  # Others hit bytes that say nothing, such as times.
