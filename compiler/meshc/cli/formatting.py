"""`meshc fmt`: the one layout."""

import os
import sys
from pathlib import Path

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.cli.project import ProjectInvalidError, find_project_directory, read_project_config
from meshc.cli.texts import text_difference, write_text
from meshc.diagnostics import Diagnostic
from meshc.files import decode_source, read_source
from meshc.format import format_source
from meshc.load import CONFIG_NAME


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    if arguments.paths == ("-",):
        return _format_input(arguments, console)
    if "-" in arguments.paths:
        raise UsageError("`-` stands alone: standard input and files do not mix")
    failed = changed = 0
    try:
        files = _files(arguments.paths, console)
    except ProjectInvalidError:
        return 1
    for file in files:
        outcome = _format_file(file, arguments, console)
        failed += outcome is None
        changed += outcome is True
    _summarize(len(files), changed, failed, arguments, console)
    return 1 if failed or (changed and (arguments.check or arguments.diff)) else 0


def _summarize(files: int, changed: int, failed: int, arguments: Arguments, console: Console) -> None:
    words = "would change" if arguments.check or arguments.diff else "changed"
    problem = f", {failed} with mistakes left as they are" if failed else ""
    console.say(f"{changed} of {files} file{'' if files == 1 else 's'} {words}{problem}")


def _files(paths: tuple[str, ...], console: Console) -> list[Path]:
    if not paths:
        return _project_files(console)
    files: dict[Path, None] = {}
    for name in paths:
        path = Path(name)
        if path.is_dir():
            files.update(dict.fromkeys(_below(path)))
        elif path.exists() or path.is_symlink():
            files[path] = None
        else:
            raise UsageError(f"`{name}` does not exist")
    return list(files)


def _project_files(console: Console) -> list[Path]:
    directory = find_project_directory(None)
    if directory is None:
        raise UsageError("no `meshc.yaml` here or above; name files or directories")
    policies = Path(os.path.relpath(directory / read_project_config(directory, console).policies))
    if not policies.exists():
        raise UsageError(
            f"the policies are expected in `{policies}`, which does not exist; `{CONFIG_NAME}` can name another place"
        )
    return _below(policies) if policies.is_dir() else [policies]


def _below(directory: Path) -> list[Path]:
    found: list[Path] = []
    for folder, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if not name.startswith("."))
        found.extend(
            Path(folder, name) for name in sorted(files) if name.endswith(".mesh") and not name.startswith(".")
        )
    return found


def _format_file(file: Path, arguments: Arguments, console: Console) -> bool | None:
    """Whether a file changed, or would; None if it has mistakes or cannot be read."""
    source = read_source(file, file.as_posix())
    if isinstance(source, Diagnostic):
        console.report((source,), {})
        return None
    formatted = format_source(source)
    if formatted.text is None:
        console.report(formatted.diagnostics, {source.path: source})
        return None
    if formatted.text == source.text:
        return False
    if arguments.diff:
        console.print(text_difference(source, formatted.text))
    elif arguments.check:
        console.print(f"would change {file}")
    else:
        write_text(file, formatted.text)
        console.detail(f"changed {file}")
    return True


def _format_input(arguments: Arguments, console: Console) -> int:
    source = decode_source(sys.stdin.buffer.read(), "<stdin>")
    if isinstance(source, Diagnostic):
        console.report((source,), {})
        return 1
    formatted = format_source(source)
    if formatted.text is None:
        console.report(formatted.diagnostics, {source.path: source})
        return 1
    changed = formatted.text != source.text
    if arguments.diff:
        console.print(text_difference(source, formatted.text))
    elif not arguments.check:
        console.print(formatted.text)
    return 1 if changed and (arguments.check or arguments.diff) else 0
