"""`meshc init`: a small project that compiles."""

from pathlib import Path

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.files import reason
from meshc.scaffold import scaffold


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    directory = arguments.path or Path()
    files = scaffold(directory.resolve().name)
    taken = [name for name, _ in files if (directory / name).exists()]
    if taken:
        raise UsageError(f"`{directory / taken[0]}` exists already; nothing was written")
    try:
        for name, text in files:
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8", newline="") as stream:
                stream.write(text)
            console.print(f"wrote {target}")
    except OSError as error:
        raise UsageError(f"cannot write into `{directory}`: {reason(error)}") from error
    change = "" if directory == Path() else f"cd {directory} && "
    console.say(f"next: {change}meshc check && meshc test")
    return 0
