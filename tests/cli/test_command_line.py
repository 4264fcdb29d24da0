"""What a user of any main sees, tried in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from stylegan_tf.cli import command_line
from stylegan_tf.cli.flag_files import expanded, packaged_configs

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = '''
"""Paints a picture.

Second paragraph.
"""

import sys
from stylegan_tf.cli import command_line, flags

FLAGS = flags.FLAGS
with flags.group("Shape"):
    flags.define("resolution", 32, "Width in pixels.")
    flags.define("mode", "plain", "How to paint.", choices=["plain", "fancy"])
with flags.group("Output"):
    flags.define("mirror", False, "Flip it.")
flags.define("alone", None, "Belongs nowhere.", float)

def main():
    if FLAGS.mode == "fancy":
        flags.fail("no fancy\\npaint")
    if FLAGS.resolution == 1:
        raise KeyboardInterrupt
    if FLAGS.resolution == 2:
        raise ValueError("a bug")
    print("painted", FLAGS.resolution)

if __name__ == "__main__":
    command_line.run(main)
'''


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("command_line") / "paint.py"
    path.write_text(SCRIPT)
    return path


def _run(script, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def _assert_one_line(result, line):
    assert (result.returncode, result.stdout, result.stderr) == (1, "", line + "\n")


def test_a_good_call_runs_main_and_exits_with_0(script):
    result = _run(script, "--resolution=64")
    assert (result.returncode, result.stdout, result.stderr) == (0, "painted 64\n", "")


def test_a_misspelt_flag_suggests_the_nearest(script):
    _assert_one_line(_run(script, "--resolutoin=8"), "error: unknown flag --resolutoin; did you mean --resolution?")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_no_flag_takes_a_number_that_is_not_finite(script, value):
    _assert_one_line(_run(script, f"--alone={value}"), f"error: --alone must be a finite number, got {value}.")


def test_a_flag_like_no_other_points_to_the_help(script):
    _assert_one_line(_run(script, "--zzqq"), "error: unknown flag --zzqq; --helpfull lists all flags.")


def test_a_user_error_is_one_line_without_a_traceback(script):
    _assert_one_line(_run(script, "--mode=fancy"), "error: no fancy paint")


def test_a_bug_keeps_its_traceback(script):
    result = _run(script, "--resolution=2")
    assert result.returncode == 1 and "Traceback" in result.stderr and "ValueError: a bug" in result.stderr


def test_ctrl_c_exits_with_130(script):
    result = _run(script, "--resolution=1")
    assert (result.returncode, result.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize("arguments", [["--help"], ["--resolution=64"]])
def test_output_that_nobody_reads_ends_in_silence(script, arguments):
    """As in `... --help | head -1`, when head is gone before the text comes."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), *arguments]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment, timeout=60)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


def test_a_long_help_to_a_closed_pipe_ends_in_silence(script):
    """Longer than Python's buffer: the write itself fails, not the flush at the end."""
    long = script.with_name("long.py")
    long.write_text(SCRIPT.replace("Second paragraph.", "Second paragraph. " * 10_000))
    test_output_that_nobody_reads_ends_in_silence(long, ["--help"])


@pytest.mark.parametrize("arguments", [["--help"], ["--resolution=64"], ["-m", "stylegan_tf"]])
def test_output_to_a_full_disk_is_one_line(script, arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *([] if "-m" in arguments else [str(script)]), *arguments]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, timeout=60)
    line = "error: No space left on device: free some space, and run the same command again.\n"
    assert (result.returncode, result.stderr) == (1, line)


def test_another_broken_pipe_is_a_bug_with_its_traceback(script):
    broken = script.with_name("broken.py")
    broken.write_text(SCRIPT.replace('ValueError("a bug")', 'BrokenPipeError("a worker is gone")'))
    result = _run(broken, "--resolution=2")
    assert result.returncode == 1 and "BrokenPipeError: a worker is gone" in result.stderr


def test_a_value_of_the_wrong_kind_names_the_flag(script):
    result = _run(script, "--resolution=big")
    assert result.returncode == 1 and result.stderr.startswith("error: flag --resolution=big: ")
    assert result.stderr.count("\n") == 1


def test_a_missing_flag_file_is_named(script):
    result = _run(script, "--flagfile=nowhere.cfg")
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: cannot open the flag file ") and "nowhere.cfg" in result.stderr


