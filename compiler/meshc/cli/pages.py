"""`meshc docs`: the pages of diagnostics and of the language, in the terminal."""

from pathlib import Path

import meshc
from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.diagnostics import RULES
from meshc.suggest import closest

_KINDS = ("diagnostics", "language")


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    if arguments.name is None:
        console.print(_listing())
        return 0
    for kind in _KINDS:
        page = pages_directory() / kind / f"{arguments.name}.md"
        if arguments.name in _names(kind):
            console.print(page.read_text(encoding="utf-8"))
            return 0
    near = closest(arguments.name, [name for kind in _KINDS for name in _names(kind)])
    raise UsageError(
        f"there is no page `{arguments.name}`" + (f"; did you mean `{near}`?" if near else "; `meshc docs` lists them")
    )


def pages_directory() -> Path:
    """Where the pages are: in the installed package, or in the repository it runs from."""
    package = Path(meshc.__file__).parent
    installed = package / "pages"
    return installed if installed.is_dir() else package.parents[1] / "docs"


def _names(kind: str) -> tuple[str, ...]:
    return tuple(sorted(page.stem for page in (pages_directory() / kind).glob("*.md")))


def _listing() -> str:
    lines = ["The language:"]
    lines += [f"  {name}" for name in _names("language")]
    lines += ["", "Diagnostics:"]
    width = max(len(name) for name in RULES)
    lines += [f"  {name:<{width}}  {rule.severity.value:<7}  {rule.summary}" for name, rule in sorted(RULES.items())]
    return "\n".join(lines)
