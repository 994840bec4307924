"""`meshc completion`: scripts that complete commands and options, made from the parser itself."""

import argparse

from meshc.cli.arguments import Arguments
from meshc.cli.command_line import build_parser
from meshc.cli.console import Console


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    options = command_options()
    match arguments.name:
        case "bash":
            console.print(_bash(options))
        case "zsh":
            console.print("autoload -Uz bashcompinit && bashcompinit\n" + _bash(options))
        case _:
            console.print(_fish(options))
    return 0


def command_options() -> dict[str, tuple[str, ...]]:
    """The long options of each command, with the words that they take."""
    found: dict[str, tuple[str, ...]] = {}
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, parser in action.choices.items():
                options = [one for item in parser._actions for one in item.option_strings if one.startswith("--")]
                words = [str(word) for item in parser._actions for word in item.choices or ()]
                found[name] = tuple(sorted({*options, *words}))
    return found


def _bash(options: dict[str, tuple[str, ...]]) -> str:
    cases = "\n".join(f'    {name}) words="{" ".join(listed)}" ;;' for name, listed in sorted(options.items()))
    return f"""_meshc() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then words="{" ".join(sorted(options))} --help --version"; else
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -f -- "$word"))
}}
complete -o filenames -F _meshc meshc
"""


def _fish(options: dict[str, tuple[str, ...]]) -> str:
    lines = [f"complete -c meshc -n __fish_use_subcommand -a {name}" for name in sorted(options)]
    for name, listed in sorted(options.items()):
        for word in listed:
            kind = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
            lines.append(f"complete -c meshc -n '__fish_seen_subcommand_from {name}' {kind}")
    return "\n".join(lines) + "\n"
