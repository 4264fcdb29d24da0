"""Completion of `stylegan-tf` in bash: names of commands, then their flags, then files."""

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
