"""`meshc check --fix`: what does nothing is taken away, where that is proven to change nothing."""

from collections.abc import Mapping

from meshc.cli.arguments import Arguments
from meshc.cli.check import check_once, find_all
from meshc.cli.console import Console, UsageError
from meshc.cli.project import Project, ProjectInvalidError, open_project, relocate, relocate_sources
from meshc.cli.texts import text_difference, write_text
from meshc.files import read_source
from meshc.fixing.apply import fixed_texts
from meshc.fixing.prove import Prover
from meshc.source import SourceFile


def fix(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status: with `--diff`, 1 if there is something to change, else that of the check."""
    if arguments.watch:
        raise UsageError("`--fix` and `--watch` do not go together")
    if arguments.diff and arguments.format != "text":
        raise UsageError("`--diff` prints text; leave `--format` out")
    try:
        project = open_project(arguments.path, console)
    except ProjectInvalidError:
        return 1
    found = find_all(project, arguments)
    fixes = Prover(loaded=project.loaded).proven(found)
    texts = fixed_texts(fixes, project.loaded.sources)
    if arguments.diff:
        _print_differences(project, texts, console)
        return 1 if texts else 0
    for path in texts:
        _check_unchanged(project, path)
    for path, text in texts.items():
        write_text(project.loaded.root / path, text)
    shown = relocate(found, project.loaded.root)
    for one, place in zip(found, shown, strict=True):
        if any(
            edit.span.start <= one.span.start < edit.span.end and edit.span.path == one.span.path
            for each in fixes
            for edit in each.edits
        ):
            console.say(f"fixed: {place.span}: {one.message}")
    return check_once(arguments, console)


def _check_unchanged(project: Project, path: str) -> None:
    """The proof is of the text that was read; an editor may have written another one since."""
    now = read_source(project.loaded.root / path, path)
    if not isinstance(now, SourceFile) or now.text != project.loaded.sources[path].text:
        raise UsageError(f"`{path}` has changed meanwhile; nothing is written, run it again")


def _print_differences(project: Project, texts: Mapping[str, str], console: Console) -> None:
    shown = dict(
        zip(project.loaded.sources, relocate_sources(project.loaded.sources, project.loaded.root).values(), strict=True)
    )
    for path, text in texts.items():
        console.print(text_difference(shown[path], text))
