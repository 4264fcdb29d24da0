"""The house rules about what may import what, and where files lie, read from the source."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stylegan_tf import config
from stylegan_tf.config.option import Options, all_options

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "stylegan_tf").rglob("*.py"))
SCRIPTS = sorted((ROOT / "tools").glob("*.py"))
if not MODULES:
    pytest.skip("the package's source is not beside the tests", allow_module_level=True)

# From the lowest row to the highest: what stands in a row imports from rows above it in this list only, not from its
# own. Commands are the highest of all, and nothing imports them.
ORDER = (
    ("deprecated",),
    ("config",),
    ("files",),
    ("ops",),
    ("networks",),
    ("data",),
    ("distribution",),
    ("visualize",),
    ("training", "metrics"),
    ("editing",),
    ("serving", "benchmark", "explorer"),
    ("cli",),
)
MAX_FILES = 12  # In a folder of the package, beside its __init__.py.
# They write flags on purpose: the page shows the command that repeats a picture, a run folder gets its flag file.
WRITE_FLAGS = ("stylegan_tf.explorer.view", "stylegan_tf.training.run.record")
ALONE_AT_THE_TOP = ("deprecated",)  # No commands; everything else there is a folder.
WITHOUT_TENSORFLOW = ("deprecated", "config", "files", "cli", "training.schedule", "data.making")
WITHOUT_TENSORFLOW += ("data.sources",)


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


def _command(path):
    """benchmark/data.py -> benchmark_data"""
    parts = _name(path).split(".")[1:]
    return "_".join(parts).removesuffix("___main__")


def _top_level_names(path):
    """What a module defines or imports, outside its functions and classes."""
    names = set()
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            names.add(statement.name)
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.alias):
                names.add(node.asname or node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def _part(name):
    """stylegan_tf.ops.resampling -> ops; anything outside the package -> None."""
    parts = name.split(".")
    return parts[1] if parts[0] == "stylegan_tf" and len(parts) > 1 else None


def _within(name, *packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


def _offenders(paths, *packages):
    """(module, import) for every import of one of `packages` in `paths`."""
    return [(_name(path), name) for path in paths for name in sorted(_imports(path)) if _within(name, *packages)]


MAINS = [path for path in MODULES + SCRIPTS if _is_main(path)]
LIBRARY = [path for path in MODULES if path not in MAINS and _part(_name(path)) != "cli"]


def _messages(path):
    """(line, text) of the strings of a module that are no docstrings; of f-strings what stands between the braces."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.lineno, node.value


