"""The console: results to standard output, everything else to standard error."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshc.diagnostics import Diagnostic
from meshc.source import SourceFile

if TYPE_CHECKING:
    from meshc.diagnostics.render import ColorChoice


class UsageError(Exception):
    """The command line or the environment is wrong; the text is meant for the user. Exit status 2."""


def drop_output() -> None:
    """Let results go nowhere, once whoever reads them has seen enough. Without this, Python complains when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Where a command speaks. `color` is `auto`, `always` or `never`."""

    color: "ColorChoice"
    quiet: bool
    verbose: bool

    @classmethod
    def for_terminal(cls, color: "ColorChoice", *, quiet: bool, verbose: bool) -> "Console":
        """The console of a process."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                # A terminal that cannot show a character shows its escape; it must not stop the command.
                stream.reconfigure(errors="backslashreplace")
        return cls(color=color, quiet=quiet, verbose=verbose)

    def print(self, text: str) -> None:
        """Print a result."""
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")

    def say(self, text: str) -> None:
        """Tell the user what is being done, unless told to be quiet."""
        if not self.quiet:
            sys.stderr.write(text + "\n")

    def detail(self, text: str) -> None:
        """Tell the user more than usual."""
        if self.verbose:
            sys.stderr.write(text + "\n")

    def complain(self, text: str) -> None:
        """Tell the user what is wrong."""
        sys.stderr.write(f"meshc: {text}\n")

    def complain_internal(self, error: BaseException) -> None:
        """Tell the user that the fault is ours, and what to report."""
        from meshc._version import __version__  # noqa: PLC0415  on failures alone

        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f" at {os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}" if place else ""  # noqa: PTH119
        self.complain(
            f"this is a mistake in meshc, not in your files\n"
            f"  {type(error).__name__}: {error}{where}\n"
            f"  please report it with the input and this line: meshc {__version__}, Python {sys.version.split()[0]}\n"
            f"  MESHC_DEBUG=1 shows the whole traceback"
        )

    def colors(self, stream: str) -> bool:
        """Whether to colour what goes to `stdout` or `stderr`."""
        from meshc.diagnostics.render import choose_style  # noqa: PLC0415  rendering is not always needed

        terminal = sys.stdout if stream == "stdout" else sys.stderr
        return choose_style(self.color, os.environ, is_terminal=terminal.isatty()).color

    def report(self, diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceFile]) -> None:
        """Show diagnostics with their source on standard error; warnings too, unless told to be quiet."""
        from meshc.diagnostics import Severity  # noqa: PLC0415
        from meshc.diagnostics.render import choose_style, render_text, summary  # noqa: PLC0415

        shown = [one for one in diagnostics if one.severity is Severity.ERROR or not self.quiet]
        if not shown:
            return
        style = choose_style(self.color, os.environ, is_terminal=sys.stderr.isatty())
        sys.stderr.write(render_text(shown, sources, style))
        sys.stderr.write(summary(shown) + "\n")
