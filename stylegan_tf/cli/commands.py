"""The commands of the package: their names, modules and summaries, and their completion in bash."""

import ast
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
BASH = r"""
_stylegan_tf() {
    local word=${COMP_WORDS[COMP_CWORD]} words="help configs completion --version COMMANDS"
    if [ "$COMP_CWORD" -gt 1 ] && [ "${COMP_WORDS[1]}" != help ]; then
        words=$(stylegan-tf "${COMP_WORDS[1]}" --helpfull 2>/dev/null |
            sed -nE 's/^  --\[no\]([a-z0-9_]+).*/--\1 --no\1/p; s/^  (--[a-z0-9_]+=).*/\1/p')
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _stylegan_tf stylegan-tf
""".strip()


def commands() -> dict[str, str]:
    """Name -> first line of the docstring. The files are read, not imported: TensorFlow would take seconds."""
    sources = {name: path.read_text(encoding="utf-8") for name, path in sorted(_files().items())}
    return {
        name: (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
        for name, source in sources.items()
        if '\nif __name__ == "__main__":' in source
    }


def module_of(name: str) -> str:
    """The module to run: benchmark_data -> stylegan_tf.benchmark.data."""
    parts = _files()[name].relative_to(_PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__main__")


def _files() -> dict[str, Path]:
    """Of what may be a command: files at the top, and `benchmark`, which has several."""
    found = {path.stem: path for path in _PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    for path in _PACKAGE.glob("benchmark/*.py"):
        found["benchmark" if path.stem == "__main__" else f"benchmark_{path.stem}"] = path
    return found
