"""Say in the user's words what was expected at a place, and what stands there instead."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from meshc.suggest import closest
from meshc.syntax.run import END, Run, Token

DECLARATIONS: Final = frozenset(
    (
        "import",
        "inventory",
        "environment",
        "mesh",
        "namespace",
        "service",
        "external",
        "let",
        "group",
        "profile",
        "access",
        "traffic",
        "rate-limit",
        "authenticate",
        "telemetry",
        "invariant",
        "test",
    )
)
"""The words that start declarations."""

HOMES: Final[Mapping[str, str]] = {
    "allow": "an `access`, or a `test`,",
    "deny": "an `access`, or a `test`,",
    "shadow": "an `access`",
    "route": "a `traffic`",
    "port": "a `service`",
    "jwt": "an `authenticate`",
    "issuer": "a `jwt`",
    "audiences": "a `jwt`",
    "jwks": "a `jwt`",
    "never": "an `invariant`",
    "only": "an `invariant`",
    "always": "an `invariant`",
    "expect": "a `test`",
    "trust-domain": "a `mesh`",
    "cluster-domain": "a `mesh`",
    "trusted-hops": "a `mesh`",
    "host": "an `external`",
    "version": "a `service`",
    "labels": "a `service`",
    "endpoint": "a `service`",
    "probe": "a `service`",
    "discover": "a `service`",
    "access-log": "a `telemetry`",
    "trace": "a `telemetry`",
    "metrics": "a `telemetry`",
} | dict.fromkeys(
    (
        "timeout",
        "idle-timeout",
        "connect-timeout",
        "retry",
        "load-balance",
        "circuit-breaker",
        "outlier-detection",
        "health-check",
        "locality",
        "fault",
        "mirror",
        "split",
        "set",
        "add",
        "remove",
        "rewrite",
        "redirect",
        "respond",
        "tls",
    ),
    "a `traffic` or `profile`",
)
"""Where the words that start statements belong."""

_BLOCKS: Final[Mapping[str, str]] = {
    "": "a declaration such as `service` or `access`",
    "environment": "a declaration such as `traffic` or `access`",
    "mesh": "a setting such as `trust-domain` or `mtls`",
    "namespace": "`default access` or `mtls`",
    "service": "a part such as `port`, `version` or `labels`",
    "external": "`host` or `port`",
    "access": "a rule that starts with `allow` or `deny`",
    "traffic": "a setting such as `timeout`, or a `route`",
    "profile": "a setting such as `timeout`",
    "route": "a setting such as `timeout`",
    "rate-limit": "a rate such as `100/s`",
    "authenticate": "`mtls`, `port` or `jwt`",
    "jwt": "a part such as `issuer`, `audiences` or `jwks`",
    "telemetry": "`access-log`, `trace` or `metrics`",
    "invariant": "`never`, `only`, `always` or `encrypted`",
    "test": "`allow`, `deny`, `route` or `expect`",
    "version": "`labels`",
    "endpoint": "`zone`, `version` or `weight`",
    "tls": "`ca` or `sni`",
}

_DURATION: Final = "a duration such as `5s`"
_PERCENTAGE: Final = "a percentage such as `10%`"
_NUMBER: Final = "a number"
_STATUS: Final = "a status such as `503`"
VALUES: Final[Mapping[str, str]] = {
    "timeout": _DURATION,
    "idle-timeout": _DURATION,
    "connect-timeout": _DURATION,
    "delay": _DURATION,
    "abort": _STATUS,
    "status": _STATUS,
    "respond": _STATUS,
    "for": _PERCENTAGE,
    "mirror": _PERCENTAGE,
    "trace": _PERCENTAGE,
    "port": "a port number",
    "target": "a port number",
    "retry": "how many times, such as `2`,",
    "burst": _NUMBER,
    "weight": _NUMBER,
    "trusted-hops": _NUMBER,
    "until": "a date such as `2027-03-31`",
    "from": "an address block such as `10.0.0.0/8`",
}
"""What is due after a word that takes a value."""

_NAMES: Final[Mapping[str, str]] = {
    "in": "a namespace",
    "mesh": "a name for the mesh",
    "service": "a name for the service",
    "external": "a name for the external",
    "namespace": "a namespace",
    "group": "a group",
    "profile": "a name for the profile",
    "let": "a name for the value",
    "environment": "a name for the environment",
    "version": "a version",
    "jwt": "a name for the issuer's tokens",
    "as": "a name",
    "mtls": "`strict`, `permissive` or `off`",
    "access": "`allow` or `deny`",
    "discover": "`kubernetes`, `dns`, `static` or `eds`",
    "load-balance": "`round-robin`, `least-request`, `random`, `ring-hash` or `maglev`",
    "access-log": "`json` or `text`",
    "service-account": "a service account",
    "uses": "a profile",
    "on": "a condition such as `5xx`",
    "allow": "a source, such as a service or `anyone`",
    "deny": "a source, such as a service or `anyone`",
    "never": "a source, such as a service or `anyone`",
    "only": "a source, such as a service or `anyone`",
    "always": "a source, such as a service or `anyone`",
    "except": "a source, such as a service",
}
_REFERENCES: Final[Mapping[str, str]] = {
    "access": "`mesh`, a `namespace` or a service",
    "authenticate": "`mesh`, a `namespace` or a service",
    "telemetry": "`mesh`, a `namespace` or a service",
    "encrypted": "`mesh`, a `namespace` or a service",
    "->": "a service, such as `payments@v2`",
}
_RULE: Final = ("except", "from", "to", "when", "because")
ORDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "allow": _RULE,
    "deny": _RULE,
    "shadow": _RULE,
    "never": _RULE[:-1],
    "only": _RULE[:-1],
    "always": _RULE[:-1],
    "limit": ("burst", "per", "to", "when"),
    "route": ("when", "by", "->"),
}
"""The order of the parts of a statement, by its first word."""

_MOST: Final = 6
"""How many alternatives a message lists."""


def expectation(run: Run, expected: frozenset[str]) -> str:
    """What could stand next, in words."""
    brace, size = run.frame()
    if len(run.values) == size:
        statement = _BLOCKS.get(opener(run, brace), "an option")
        return statement if brace < 0 else f"{statement}, or `}}`"
    starts = statement_starts(run)
    fixed = sorted(kind for kind in expected - starts if not kind.isupper() and kind != END)
    parts = [*_patterns(run, expected), *(f"`{kind}`" for kind in fixed if not _is_said(kind, expected, run))]
    if starts <= expected and starts:
        parts.append("the next statement" if brace >= 0 else "the next declaration")
    if len(parts) > _MOST:
        parts = [*parts[: _MOST - 1], "another continuation"]
    return alternatives(parts) if parts else "the end of the file"


def _is_said(kind: str, expected: frozenset[str], run: Run) -> bool:
    """Whether a word is part of the phrase for names."""
    return (
        "NAME" in expected
        and kind in ("namespace", "group", "identity", "authenticated", "anyone", "mesh")
        and bool(run.values)
    )


def _patterns(run: Run, expected: frozenset[str]) -> list[str]:
    """Phrases for the expected terminals that are no fixed words."""
    before = run.values[-1] if run.values and type(run.values[-1]) is str else ""
    parts = []
    if "NAME" in expected:
        if "PORT_REF" in expected:
            parts.append(_REFERENCES.get(before, "a service"))
        else:
            parts.append(_NAMES.get(before, "a name"))
    elif "QUANTITY" in expected:
        parts.append(VALUES.get(before, "a value"))
    if "METHOD" in expected:
        parts.append("a method such as `GET`")
    if "RPC" in expected:
        parts.append("`package.Service/Method`")
    if "PATH" in expected:
        parts.append("a path such as `/charge`")
    elif "STRING" in expected and "QUANTITY" not in expected:
        parts.append("a string in quotes")
    elif "REGEX" in expected and "QUANTITY" not in expected:
        parts.append('a pattern such as `re"v[0-9]+"`')
    return parts


def opener(run: Run, brace: int) -> str:
    """The word that the block at `brace` starts with, such as `access`; `""` outside of all blocks, `option` in a block of options."""
    if brace < 0:
        return ""
    index = brace - 1
    while index >= 0:
        value = run.values[index]
        if type(value) is str and value in _BLOCKS:
            return value
        if type(value) is str and value in ("retry", "circuit-breaker", "outlier-detection", "health-check"):
            return "option"
        index -= 1
    return ""


def statement_starts(run: Run) -> frozenset[str]:
    """The terminals that can start a statement of the innermost open block."""
    return run.expected(size=run.frame()[1]) - {"}", END}


def alternatives(parts: list[str]) -> str:
    """`a`, `b` or `c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


_RUN: Final = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"|[A-Za-z0-9_.*$@%:/-]+')


def raw(run: Run, token: Token) -> str:
    """The characters that a user would see as one word at a token's place; empty at the end of the file."""
    found = _RUN.match(run.text, token.start)
    return found[0] if found else run.text[token.start : max(token.end, token.start + 1)]


def shown(text: str) -> str:
    """A piece of the user's text for a message: in backticks, on one line, not too long."""
    if not text:
        return "the end of the file"
    short = text if len(text) <= 40 else f"{text[:39]}…"
    return "a backtick" if short == "`" else f"`{short}`"


def near(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that a typing mistake may have turned into `word`; words of one or two letters are close to too many."""
    return closest(word, candidates) if len(word) > 2 else None
