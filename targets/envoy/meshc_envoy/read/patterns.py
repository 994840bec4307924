r"""Regular expressions whose meaning is plain from how they are written: literals, templates of paths, values with blanks.

Everything here is an equivalence that holds by the syntax of RE2 alone. What is not recognized stays a regular expression.
"""

import re
from typing import Final

from meshc import ir

_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")
_BLANKS: Final = r"[ \t]*"
_ANY: Final = r"\C*"
_ANY_SPELLINGS: Final = frozenset({r"\C*", r"(?s:.*)", r"(?s).*", ".*"})
_REST: Final = r"(?:/\C*)?"
_STEP: Final = re.compile(r"/(?:(?P<one>\[\^/\]\+)|(?P<text>(?:\\[^0-9A-Za-z]|[^\\.+*?()|\[\]{}^$/])*))")


def quoted(text: str) -> str:
    """A regular expression for exactly this text."""
    return "".join(f"\\{one}" if one in _SPECIAL else one for one in text)


def literal(pattern: str) -> str | None:
    """The only text that a regular expression matches, if it is written as one."""
    found: list[str] = []
    at = 0
    while at < len(pattern):
        one = pattern[at]
        if one == "\\":
            at += 1
            if at == len(pattern) or pattern[at].isalnum():
                return None
            found.append(pattern[at])
        elif one in _SPECIAL:
            return None
        else:
            found.append(one)
        at += 1
    return "".join(found)


def is_anything(pattern: str) -> bool:
    """Whether it matches every text (what is no UTF-8, or has line breaks, cannot be in a header)."""
    return pattern in _ANY_SPELLINGS


def alternatives(pattern: str) -> tuple[str, ...] | None:
    """The literals that `a|b|c` is made of."""
    found: list[str] = []
    for part in re.split(r"(?<!\\)\|", pattern):
        text = literal(part)
        if text is None:
            return None
        found.append(text)
    return tuple(found)


def unwrapped(pattern: str, opening: str = "(?:") -> str | None:
    """What is inside a group that is all of the pattern."""
    if not pattern.startswith(opening) or not pattern.endswith(")"):
        return None
    depth, at, in_class = 1, len(opening), False
    while at < len(pattern):
        one = pattern[at]
        if one == "\\":
            at += 1
        elif in_class:
            in_class = one != "]"
        elif one == "[":
            in_class = True
            at += pattern[at + 1 : at + 2] == "^"
            # A bracket that comes first in a class is one of its members.
            at += pattern[at + 1 : at + 2] == "]"
        elif one == "(":
            depth += 1
        elif one == ")":
            depth -= 1
            if depth == 0:
                return pattern[len(opening) : at] if at == len(pattern) - 1 else None
        at += 1
    return None


def header_test(test: ir.TextTest) -> ir.TextTest:
    """The same test of a value that has no blanks at its ends, which is what the language sees of it."""
    if not isinstance(test, ir.Matches):
        return test
    pattern = test.pattern
    if is_anything(pattern):
        return ir.IsPresent()
    if pattern.startswith(_BLANKS) and pattern.endswith(_BLANKS) and len(pattern) >= 2 * len(_BLANKS):
        inner = pattern[len(_BLANKS) : -len(_BLANKS)]
        if (body := unwrapped(inner)) is not None:
            return ir.Matches(body)
        return _blank_tolerant(inner) or test
    if pattern.startswith(_BLANKS) and pattern.endswith(_ANY):
        text = literal(pattern[len(_BLANKS) : -len(_ANY)])
        return ir.StartsWith(text) if text is not None and not text[:1].isspace() else test
    if pattern.startswith(_ANY) and pattern.endswith(_BLANKS):
        text = literal(pattern[len(_ANY) : -len(_BLANKS)])
        return ir.EndsWith(text) if text is not None and not text[-1:].isspace() else test
    return test


def _blank_tolerant(inner: str) -> ir.TextTest | None:
    text = literal(inner)
    if text is not None:
        return ir.Equals(text) if text == text.strip(" \t") else None
    more, other = r"\C*[^ \t]", r"[^ \t]\C*"
    if inner.endswith(more) and (text := literal(inner[: -len(more)])) is not None:
        # Something follows that is no blank, so the literal may end in blanks; it may not be all of the value.
        return ir.StartsWith(text) if text[-1:].isspace() and not text[:1].isspace() else None
    if inner.startswith(other) and (text := literal(inner[len(other) :])) is not None:
        return ir.EndsWith(text) if text[:1].isspace() and not text[-1:].isspace() else None
    return None