def test_a_word_that_is_no_flag_is_refused(script):
    result = _run(script, "resolution")
    assert result.returncode == 1 and result.stderr.startswith("error: unexpected argument 'resolution'")


def test_a_flag_without_its_value_is_named(tmp_path):
    path = tmp_path / "paint.py"
    path.write_text(SCRIPT.replace('flags.define("alone"', 'flags.define("seeds", "0", "S.")\nflags.define("alone"'))
    _assert_one_line(_run(path, "--seeds", "--alone", "2"), "error: --seeds has no value: --alone follows.")


def test_which_chooses_from_a_run_folder_only(tmp_path):
    path = tmp_path / "paint.py"
    path.write_text(SCRIPT.replace('flags.define("alone"', 'flags.define_network()\nflags.define("alone"'))
    for network in ("demo", str(path)):
        line = f"error: --which chooses a network of a run folder, and --network={network} is a single one."
        _assert_one_line(_run(path, f"--network={network}", "--which=best"), line)


def test_later_flags_win_over_the_flag_file(script, tmp_path):
    (tmp_path / "a.cfg").write_text("# A comment.\n--resolution=8\n")
    flag_file = f"--flagfile={tmp_path / 'a.cfg'}"
    assert _run(script, flag_file).stdout == "painted 8\n"
    assert _run(script, flag_file, "--resolution=16").stdout == "painted 16\n"


