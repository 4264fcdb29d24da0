"""docs/tutorial.ipynb runs from its first cell to its last one, but for the one that installs the package."""

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "tutorial.ipynb"
SHORT = {"install": "", "parameters": "IMAGES, TOTAL_KIMG, STEPS = 64, 0.032, 3"}
if not NOTEBOOK.is_file():
    pytest.skip("the documentation is not beside the tests", allow_module_level=True)


def outputs_of(notebook, kind):
    found = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    return [output for output in found if kind in output["data"]]


@pytest.mark.slow
def test_the_notebook_trains_mixes_projects_shows_the_page_and_exports(tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # Stripped.
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    assert tags == list(SHORT)
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            cell.source = SHORT[tag]
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert len(outputs_of(notebook, "image/png")) == 5
    assert "iframe" in outputs_of(notebook, "text/html")[-1]["data"]["text/html"]
    assert (tmp_path / "runs" / "tutorial" / "fakes000000.png").is_file()
    assert (tmp_path / "saved_models" / "demo" / "1" / "saved_model.pb").is_file()