def text_test(test: ir.TextTest) -> ir.TextTest:
    """The same test, of a text that is there."""
    if isinstance(test, ir.Matches) and is_anything(test.pattern):
        return ir.IsPresent()
    if isinstance(test, ir.Matches) and (text := literal(test.pattern)) is not None:
        return ir.Equals(text)
    return test


def path_pattern(test: ir.TextTest) -> ir.PathPattern:
    """The test of a path as a pattern of the language."""
    match test:
        case ir.Equals(value):
            return ir.ExactPath(value)
        case ir.StartsWith(value):
            return ir.ANY_PATH if value in {"", "/"} else ir.RegexPath(quoted(value) + _ANY)
        case ir.EndsWith(value):
            return ir.RegexPath(_ANY + quoted(value))
        case ir.IsPresent():
            return ir.ANY_PATH
        case ir.Matches(pattern):
            return _template(pattern) or ir.RegexPath(pattern)


def _template(pattern: str) -> ir.PathPattern | None:
    if pattern in {r"/\C*", *_ANY_SPELLINGS}:
        return ir.ANY_PATH
    rest = pattern.endswith(_REST)
    stem = pattern.removesuffix(_REST)
    steps: list[str | None] = []
    at = 0
    while at < len(stem):
        found = _STEP.match(stem, at)
        if found is None:
            return None
        steps.append(None if found["one"] else literal(found["text"]))
        at = found.end()
    if not rest and None not in steps:
        return ir.ExactPath("".join(f"/{one}" for one in steps)) if steps else None
    names = tuple(f"p{place}" for place, one in enumerate(steps, start=1) if one is None)
    return ir.TemplatePath(tuple(steps), names, rest=rest)


_FOLDED_CLASSES: Final = re.compile(r"[A-Z]|\[:|\\[pPxQ0-7]")


_CASELESS: Final = re.compile(r"\\[dDsSwWbBAzC]")


def uncased(pattern: str) -> str:
    """The same for texts in lower case, of a pattern in `(?i:…)`."""
    inner = unwrapped(pattern, "(?i:")
    if inner is None or _FOLDED_CLASSES.search(_CASELESS.sub("", inner)):
        return pattern
    return inner


_CASELESS_PARTS: Final = re.compile(r"\\[CdDsSwW]|\\[^A-Za-z0-9]|\[\^?(?:[^A-Za-z0-9\]\\-]|0-9|\\[\]\[.-])*\]")


def minds_case(test: ir.TextTest) -> bool:
    """Whether a text in capital letters may fare otherwise than one in small letters; if in doubt, it does."""
    match test:
        case ir.IsPresent():
            return False
        case ir.Matches(pattern):
            rest = _CASELESS_PARTS.sub("", _without_folded(pattern))
            return any(one.isalpha() or one in "[\\" for one in rest)
        case _:
            return True


def _without_folded(pattern: str) -> str:
    """The pattern without its groups `(?i:…)`."""
    at = pattern.find("(?i:")
    while at >= 0:
        ends = (end for end in range(at + 5, len(pattern) + 1) if unwrapped(pattern[at:end], "(?i:") is not None)
        end = next(ends, None)
        if end is None:
            return pattern
        pattern = pattern[:at] + pattern[end:]
        at = pattern.find("(?i:")
    return pattern


_PORT: Final = "(?::[0-9]+)?"
_DIGITS: Final = ":[0-9]+"
_NO_PORT: Final = r"[^:]*|\[[^\]]*\]"
_BEFORE: Final = r"(?:[^:]*|\[[^\]]*)"
_BAD_HOSTS: Final = frozenset(
    {r"\C*[,@]\C*|[^\[:]*:(?:\C*[^0-9]\C*)?|\[[^\]]*\](?:[^:]\C*|:(?:\C*[^0-9]\C*)?)"},
)
_ODD_PATHS: Final = frozenset({r"\C*/\.\.?;\C*"})
_BLANK_ENDS: Final = r"[ \t]\C*|\C*[ \t]"


