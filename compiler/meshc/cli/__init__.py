"""The command line: `main` is the entry point of `meshc`.

Errors go to standard error, results to standard output. Exit status: 0 done and nothing wrong, 1 the input has errors, a test
failed or a check found a difference, 2 the command line or the environment is wrong, 3 a fault of meshc's own.
"""

import os
import sys
from collections.abc import Sequence

from meshc.cli.arguments import Arguments, read_arguments
from meshc.cli.console import Console, UsageError, drop_output
from meshc.collector import collect_rarely
from meshc.errors import InternalError
from meshc.files import reason

OK, WRONG, USAGE, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    collect_rarely()
    try:
        return _guarded(read_arguments(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return OK


def _guarded(arguments: Arguments) -> int:
    console = Console.for_terminal(arguments.color, quiet=arguments.quiet, verbose=arguments.verbose)
    try:
        status = _run(arguments, console)
        sys.stdout.flush()
    except UsageError as error:
        console.complain(str(error))
        return USAGE
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except (InternalError, Exception) as error:
        if os.environ.get("MESHC_DEBUG"):
            raise
        problem = _problem_of_environment(error)
        if problem:
            console.complain(problem)
            return USAGE
        console.complain_internal(error)
        return INTERNAL
    return status


def _problem_of_environment(error: Exception) -> str:
    """What is wrong with the environment, if that is what stopped us: no mistake of ours, and none of the program."""
    match error:
        case ModuleNotFoundError(name=str(name)) if not name.startswith("meshc"):
            return f"`{name}`, which meshc needs, is not installed; `pip install meshc` brings it"
        case OSError(filename=str(name)):
            return f"cannot use `{name}`: {reason(error)}"  # too long a name, a full disk, a file that is gone
        case OSError():
            return reason(error)
        case _:
            return ""


def _run(arguments: Arguments, console: Console) -> int:  # noqa: PLR0912 -- a case for each command
    """Import what the command needs, and nothing else: starting fast is part of the command line's contract."""
    match arguments.command:
        case "check":
            from meshc.cli.check import run
        case "compile":
            from meshc.cli.compiling import run
        case "verify":
            from meshc.cli.verifying import run
        case "fmt":
            from meshc.cli.formatting import run
        case "test":
            from meshc.cli.testing import run
        case "decide":
            from meshc.cli.deciding import run
        case "explain":
            from meshc.cli.explaining import run
        case "diff":
            from meshc.cli.differing import run
        case "import":
            from meshc.cli.importing import run
        case "proxy":
            from meshc.cli.proxying import run
        case "run":
            from meshc.cli.running import run
        case "graph":
            from meshc.cli.graphing import run
        case "init":
            from meshc.cli.starting import run
        case "targets":
            from meshc.cli.tables import run
        case "docs":
            from meshc.cli.pages import run
        case "completion":
            from meshc.cli.completion import run
        case command:
            raise InternalError(f"no command `{command}`")
    return run(arguments, console)
