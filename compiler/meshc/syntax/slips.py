"""Common slips, what to say of them, and how to read on as if they had not been made.

Each slip is a function from a stopped run to a `Mend`, or None if it does not fit. The first of `SLIPS` that fits speaks; so a slip
that looks at special characters comes before one that would take nearly any word.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from meshc import ast
from meshc.syntax import explain
from meshc.syntax.mend import Mend, Place
from meshc.syntax.run import Token

Slip = Callable[[Place], Mend | None]

_OPEN_STRING: Final = re.compile(r'(?:re)?"(?:[^"\\\n]|\\[^\n])*\\?(?=\r?$)', re.MULTILINE)
_QUOTED: Final = re.compile(r"'([^'\n]*)'|[“”„«]([^“”«»\n]*)[“”»]|[‘’‚]([^‘’\n]*)[‘’]")
_BLOCK_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_LINE: Final = re.compile(r"[^\n]*")
_OPERATOR: Final = re.compile(r"&&?|\|\||!(?!=)|===|=~|<>|=|==")
_UNQUOTED: Final = re.compile(r"[^\s,(){}\"'#]+")
_WORD: Final = re.compile(r"[A-Za-z0-9_-]+")
_RPC: Final = re.compile(r"[A-Za-z_][\w.]*\.[A-Za-z_]\w*/(?:\*|[A-Za-z_]\w*)(?![\w/.-])")
_UNIT: Final = re.compile(r"(?:ms|s|m|h|d|%|B|KiB|MiB|GiB|KB|MB|kb|mb)(?![\w-])|/\s*[smh]\b")
_PATH: Final = re.compile(r"[\w.~*{}-]+(?:/[\w.~*{}-]*)*")

_OPTION: Final = (
    r"(?:unsafe|(?:per-try|backoff|budget|connections|pending|requests|retries|consecutive-5xx|consecutive-gateway-errors"
    r"|interval|ejection|max-ejected|healthy|unhealthy)\s+[^\s{}]*[0-9$][^\s{}]*)(?![\w-])"
)
_OPTIONS: Final = re.compile(rf"{_OPTION}(?:\s+{_OPTION})*")

_METHODS: Final = frozenset(("get", "head", "post", "put", "patch", "delete", "options", "trace", "grpc", "tcp"))
_SYNONYMS: Final[Mapping[str, str]] = {
    "permit": "allow",
    "accept": "allow",
    "grant": "allow",
    "reject": "deny",
    "forbid": "deny",
    "block": "deny",
    "if": "when",
    "where": "when",
    "unless": "when",
    "contains": "has",
    "retries": "retry",
    "ports": "port",
    "using": "uses",
    "use": "uses",
    "svc": "service",
    "ns": "namespace",
    "weight": "split",
}
_OPERATORS: Final[Mapping[str, tuple[str, str]]] = {
    "&&": ("and", "`and` joins conditions"),
    "&": ("and", "`and` joins conditions"),
    "||": ("or", "`or` joins conditions"),
    "!": ("not", "`not` turns a condition round"),
    "===": ("==", "`==` compares"),
    "=~": ("matches", '`matches re"…"` compares with a pattern'),
    "<>": ("!=", "`!=` is the opposite of `==`"),
    "=": ("==", "`==` compares; a single `=` defines"),
    "==": ("=", "`=` defines; `==` compares"),
}


def _unterminated(at: Place) -> Mend | None:
    start = at.start
    found = at.rest(_OPEN_STRING)
    if found is None:
        return None
    text = found[0].rstrip(" \t\r{}") or found[0]
    if text in ('"', 're"'):
        text = found[0]
    end = start + len(text)
    kind = "REGEX" if text.startswith("re") else "STRING"
    tokens = at.replaced(kind, text.rstrip("\\") + '"', end) if kind in at.expected else ()
    return Mend(
        start=start,
        end=end,
        message="this string is never closed",
        help='close it with `"` on the same line',
        resume=end,
        tokens=tokens,
    )


def _quotes(at: Place) -> Mend | None:
    found = at.rest(_QUOTED)
    if found is None:
        return None
    inner = next(group for group in found.groups() if group is not None)
    double = '"' + inner.replace('"', '\\"') + '"'
    name = "single" if found[1] is not None else "typographic"
    tokens = at.replaced("STRING", double, found.end()) if "STRING" in at.expected else ()
    message = f"{name} quotes do not make a string"
    return at.mend(message, f"write `{double}`", found.end(), tokens)


def _comment(at: Place) -> Mend | None:
    text = at.run.text
    if text.startswith("/*", at.start):
        found = at.rest(_BLOCK_COMMENT)
    elif text.startswith("//", at.start):
        found = at.rest(_LINE)
    else:
        return None
    end = found.end() if found else at.end
    message = f"`{text[at.start : at.start + 2]}` does not start a comment"
    return Mend(
        start=at.start,
        end=at.start + 2,
        message=message,
        help="a comment starts with `#` and ends with its line",
        resume=end,
    )


def _semicolon(at: Place) -> Mend | None:
    if not at.run.text.startswith(";", at.start):
        return None
    end = at.start + 1
    return at.mend("`;` does not end a statement", "leave it out: statements need nothing between them", end)


def _operator(at: Place) -> Mend | None:
    found = at.rest(_OPERATOR)
    if found is None:
        return None
    word, why = _OPERATORS[found[0]]
    if word not in at.expected:
        return None
    if found[0] == "=" and at.run.text.startswith("==", at.start):
        return None
    end = found.end()
    message = f"`{found[0]}` should be `{word}` here"
    return at.mend(message, why, end, at.replaced(word, word, end))


def _double_equals(at: Place) -> Mend | None:
    if at.token.text != "==" or "=" not in at.expected:
        return None
    end = at.start + 2
    word, why = _OPERATORS["=="]
    return at.mend(f"`==` should be `{word}` here", why, end, at.replaced(word, word, end))


def _colon(at: Place) -> Mend | None:
    run = at.run
    if not run.text.startswith(":", at.start) or not run.ends or run.ends[-1] != at.start:
        return None
    before = run.text[run.places[-1][0] : at.start]
    if not before or not _WORD.fullmatch(before):
        return None
    end = at.start + 1
    if "=" in at.expected:
        message, advice = "`:` should be `=` here", "`=` stands between a label's key and value"
        return at.mend(message, advice, end, at.replaced("=", "=", end))
    following = _UNQUOTED.match(run.text, end + (run.text[end : end + 1] == " "))
    advice = f"write `{before} {following[0]}`" if following else "a block stands in `{ … }`"
    return at.mend(f"no `:` stands after `{before}`", advice, end)


def _unit(at: Place) -> Mend | None:
    found = at.rest(_UNIT)
    last = at.last()
    if (
        found is None
        or not isinstance(last, ast.Quantity)
        or not at.is_on_line_of_last()
        or not last.text[-1].isdigit()
    ):
        return None
    unit = found[0].replace(" ", "")
    whole = last.text + unit
    run = at.run
    run.values[-1] = ast.Quantity(text=whole, span=last.span)
    run.ends[-1] = found.end()
    message = "a number and its unit are one word"
    return Mend(start=last.span.start, end=found.end(), message=message, help=f"write `{whole}`", resume=found.end())


def _rpc(at: Place) -> Mend | None:
    found = at.rest(_RPC)
    if found is None or "rpc" not in at.expected:
        return None
    end = found.end()
    rpc = Token(kind="rpc", text="rpc", start=at.start, end=at.start)
    tokens = (rpc, *at.replaced("RPC", found[0], end))
    message = f"`rpc` is missing before {explain.shown(found[0])}"
    return at.mend(message, f"write `rpc {found[0]}`", end, tokens)


def _method(at: Place) -> Mend | None:
    run = at.run
    glued = bool(run.ends) and run.ends[-1] == at.start and isinstance(at.last(), ast.Name | tuple)
    start = run.places[-1][0] if glued else at.start
    found = _WORD.match(run.text, start)
    if found is None or found[0].lower() not in _METHODS or found[0].isupper():
        return None
    upper, end = found[0].upper(), found.end()
    message, advice = "a method is written in capitals", f"write `{upper}`"
    if not glued:
        if "METHOD" not in at.expected:
            return None
        return Mend(
            start=start, end=end, message=message, help=advice, resume=end, tokens=at.replaced("METHOD", upper, end)
        )
    return Mend(start=start, end=end, message=message, help=advice, resume=end, is_invented=True)


def _name(at: Place) -> Mend | None:
    """A name with capitals or underscores; its first letters may already have been taken as a name."""
    run = at.run
    start = at.start
    while start and (run.text[start - 1].isalnum() or run.text[start - 1] in "_-"):
        start -= 1
    found = _WORD.match(run.text, start)
    if (
        found is None
        or found[0] == found[0].lower().replace("_", "-")
        or not (start < at.start or at.expected & {"NAME"})
    ):
        return None
    good = re.sub(r"-+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", found[0]).lower().replace("_", "-")).strip("-")
    if not re.search("[a-z]", good):
        return None
    message, advice = (
        f"{explain.shown(found[0])} is not a name",
        f"names are lower-case letters, digits and hyphens: `{good}`",
    )
    end = found.end()
    if start == at.start:
        return Mend(
            start=start, end=end, message=message, help=advice, resume=end, tokens=at.replaced("NAME", good, end)
        )
    last = at.last()
    is_name = isinstance(last, ast.Name) and last.span.start == start
    if isinstance(last, ast.Name) and is_name:
        run.values[-1] = ast.Name(text=good, span=last.span)
    return Mend(start=start, end=end, message=message, help=advice, resume=end, is_invented=not is_name)


def _misspelt(at: Place) -> Mend | None:
    if at.token.kind != "NAME":
        return None
    words = {kind for kind in at.expected if kind[0].islower()}
    meant = _SYNONYMS.get(at.token.text)
    is_synonym = meant in words
    if not is_synonym:
        meant = explain.near(at.token.text, words)
    if meant is None:
        return None
    end = at.token.end
    message = f"expected {explain.expectation(at.run, at.expected)}, found `{at.token.text}`"
    verb = "write" if is_synonym else "did you mean"
    advice = f"{verb} `{meant}`{'' if is_synonym else '?'}"
    return at.mend(message, advice, end, at.replaced(meant, meant, end))


def _namespace(at: Place) -> Mend | None:
    if at.expected != {"in"}:
        return None
    kind, name = at.run.values[-2:]
    message = f"the {kind} `{name.text}` needs a namespace"
    tokens = tuple(Token(kind=k, text=t, start=at.start, end=at.start) for k, t in (("in", "in"), ("NAME", "unknown")))
    return Mend(
        start=name.span.start,
        end=name.span.end,
        message=message,
        help=f"write `{kind} {name.text} in NAMESPACE`",
        resume=at.start,
        tokens=tokens,
        is_invented=True,
    )


def _path(at: Place) -> Mend | None:
    found = at.rest(_PATH)
    if found is None or "PATH" not in at.expected or not at.is_on_line_of_last():
        return None
    last = at.last()
    is_after_method = isinstance(last, tuple) or (isinstance(last, ast.Name) and last.text.isupper())
    if not is_after_method and "/" not in found[0]:
        return None
    if found[0] in at.expected:
        return None
    end = found.end()
    message = f"the path {explain.shown(found[0])} lacks its leading slash"
    return at.mend(message, f"write `/{found[0]}`", end, at.replaced("PATH", f"/{found[0]}", end))


def _unquoted(at: Place) -> Mend | None:
    if "STRING" not in at.expected or not at.is_on_line_of_last() or at.token.kind in ("{", "}", ",", "(", ")"):
        return None
    if "QUANTITY" in at.expected and at.last() not in ("==", "!=", "has", "with", "(", ","):
        return None
    found = at.rest(_UNQUOTED)
    if found is None or not (found[0][0].isalnum() or found[0][0] in "*._"):
        return None
    end = found.end()
    message = f"expected a string in quotes, found {explain.shown(found[0])}"
    quoted = '"' + found[0].replace("\\", "\\\\") + '"'
    return at.mend(message, f"write `{quoted}`", end, at.replaced("STRING", quoted, end))


def _comma(at: Place) -> Mend | None:
    if "," not in at.expected or not at.is_on_line_of_last() or not at.run.accepts(",", at.token.kind):
        return None
    comma = Token(kind=",", text=",", start=at.start, end=at.start)
    message = f"`,` is missing before {explain.shown(at.word)}"
    return Mend(
        start=at.start,
        end=at.end,
        message=message,
        help="a comma stands between the items of a list",
        resume=at.start,
        tokens=(comma,),
    )


def _options(at: Place) -> Mend | None:
    """Options of a setting without their braces."""
    found = at.rest(_OPTIONS)
    if found is None or "{" not in at.expected:
        return None
    words = _UNQUOTED.findall(found[0])
    tokens = [Token(kind="{", text="{", start=at.start, end=at.start)]
    for match in _UNQUOTED.finditer(at.run.text, at.start, found.end()):
        kind = "QUANTITY" if match[0][0].isdigit() else "NAME"
        tokens.append(Token(kind=kind, text=match[0], start=match.start(), end=match.end()))
    tokens.append(Token(kind="}", text="}", start=found.end(), end=found.end()))
    # A range or a variable is more than one token; such options are read over.
    is_plain = all(_WORD.fullmatch(word.rstrip("%").replace(".", "", 1)) and ".." not in word for word in words)
    message = f"{explain.shown(words[0])} is an option, and options stand in braces"
    return at.mend(message, f"write `{{ {' '.join(words)} }}`", found.end(), tuple(tokens) if is_plain else ())


def _scope(at: Place) -> Mend | None:
    """Traffic or a limit for a whole namespace."""
    last = at.last()
    if at.token.kind != "NAME" or not isinstance(last, ast.Name) or last.text != "namespace" or "{" not in at.expected:
        return None
    message = "traffic and rate limits belong to one service, or to one of its ports"
    advice = "name the service; what several have in common stands in a `profile`, and each `uses` it"
    start = last.span.start
    return Mend(start=start, end=at.end, message=message, help=advice, resume=at.end, is_invented=True)


def _brace(at: Place) -> Mend | None:
    if at.expected != {"{"} or not at.run.accepts("{", at.token.kind):
        return None
    brace = Token(kind="{", text="{", start=at.start, end=at.start)
    message = f"expected `{{`, found {explain.shown(at.word)}"
    return Mend(
        start=at.start, end=at.end, message=message, help="a block stands in `{ … }`", resume=at.start, tokens=(brace,)
    )


SLIPS: Final[tuple[Slip, ...]] = (
    _unterminated,
    _quotes,
    _comment,
    _semicolon,
    _operator,
    _double_equals,
    _colon,
    _unit,
    _rpc,
    _method,
    _name,
    _misspelt,
    _namespace,
    _path,
    _scope,
    _options,
    _unquoted,
    _comma,
    _brace,
)