def _calls(path):
    """(line, what is called) of a module, as in `print` and `flags.DEFINE_bool`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Name, ast.Attribute)):
            yield node.lineno, ast.unparse(node)


def test_the_parser_sees_imports_inside_functions(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("import a.b\ndef f():\n    from c import d\n")
    assert _imports(path) == {"a.b", "c", "c.d"}


def test_imports_point_one_way():
    row_of = {part: row for row, parts in enumerate(ORDER) for part in parts}
    upwards = [
        (_name(path), name)
        for path in MODULES
        if not _is_main(path) and _part(_name(path)) in row_of
        for name in sorted(_imports(path))
        if _part(name) not in (None, _part(_name(path))) and row_of[_part(name)] >= row_of[_part(_name(path))]
    ]
    assert upwards == []


def test_no_import_comes_back_to_where_it_started():
    """Not even by way of an import inside a function."""
    paths = {_name(path).removesuffix(".__init__"): path for path in MODULES}
    edges = {}
    for name, path in paths.items():
        found = {to for to in _imports(path) if to in paths and to != name}
        # `from package import module` takes nothing from package/__init__.py.
        edges[name] = {to for to in found if not any(other.startswith(to + ".") for other in found)}
    while edges:  # Modules that import nothing any more go, until only circles are left.
        free = {name for name, targets in edges.items() if not targets}
        assert free, f"circles among {sorted(edges)}"
        edges = {name: targets - free for name, targets in edges.items() if name not in free}


def test_messages_of_the_library_name_options_not_flags():
    exempt = (*WRITE_FLAGS, "stylegan_tf.config")
    found = [
        (_name(path), line, text)
        for path in LIBRARY
        if not _within(_name(path), *exempt)
        for line, text in _messages(path)
        if re.search(r"(?<![\w-])--[a-z]\w+", text)
    ]
    assert found == []


def test_errors_of_the_library_mark_names_of_options():
    """In backquotes, of which commands make flags; an OptionError begins with a name, which needs none.

    Conversion is exempt: its options are those that a file of the authors records.
    """
    kinds = [kind for kind in vars(config).values() if isinstance(kind, type) and issubclass(kind, Options)]
    names = {field.name for kind in kinds for _, field in all_options(kind) if "_" in field.name}
    assert len(names) > 50
    found = []
    for path in MODULES:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for node in () if _within(_name(path), "stylegan_tf.networks.conversion") else nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("UserError", "OptionError"):
                parts = getattr(node.args[0], "values", node.args[:1])
                text = "".join(part.value for part in parts if isinstance(part, ast.Constant))
                text = re.sub("`.*?`", "", text)
                words = re.findall(r"(?<!-)\b\w+", text)[ast.unparse(node.func) == "OptionError" :]
                found += [(_name(path), node.lineno, word) for word in words if word in names]
    assert found == []


def test_the_library_prints_nothing():
    printing = ("print", "sys.stdout", "sys.stderr", "traceback.print_exc")
    found = [(_name(path), line, call) for path in LIBRARY for line, call in _calls(path) if call in printing]
    assert found == []


def test_flags_are_defined_by_cli_alone():
    others = [path for path in MODULES if _part(_name(path)) != "cli"]
    assert [_name(path) for path in others for _, call in _calls(path) if call.startswith("flags.DEFINE")] == []


def test_no_folder_is_crowded():
    folders = {path.parent for path in MODULES} - {ROOT / "stylegan_tf"}
    counts = {str(folder): len([*folder.glob("*.py")]) - 1 for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > MAX_FILES} == {}


def test_every_file_at_the_top_is_a_command_or_named_and_every_folder_has_its_place():
    top = ROOT / "stylegan_tf"
    files = {path.stem for path in top.glob("*.py") if not _is_main(path)}
    assert files == {"__init__", *ALONE_AT_THE_TOP}
    folders = {path.name for path in top.iterdir() if any(path.glob("*.py"))}
    assert folders <= {part for row in ORDER for part in row} - set(ALONE_AT_THE_TOP)


def test_every_name_that_is_imported_is_there():
    """Also inside functions, where no test may come by; read from the source, as importing all of it takes long."""
    paths = {_name(path).removesuffix(".__init__"): path for path in MODULES}
    lacking = [
        (_name(path), f"{node.module}.{alias.name}")
        for path in MODULES + SCRIPTS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and _within(node.module, "stylegan_tf")
        for alias in node.names
        if f"{node.module}.{alias.name}" not in paths
        if node.module not in paths or alias.name not in _top_level_names(paths[node.module])
    ]
    assert lacking == []


def test_nothing_imports_a_main():
    assert _offenders(MODULES + SCRIPTS, *(_name(path) for path in MAINS)) == []


def test_files_that_the_page_on_architecture_names_are_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.(?:py|md))`", text))
    files = [path.relative_to(ROOT) for path in MODULES + sorted((ROOT / "tests").rglob("*.py"))]
    assert len(named) > 30
    assert [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)] == []


def test_only_instance_normalisation_knows_tensorflow_addons():
    importers = {module for module, _ in _offenders(MODULES + SCRIPTS, "tensorflow_addons")}
    assert importers <= {"stylegan_tf.ops.elementwise"}


def test_only_cli_imports_absl():
    assert {_part(module) for module, _ in _offenders(MODULES + SCRIPTS, "absl")} == {"cli"}


def test_what_starts_fast_is_free_of_tensorflow():
    parts = [f"stylegan_tf.{part}" for part in WITHOUT_TENSORFLOW]
    assert _offenders([path for path in MODULES if _within(_name(path), *parts)], "tensorflow") == []


@pytest.mark.parametrize("path", MAINS, ids=_name)
def test_help_of_every_main_works_without_tensorflow(path, tmp_path):
    result = _without_tensorflow(tmp_path, *(["-m", _name(path)] if path in MODULES else [str(path)]), "--help")
    assert (result.returncode, result.stderr) == (0, "")
    if path.parent.name != "stylegan_tf" or path.stem != "__main__":
        assert _summary(path) in " ".join(result.stdout.split())
    names = re.findall(r"^  --(?:\[no\])?(\w+)", result.stdout, re.MULTILINE)
    assert len(names) == len(set(names))


def test_documented_scripts_run_the_commands_of_their_names(tmp_path):
    scripts = [path for path in SCRIPTS if "run_command(__file__)" in path.read_text(encoding="utf-8")]
    assert {"create_tfrecords", "convert_checkpoint"} <= {path.stem for path in scripts}
    for path in scripts:
        assert len(path.read_text(encoding="utf-8").split("\n\n")) <= 3
        assert any(_command(main) == path.stem for main in MAINS)
    script = next(path for path in scripts if path.stem == "inspect_tfrecords")
    helps = [
        _without_tensorflow(tmp_path, *main, "--help") for main in ([script], ["-m", f"stylegan_tf.{script.stem}"])
    ]
    assert helps[0].stdout == helps[1].stdout != "" and helps[0].returncode == 0


def test_one_command_lists_all_and_runs_each(tmp_path):
    commands = {_command(path): path for path in MAINS if path in MODULES}
    del commands["__main__"]  # The list itself.
    listed = _without_tensorflow(tmp_path, "-m", "stylegan_tf")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert re.findall(r"^  (\w+)  ", listed.stdout, re.MULTILINE) == sorted(commands)
    for path in commands.values():
        assert _summary(path) in " ".join(listed.stdout.split())
    ran = _without_tensorflow(tmp_path, "-m", "stylegan_tf", "inspect-tfrecords", "--help")
    assert ran.returncode == 0 and "--data_dir=VALUE" in ran.stdout
    failed = _without_tensorflow(tmp_path, "-m", "stylegan_tf", "train", "--run_dir=r")
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1) and "data_dir is missing" in failed.stderr
    assert _without_tensorflow(tmp_path, "-m", "stylegan_tf", "help", "inspect_tfrecords").stdout == ran.stdout
    version = _without_tensorflow(tmp_path, "-m", "stylegan_tf", "--version").stdout
    assert re.fullmatch(r"stylegan-tf \d+\.\d+\.\d+\S*\n", version)
    listed = _without_tensorflow(tmp_path, "-m", "stylegan_tf", "configs").stdout
    assert re.search(r"^  demo.cfg +Voxel figures", listed, re.MULTILINE)
    completion = _without_tensorflow(tmp_path, "-m", "stylegan_tf", "completion").stdout
    assert " ".join(sorted(commands)) in completion
    assert subprocess.run(["bash", "-n"], input=completion, text=True).returncode == 0
    unknown = _without_tensorflow(tmp_path, "-m", "stylegan_tf", "evalate")
    assert (unknown.returncode, unknown.stderr) == (1, "error: unknown command evalate; did you mean evaluate?\n")


def test_the_list_of_commands_ends_in_silence_when_nobody_reads_on():
    command = [sys.executable, "-m", "stylegan_tf"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def _without_tensorflow(folder, *arguments):
    """Runs Python where TensorFlow cannot be imported."""
    (folder / "tensorflow").mkdir(exist_ok=True)
    (folder / "tensorflow" / "__init__.py").write_text("raise ImportError('--help imported TensorFlow')")
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=60)


def _summary(path):
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).split("\n")[0]
