"""Silence: `# meshc: allow(name)` on the line before silences a warning, and only a warning."""

import re
from collections.abc import Mapping, Sequence

from meshc.diagnostics import RULES, Diagnostic, Severity, diagnose
from meshc.source import Span
from meshc.suggest import closest

Comments = Mapping[str, Sequence[tuple[str, Span]]]
"""The comments of each file, with their text from `#` on."""

_ALLOW = re.compile(r"#+\s*meshc:\s*(.*?)\s*$")
_NAMES = re.compile(r"allow\(\s*([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)\s*\)")


def suppress(diagnostics: Sequence[Diagnostic], comments: Comments, *, complete: bool) -> tuple[Diagnostic, ...]:
    """Take out the warnings that comments silence, and report comments that silence nothing.

    `complete` says that all lints have run; otherwise a comment may be right although nothing was found yet.
    """
    allowed: dict[tuple[str, int, str], Span] = {}
    found: list[Diagnostic] = []
    for path, listed in comments.items():
        for text, span in listed:
            for name in _silenced(text, span, found):
                allowed[(path, span.line + 1, name)] = span
    used: set[tuple[str, int, str]] = set()
    kept = [one for one in diagnostics if not _is_silent(one, allowed, used)]
    if complete:
        found.extend(
            _unused(name, span) for (path, line, name), span in allowed.items() if (path, line, name) not in used
        )
    return (*kept, *found)


def _is_silent(
    diagnostic: Diagnostic, allowed: Mapping[tuple[str, int, str], Span], used: set[tuple[str, int, str]]
) -> bool:
    key = (diagnostic.span.path, diagnostic.span.line, diagnostic.name)
    if diagnostic.severity is not Severity.WARNING or key not in allowed:
        return False
    used.add(key)
    return True


def _silenced(text: str, span: Span, found: list[Diagnostic]) -> tuple[str, ...]:
    """The names that a comment silences; one that is addressed to meshc and not understood is reported."""
    addressed = _ALLOW.fullmatch(text)
    if addressed is None:
        return ()
    match = _NAMES.fullmatch(addressed[1])
    if match is None:
        advice = "write `# meshc: allow(unused-declaration)`"
        found.append(diagnose("unused-suppression", span, "this comment to meshc is not understood", advice=advice))
        return ()
    names = tuple(name.strip() for name in match[1].split(","))
    known = []
    for name in names:
        if name not in RULES:
            near = closest(name, RULES)
            advice = f"did you mean `{near}`?" if near else "`meshc docs` lists them"
            found.append(diagnose("unused-suppression", span, f"there is no diagnostic `{name}`", advice=advice))
        elif RULES[name].severity is Severity.ERROR:
            found.append(diagnose("unused-suppression", span, f"`{name}` is an error, which no comment silences"))
        else:
            known.append(name)
    return tuple(known)


def _unused(name: str, span: Span) -> Diagnostic:
    advice = "remove it, or put it on the line right before the warning"
    return diagnose("unused-suppression", span, f"nothing on the next line is reported as `{name}`", advice=advice)
