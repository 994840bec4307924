"""Path patterns: from spelling to an `ir.PathPattern`, refusing what no request's path can ever be.

Requests are judged on their normalized path (`meshc.semantics.normalize`), so a literal that normalization would change
would match nothing: it is an error here, with the spelling that would match.
"""

import re

import re2

from meshc.ir import ANY_PATH, ExactPath, PathPattern, RegexPath, TemplatePath

MAX_REGEX_PROGRAM = 1000
"""The largest RE2 program that compiled configurations may hold; the emitters raise a proxy's own limit to it."""

_PLAIN = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
"""Segments with nothing in them that could be wrong."""
_CAPTURE = re.compile(r"\{([a-z_][a-z0-9_-]*)\}")
_COLON = re.compile(r":[A-Za-z_][A-Za-z0-9_-]*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_MUST_ESCAPE = frozenset('"<>^{|}`')


class PatternError(ValueError):
    """A pattern that is malformed or can match no request; `advice` says how to mend it."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


def read_path_pattern(text: str) -> PathPattern:
    """Understand a path pattern. Raises PatternError."""
    if not text.startswith("/"):
        raise PatternError(f"`{text}` is not a path", f"paths start with a slash: `/{text}`")
    if text == "/**":
        return ANY_PATH
    if any(mark in text for mark in "?#"):
        mark = "?" if "?" in text else "#"
        raise PatternError(f"`{mark}` is no part of a path", _MARK_ADVICE[mark])
    parts = text[1:].split("/")
    rest = parts[-1] == "**"
    if rest:
        parts.pop()
    segments = tuple(_segment(part, text, last=i == len(parts) - 1 and not rest) for i, part in enumerate(parts))
    names = tuple(match[1] for part in parts if (match := _CAPTURE.fullmatch(part))) if "{" in text else ()
    for name in names:
        if names.count(name) > 1:
            raise PatternError(f"`{{{name}}}` stands twice in one path", "give each capture a name of its own")
    if rest or names:
        return TemplatePath(segments, names, rest)
    return ExactPath(text)


_MARK_ADVICE = {
    "?": 'test query parameters with `when query "name" == "value"`',
    "#": "a fragment never reaches a server; to start a comment, put a space before `#`",
}


def _segment(part: str, text: str, *, last: bool) -> str | None:
    if _PLAIN.fullmatch(part):
        return part
    if part.endswith(";"):
        raise PatternError(f"`{text}` ends in `;`, which would be part of the path", "statements end without a `;`")
    if _COLON.fullmatch(part):
        raise PatternError(f"`{part}` is no capture", f"write `{{{part[1:].lower()}}}`")
    if _CAPTURE.fullmatch(part):
        return None
    if part == "**":
        raise PatternError("`**` may stand at the end of a path alone", "use `{name}` for one segment in the middle")
    if "{" in part or "}" in part:
        raise PatternError(f"`{part}` mixes a capture with other text", _BRACE_ADVICE)
    if "*" in part:
        raise PatternError(
            f"`{part}` holds a `*`", 'use `{name}` for one whole segment, a final `/**` for all below, or `re"…"`'
        )
    if part == "" and not last:
        raise PatternError(
            f"`{text}` holds an empty segment", "repeated slashes are merged before a path is judged: write one"
        )
    _refuse_dots(part)
    _refuse_unnormalized(part)
    return part


_BRACE_ADVICE = 'a capture `{name}` is one whole segment, named in lower case; for a part of a segment write `re"…"`'


def _refuse_dots(part: str) -> None:
    stem = part.partition(";")[0]
    if stem not in {".", ".."}:
        return
    if stem == part:
        raise PatternError(f"`{part}` is resolved before a path is judged", "write the path that remains")
    raise PatternError(f"proxies disagree on what `{part}` means", "leave out dot segments with parameters")


def _refuse_unnormalized(part: str) -> None:
    for match in _ESCAPE.finditer(part):
        char = chr(int(match[1], 16))
        if char in _UNRESERVED:
            raise PatternError(f"`{match[0]}` is decoded before a path is judged", f"write `{char}`")
        if char in "/\\\0":
            raise PatternError(f"a path with `{match[0]}` is refused with 400", "no rule can match it")
    for at, char in enumerate(part):
        if char == "%" and not _ESCAPE.match(part, at):
            raise PatternError("`%` stands without two hexadecimal digits", "write `%25` for a percent sign")
        if char == "\\":
            raise PatternError("`\\` becomes `/` before a path is judged", "write `/`")
        if char in _MUST_ESCAPE or char <= " " or char == "\x7f":
            raise PatternError(f"`{char}` is escaped before a path is judged", f"write `%{ord(char):02X}`")
        if char > "\x7f":
            escaped = "".join(f"%{byte:02X}" for byte in char.encode())
            raise PatternError(f"`{char}` is not ASCII, as paths are", f"write `{escaped}`")


def read_regex(pattern: str) -> str:
    """Make sure that a pattern is RE2 syntax and small enough for proxies. Raises PatternError.

    The result is the pattern without the anchors at its ends, which add nothing to a match of the whole text; emitters put
    it between other expressions, where they would.
    """
    if not pattern.isascii():
        char = next(one for one in pattern if not one.isascii())
        spelled = "".join(f"\\x{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        raise PatternError(f"expressions match bytes, and `{char}` is several", f"spell it `{spelled}`")
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        re2.compile(pattern.encode(), options)
        # Emitters put patterns between others: one that is not whole, such as an open `\\Q`, must not reach past its end.
        program = re2.compile(f"(?:{pattern})$".encode(), options)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"not a regular expression in RE2 syntax: {text}", _regex_advice(pattern)) from None
    if program.programsize > MAX_REGEX_PROGRAM:
        raise PatternError(
            f"this expression compiles to {program.programsize} instructions, and {MAX_REGEX_PROGRAM} are the most",
            "use smaller repetitions such as `{1,20}`, or `*`",
        )
    return _without_anchors(pattern)


_PIECE = re.compile(r"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\[:[^\]]*:\]|\\.|[^\]\\])*\]|.", re.DOTALL)
_STARTS, _ENDS = ("^", r"\A"), ("$", r"\z")


def _without_anchors(pattern: str) -> str:
    pieces = [match[0] for match in _PIECE.finditer(pattern)]
    while pieces and pieces[0] in _STARTS:
        pieces.pop(0)
    while pieces and pieces[-1] in _ENDS:
        pieces.pop()
    for piece in pieces:
        if piece in (*_STARTS, *_ENDS):
            message = f"`{piece}` stands inside of an expression that matches the whole text anyway"
            raise PatternError(
                message, f"leave it out, or write `\\{piece}` for the character" if piece in "^$" else "leave it out"
            )
    return "".join(pieces)


def _regex_advice(pattern: str) -> str:
    if any(mark in pattern for mark in ("(?=", "(?!", "(?<=", "(?<!")):
        return "RE2 has no look-ahead or look-behind; say it with `and`, `or` and `not`"
    if re.search(r"\\[1-9]", pattern):
        return "RE2 has no back-references"
    return ""


def read_path_regex(pattern: str) -> RegexPath:
    """Understand a regular expression over paths. Raises PatternError."""
    return RegexPath(read_regex(pattern))