def test_help_shows_the_docstring_and_the_flags_by_group_with_defaults(script, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    result = _run(script, "--help")
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout == textwrap.dedent(
        """\
        Paints a picture.

        Second paragraph.

        Flags:
          --alone=X
              Belongs nowhere.

        Shape:
          --resolution=N
              Width in pixels. (default: 32)
          --mode=plain|fancy
              How to paint. (default: plain)

        Output:
          --[no]mirror
              Flip it. (default: false)

          --flagfile=FILE
              Read flags from FILE, one --name=value per line; flags on the command line take precedence.
        """
    )


def test_the_flags_of_training_do_not_import_tensorflow(script, tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("raise ImportError('imported TensorFlow')")
    training = tmp_path / "training.py"
    # --resolution would be defined twice.
    text = SCRIPT.replace("import sys\n", "from stylegan_tf.cli import training_flags\n").replace(
        'flags.define("resolution"', '("res"'
    )
    training.write_text(text)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, str(training), "--help"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "--learning_rate=X" in result.stdout


@pytest.mark.parametrize(
    "statement, line",
    [
        ("open('/proc/self/nothing')", "error: /proc/self/nothing: No such file or directory: check the name."),
        ("open('/dev/full', 'w').write('x' * 10**6)", "error: No space left on device: free some space, and run "),
        ("open('x' * 300)", "File name too long: choose a shorter name."),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_in_any_command(tmp_path, statement, line):
    path = tmp_path / "paint.py"
    path.write_text(SCRIPT.replace('raise ValueError("a bug")', statement))
    result = _run(path, "--resolution=2")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1) and line in result.stderr


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\xff\xfe-\0-\0", "flags.cfg is not a flag file, which is text: one --name=value a line"),
        (b"\xff\xfe--resolution=3", "unexpected argument"),
        (None, "flags.cfg: Is a directory"),
        (b"--flagfile=%s", "leads back to itself"),
        (b"--flagfile", "--flagfile needs the name of a file"),
        (b"--" + b"x" * 2000, "unknown flag --xxx"),
        (b"#\n--zzqq=1", "flags.cfg, line 2); --helpfull"),
        (b"--resolution=" + b"x" * 2000, "flag --resolution=xxx"),
        (b"resolution=16", "error: unexpected argument 'resolution=16' ("),
        (b"--resolution=16 # small", "'16 # small'; in a flag file a comment takes a line of its own"),
        (b"--resolution 16", "flags.cfg, line 1): a line of a flag file is --name=value"),
    ],
)
def test_a_flag_file_that_is_none_is_one_line(script, tmp_path, content, message):
    path = tmp_path / "flags.cfg"
    path.mkdir() if content is None else path.write_bytes(content.replace(b"%s", str(path).encode()))
    result = _run(script, f"--flagfile={path}")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("error: ") and message in result.stderr


def test_a_wrong_value_names_the_line_of_the_flag_file(script, tmp_path):
    inner, outer = tmp_path / "inner.cfg", tmp_path / "outer.cfg"
    inner.write_text("# Of tests.\n\n--resolution=big\n")
    outer.write_text(f"--flagfile={inner}\n--nomirror\n")
    other = tmp_path / "other.cfg"
    other.write_text("--alone=nan")
    for arguments, start, end in [
        ([f"--flagfile={outer}"], "flag --resolution=big: ", f"({inner}, line 3)."),
        ([f"--flagfile={other}"], "--alone must be a finite number, got nan", f"({other}, line 1)."),
        ([f"--flagfile={other}", "--alone=inf"], "--alone must be a finite number", "got inf."),
    ]:
        result = _run(script, *arguments)
        assert (result.returncode, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.startswith(f"error: {start}") and result.stderr.endswith(f"{end}\n"), result.stderr


def test_names_of_files_may_hold_any_bytes_and_the_home_folder(tmp_path):
    path = tmp_path / "paint.py"
    defined = 'flags.define("place", None, "W.")\nflags.define("places", [], "W.")\n'
    shown = "print(FLAGS.place, *FLAGS.places)"
    script = SCRIPT.replace('print("painted", FLAGS.resolution)', shown)
    path.write_text(script.replace('flags.define("alone"', f'{defined}flags.define("alone"'))
    (tmp_path / "flags.cfg").write_bytes(b"\xef\xbb\xbf--place=\xff \xc3\xa9\r\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii:strict", "HOME": "/home/me"}
    for argument, expected in [
        (f"--flagfile={tmp_path / 'flags.cfg'}", r"\udcff \xe9"),
        ("--place=~/a", "/home/me/a"),
        ("--places=~/a,b~,~/c", "None /home/me/a b~ /home/me/c"),
    ]:
        done = subprocess.run([sys.executable, path, argument], capture_output=True, text=True, env=environment)
        assert (done.returncode, done.stdout) == (0, expected + "\n"), done.stderr


@pytest.mark.parametrize(
    "given, read",
    [
        (["--a=1", "--flagfile=x", "--b"], ["--x", "--a=1", "--b"]),
        (["--a", "1", "--flagfile", "x", "-flagfile=y"], ["--x", "--x", "--y", "--a", "1"]),
    ],
)
def test_flags_come_after_those_of_the_flag_files_that_they_stand_beside(tmp_path, monkeypatch, given, read):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("--x\n")
    (tmp_path / "y").write_text("--y\n--flagfile=x\n")
    assert expanded(given) == read


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e39", "1e400"])
def test_a_number_that_no_tensor_can_hold_is_one_line_in_any_command(script, value):
    result = _run(script, f"--alone={value}")
    assert result.returncode == 1 and result.stderr.startswith("error: --alone must be a finite number, got ")


def test_a_whole_number_of_any_length_is_one_line(script):
    result = _run(script, f"--resolution={10**30}")
    assert result.returncode == 1 and result.stderr.startswith("error: --resolution must fit into 64 bits, got 1000")


def test_options_in_messages_become_the_flags_of_the_command(monkeypatch):
    monkeypatch.setattr(command_line, "_RENAMED", {"source": "verbosity"})
    message = "give `verbosity=1` or `source`, not `nosuch=1`; `A path` stays"
    assert command_line.with_flags(message) == "give --verbosity=1 or --verbosity, not nosuch=1; `A path` stays"


@pytest.mark.parametrize(
    "arguments, mirror",
    [
        (["--mirror=yes"], True),
        (["--mirror", "true"], True),
        (["--mirror", "--alone=1"], True),
        (["--mirror=1"], True),
        (["--mirror", "no"], False),
        (["--nomirror"], False),
        (["--mirror=Off"], False),
    ],
)
def test_yes_and_no_are_taken_for_what_is_on_or_off(tmp_path, arguments, mirror):
    path = tmp_path / "paint.py"
    path.write_text(SCRIPT.replace('print("painted", FLAGS.resolution)', "print(FLAGS.mirror)"))
    result = _run(path, *arguments)
    assert (result.returncode, result.stdout) == (0, f"{mirror}\n"), result.stderr


def test_a_place_that_is_not_there_is_told_before_main_and_a_near_word_is_suggested(script):
    path = script.with_name("placed.py")
    defined = 'flags.define("place", None, "A folder, or `demo`.")\nflags.must_exist("place", "demo")\n'
    path.write_text(SCRIPT.replace('flags.define("alone"', f'{defined}flags.define("alone"'))
    _assert_one_line(_run(path, "--place=dmeo"), "error: --place: dmeo does not exist: did you mean demo?")
    _assert_one_line(_run(path, "--place=a/b"), "error: --place: a/b does not exist: give a folder, or demo.")
    run = path.with_name("a@b")
    run.mkdir()
    for there in ("demo", str(path), "", f"{run}@best"):
        assert _run(path, f"--place={there}").returncode == 0


@pytest.mark.parametrize(
    "which, warning",
    [("99", "run has no network of 99 thousand images, .* that of 12\n"), ("12", ""), ("9" * 5000, "")],
)
def test_another_network_than_the_wanted_one_is_named(tmp_path, monkeypatch, capsys, which, warning):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    for name in ("network-000004.npz", "network-000012.npz", "network-000120.npz", "network-best.npz"):
        Path("run", name).touch()
    command_line._warn_of_another_network(f"run@{which}")
    assert re.fullmatch(warning, capsys.readouterr().err)


def test_keras_computes_with_tensorflow_whatever_the_environment_says(tmp_path):
    path = tmp_path / "show.py"
    path.write_text("""
import os
from stylegan_tf.cli import command_line

if __name__ == "__main__":
    command_line.run(lambda: print(os.environ["KERAS_BACKEND"]))
""")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for backend, line in (("torch", "KERAS_BACKEND is set to tensorflow: the networks need it\n"), ("tensorflow", "")):
        environment["KERAS_BACKEND"] = backend
        result = subprocess.run(
            [sys.executable, str(path)], capture_output=True, text=True, env=environment, timeout=60
        )
        assert (result.stdout, result.stderr) == ("tensorflow\n", line)


def test_help_shows_common_flags_and_helpfull_all_as_wide_as_the_terminal(script, monkeypatch):
    path = script.with_name("common.py")
    path.write_text(SCRIPT.replace("run(main)", 'run(main, common=("mode",))').replace("Flip it.", "Flip it. " * 12))
    short = _run(path, "--help").stdout
    assert "--mode=plain|fancy" in short and "--resolution" not in short and "--helpfull lists all 4 flags" in short
    for columns, widest in (("60", 59), ("140", 139)):
        monkeypatch.setenv("COLUMNS", columns)
        lines = _run(path, "--helpfull").stdout.splitlines()
        assert widest - 10 < max(map(len, lines)) <= widest and any("--resolution=N" in line for line in lines)


def test_a_command_ends_well_where_stdout_is_closed(script):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = {"capture_output": True, "text": True, "env": environment, "timeout": 60}
    closed = subprocess.run(["sh", "-c", f'"{sys.executable}" "{script}" >&-'], **run)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_flag_file_of_the_package_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("demo.cfg", "configs/demo.cfg"):
        assert "--resolution=32" in expanded([f"--flagfile={name}"])
    (tmp_path / "demo.cfg").write_text("--resolution=64\n")
    assert expanded(["--flagfile=demo.cfg"]) == ["--resolution=64"]
    assert packaged_configs()["demo.cfg"].startswith("Voxel figures") and "paper/table1_a.cfg" in packaged_configs()


def test_a_crash_while_tensorflow_is_imported_says_where(tmp_path, monkeypatch):
    (tmp_path / "tensorflow.py").write_text("import os; os.abort()")
    script = tmp_path / "script.py"
    script.write_text(
        "from stylegan_tf.cli import command_line\n\ndef main():\n    import tensorflow\n\ncommand_line.run(main)\n"
    )
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    result = _run(script)
    assert result.returncode == -signal.SIGABRT and "Aborted" in result.stderr and "tensorflow.py" in result.stderr


@pytest.mark.parametrize("level, lines", [(None, ["numpy is too new"]), ("0", ["I0000 00:00:17", "numpy is too new"])])
def test_tensorflow_is_imported_without_its_chatter_and_with_its_errors(tmp_path, monkeypatch, level, lines):
    """A package of that name: not all versions chatter, and none fails here."""
    (tmp_path / "tensorflow.py").write_text(
        "import os; os.write(2, b'I0000 00:00:17 cuda\\nnumpy is too new\\n'); raise ImportError('no AVX')"
    )
    script = tmp_path / "script.py"
    script.write_text(
        "from stylegan_tf.cli import command_line\n\ndef main():\n    import tensorflow\n\ncommand_line.run(main)\n"
    )
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    if level:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    result = _run(script)
    written = result.stderr.splitlines()
    assert result.returncode == 1 and written[-1] == "ImportError: no AVX"
    assert [line[: len(start)] for line, start in zip(written, lines)] == lines and written[len(lines)][
        :9
    ] == "Traceback"