def host_test(test: ir.TextTest, *, ignores_case: bool, is_outbound: bool) -> ir.TextTest | None:
    """A test of an authority as one of a host, lower-cased and without a port; None if no such host passes.

    Outbound, Envoy sees the port that the application wrote behind the host; here it wrote none.
    """
    match test:
        case ir.Equals(value) | ir.StartsWith(value) | ir.EndsWith(value):
            return type(test)(value.lower()) if ignores_case else test
        case ir.IsPresent():
            return test
        case ir.Matches(pattern):
            if pattern in _BAD_HOSTS:
                return None
            plain = uncased(pattern)
            return _bare_host(plain, pattern) if is_outbound else text_test(ir.Matches(plain))


def _bare_host(plain: str, pattern: str) -> ir.TextTest | None:
    if plain.endswith(_PORT):
        stem = plain.removesuffix(_PORT)
        if stem.startswith(_BEFORE) and (text := literal(stem[len(_BEFORE) :])) is not None:
            return ir.EndsWith(text)
        text = literal(stem)
        return ir.Equals(text) if text is not None else ir.Matches(f"(?:{stem})")
    if plain.endswith(_DIGITS) and unwrapped(plain.removesuffix(_DIGITS)) is not None:
        return None
    if _NO_PORT in {plain, pattern}:
        return ir.IsPresent()
    return text_test(ir.Matches(plain))


def names_ports(test: ir.TextTest) -> bool:
    """Whether a test of an authority has something to do with ports."""
    value = test.pattern if isinstance(test, ir.Matches) else getattr(test, "value", "")
    return ":" in str(value).replace("(?:", "").replace("(?i:", "")


def bears_a_dot(test: ir.TextTest) -> bool:
    """Whether a server name fares alike with a dot at its end and without; if in doubt, it does not."""
    match test:
        case ir.Matches(pattern):
            return pattern.endswith(r"\.?") or pattern in {r"\C+", ".+"} or is_anything(pattern)
        case ir.StartsWith(value):
            return not value.endswith(".")
        case _:
            return isinstance(test, ir.IsPresent)


def is_odd_path(test: ir.TextTest) -> bool:
    r"""Whether only paths with a dot segment that has parameters pass; of these the language promises nothing."""
    return isinstance(test, ir.Matches) and test.pattern in _ODD_PATHS


def is_blank_at_an_end(test: ir.TextTest) -> bool:
    """Whether only values with a blank at an end pass, which HTTP forbids and the language trims."""
    return isinstance(test, ir.Matches) and test.pattern == _BLANK_ENDS


def query_test(pattern: str) -> ir.QueryIs | None:
    r"""The test of the first value of a parameter that a regular expression over the whole target makes.

    The form: whatever has no `?`, then `?`, then parameters of other names, then the name with a value, then the rest.
    """
    head, tail = r"[^?]*\?(?:", r"(?:&\C*)?"
    if not pattern.startswith(head) or not pattern.endswith(tail):
        return None
    skipped, found, wanted = pattern[len(head) : -len(tail)].partition(")*")
    while found:
        if skipped.endswith("&"):
            for name, test in _named(wanted):
                if skipped == f"{_other(name)}&":
                    return ir.QueryIs(name, test)
        more, found, wanted = wanted.partition(")*")
        skipped = f"{skipped})*{more}"
    return None


def _named(wanted: str) -> list[tuple[str, ir.TextTest]]:
    found: list[tuple[str, ir.TextTest]] = []
    tails: tuple[tuple[str, ir.TextTest], ...] = ((r"(?:=[^&]*)?", ir.IsPresent()), ("=?", ir.Equals("")))
    found += [
        (text, test)
        for tail, test in tails
        if wanted.endswith(tail) and (text := literal(wanted.removesuffix(tail))) is not None
    ]
    stem, equals, value = wanted.partition("=")
    name = literal(stem)
    if equals and name is not None:
        if value.endswith("[^&]*") and (text := literal(value.removesuffix("[^&]*"))) is not None:
            found.append((name, ir.StartsWith(text)))
        if value.startswith("[^&]*") and (text := literal(value.removeprefix("[^&]*"))) is not None:
            found.append((name, ir.EndsWith(text)))
        if (text := literal(value)) is not None and text:
            found.append((name, ir.Equals(text)))
    return found


def _other(name: str) -> str:
    """A parameter that is not called so: it ends before, differs in a letter, or goes on."""
    expression = "[^&=][^&]*"
    for one in reversed(name):
        excluded = "\\-" if one == "-" else one
        expression = f"(?:=[^&]*|[^&={excluded}][^&]*|{quoted(one)}{expression})?"
    return expression
