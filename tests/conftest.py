"""Shared by all tests."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # Before anything imports TensorFlow.


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of numbers computed by the authors' implementation, beside the checkout; tests skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip(f"the reference numbers are not here ({folder})")
    return folder
