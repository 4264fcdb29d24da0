"""docs/as_a_library.md: what a reader copies from it runs."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "as_a_library.md"


@pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not beside the tests")
def test_the_code_of_the_page_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    names = {}
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = "\n" * text[: block.start(1)].count("\n")  # So that a traceback tells the line of the page.
        exec(compile(lines + block.group(1), str(PAGE), "exec"), names)
    assert names["mixed"].shape == (4, 6, 8) and names["small"].shape == (4, 8, 8, 3)
    assert float(names["d_loss"]) > 0
    assert names["picture"].shape == names["target"].shape == (1, 16, 16, 3) and names["found"].step == 5
    assert sorted(file.name for file in tmp_path.iterdir()) == ["datasets", "generator.keras", "mine.npz", "runs"]
