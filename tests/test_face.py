"""`import stylegan_tf`: its names, that TensorFlow waits for their first use, and the examples of their docstrings."""

import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import stylegan_tf
from stylegan_tf.config import SourceOptions, WriteOptions
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources import open_source

FUNCTIONS = ("evaluate", "generate_images", "project", "train")


def test_help_and_dir_know_all_names_without_tensorflow():
    code = (
        "import sys, stylegan_tf.train; print(*dir(stylegan_tf)); stylegan_tf.TrainConfig; "
        "print(type(stylegan_tf.train), 'tensorflow' in sys.modules)"
    )
    environment = {"PYTHONPATH": str(Path(stylegan_tf.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    names, found = done.stdout.splitlines()
    assert set(stylegan_tf.__all__) <= set(names.split())
    assert found == "<class 'function'> False"  # Not the module of the command, which has the same name.


def test_every_name_is_there_with_a_docstring_and_types():
    for name in stylegan_tf.__all__:
        assert getattr(stylegan_tf, name).__doc__, name
    for name in FUNCTIONS:
        signature = inspect.signature(getattr(stylegan_tf, name))
        assert all(parameter.annotation is not parameter.empty for parameter in signature.parameters.values())
    with pytest.raises(AttributeError, match="no attribute 'Generatr'"):
        stylegan_tf.Generatr  # noqa: B018


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where datasets/demo is, with 64 pictures."""
    folder = tmp_path_factory.mktemp("face")
    source = open_source("demo", SourceOptions(resolution=32, max_images=64))
    write_tfrecords(source, folder / "datasets" / "demo", WriteOptions(shards=1))
    return folder


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", ["stylegan_tf", *stylegan_tf.__all__])
def test_the_example_of_a_docstring_runs(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    thing = importlib.import_module(name) if name == "stylegan_tf" else getattr(stylegan_tf, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(thing, name, globs={})
    assert test.examples
    output = []
    doctest.DocTestRunner().run(test, out=output.append)
    assert output == []
