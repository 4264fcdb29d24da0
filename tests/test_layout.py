"""The direction of imports, read from the source: config -> ops -> layers -> networks -> training, ... -> mains."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "stylegan_tf").rglob("*.py"))
SCRIPTS = sorted((ROOT / "tools").glob("*.py"))
if not MODULES:
    pytest.skip("the package's source is not beside the tests", allow_module_level=True)


def _name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _imports(path):
    """Full names of everything that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def _is_main(path):
    return re.search(r'^if __name__ == "__main__":', path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def _within(name, *packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


def _offenders(paths, *packages):
    """(module, import) for every import of one of `packages` in `paths`."""
    return [(_name(path), name) for path in paths for name in sorted(_imports(path)) if _within(name, *packages)]


def _modules_in(*parts):
    return [path for path in MODULES if _within(_name(path), *(f"stylegan_tf.{part}" for part in parts))]


def test_the_parser_sees_imports_inside_functions(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("import a.b\ndef f():\n    from c import d\n")
    assert _imports(path) == {"a.b", "c", "c.d"}


@pytest.mark.parametrize(
    "lower, higher",
    [
        (("config", "errors"), ("command_line", "train_flags", "schedule", "losses", "ops", "layers", "networks")),
        (("ops",), ("layers", "networks")),
        (("layers",), ("networks",)),
        (("config", "ops", "layers", "networks"), ("training", "data", "schedule", "losses", "visualize", "metrics")),
        (("schedule", "losses", "data"), ("training", "networks", "layers", "ops", "visualize")),
        (("training", "visualize"), ("train_flags", "command_line")),
    ],
)
def test_imports_point_one_way(lower, higher):
    paths = _modules_in(*lower)
    assert paths
    assert _offenders(paths, *(f"stylegan_tf.{name}" for name in higher)) == []


def test_nothing_imports_a_main():
    mains = [_name(path) for path in MODULES if _is_main(path)]
    assert _offenders(MODULES + SCRIPTS, *mains) == []


def test_only_instance_normalisation_knows_tensorflow_addons():
    importers = {module for module, _ in _offenders(MODULES + SCRIPTS, "tensorflow_addons")}
    assert importers <= {"stylegan_tf.ops.normalisation"}


def test_only_flags_and_mains_import_absl():
    allowed = {"stylegan_tf.cli.command_line"} | {_name(path) for path in MODULES + SCRIPTS if _is_main(path)}
    importers = {module for module, _ in _offenders(MODULES + SCRIPTS, "absl")}
    assert {module for module in importers if not module.endswith("_flags")} <= allowed


def test_options_and_the_schedule_are_free_of_tensorflow():
    assert _offenders(_modules_in("config", "errors", "command_line", "train_flags", "schedule"), "tensorflow") == []


MAINS = [path for path in MODULES + SCRIPTS if _is_main(path)]


@pytest.mark.parametrize("path", MAINS, ids=_name)
def test_help_of_every_main_works_without_tensorflow(path, tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("raise ImportError('--help imported TensorFlow')")
    how = ["-m", _name(path)] if path in MODULES else [str(path)]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, *how, "--help"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)
    missing = re.search(r"No module named '(?!stylegan_tf)(\w+)", result.stderr)
    if missing and path in SCRIPTS:
        pytest.skip(f"a developers' tool that needs {missing[1]}")
    assert (result.returncode, result.stderr) == (0, "")
    summary = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).split("\n")[0]
    assert summary in " ".join(result.stdout.split())
