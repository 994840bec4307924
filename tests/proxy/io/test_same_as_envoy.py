"""Everything in the table of cases through the reference proxy and through a real Envoy: what they do not do alike is known."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

import pytest

from meshc_proxy.wire.limits import HeadLimits, Http1Limits, Http2Limits, TlsLimits
from proxy_both import Seen, differing, run_cases
from proxy_cases import INBOUND, OUTBOUND, PROGRAM
from proxy_lab import ENGINES, run_isolated

CASES: Final = (*INBOUND, *(replace(one, out=True) for one in OUTBOUND))
PAGE: Final = Path(__file__).parents[3] / "docs" / "proxy.md"

_HEADLESS: Final = "log.flags log.host log.method log.path "
_HOST: Final = "body got headers log.rule log.status status " + _HEADLESS
KNOWN: Final[Mapping[str, tuple[str, str]]] = {
    "denied with a body": ("unread body", "headers"),
    "answer headers": ("connection of answers", "headers"),
    "te trailers": ("te over http/1.1", "got.headers"),
    "http2 to http1": ("te over http/1.1", "got.headers"),
    "identity headers": ("l5d headers", "got.headers"),
    "two cookies": ("cookies", "got.headers"),
    "a header twice": ("joined lines", "got.headers"),
    "host without a name": ("host must be one", _HOST),
    "two hosts": ("host must be one", "body headers log.rule " + _HEADLESS),
    "absolute form for another host": ("host must be one", _HOST),
    "http2 host beside authority": (
        "host must be one",
        "closed got headers log.rule log.status status trailers " + _HEADLESS,
    ),
    "call in absolute form": ("host must be one", "body got headers log status"),
    "no host": ("no head in logs", "log.flags log.method log.path"),
    "call without host": ("no head in logs", "log.flags log.method log.path"),
    "encoded zero": ("no head in logs", _HEADLESS),
    "fragment": ("no head in logs", _HEADLESS),
    "call with a fragment": ("no head in logs", "log.to " + _HEADLESS),
    "raw utf-8": ("words of a 400", "body headers"),
    "connect": ("words of a 400", "body headers log.details log.rule"),
    "call to connect": ("words of a 400", "body headers log.details log.path log.rule"),
    "encoded slash": ("path of a 400", "log.path"),
    "encoded backslash": ("path of a 400", "log.path"),
    "call with an encoded slash": ("path of a 400", "log.path"),
    "asterisk": ("closing after a 400", "headers log.details"),
    "odd method": ("content-length of nothing", "got.headers"),
    "expect": ("expect", "got.headers"),
    "http2 content-length wrong": ("http/2 body length", "closed"),
    "tls on a plaintext port": ("refused connections", "log"),
    "call aborted": ("aborted requests", "log.sent_to"),
    "call of grpc aborted": ("aborted requests", "log.sent_to"),
    "refused by http2": ("stale connections", "got"),
    "call closed": ("stale connections", "got"),
    "call by http1 to http2": ("scheme over http/2", "got.headers"),
}
"""The cases that the engines do not treat alike: the row of the page that says why, and in what."""


def ran(engine: str, directory: Path) -> dict[str, Seen]:
    """What one engine did with all cases, in a child process."""
    told = directory / f"{engine}.json"

    async def run() -> None:
        told.write_text(json.dumps(await run_cases(PROGRAM, CASES, directory / engine, engine)), encoding="utf-8")

    run_isolated(run, directory / f"{engine}.txt")
    seen: dict[str, Seen] = json.loads(told.read_text(encoding="utf-8"))
    return seen


@pytest.mark.slow
def test_both_engines_do_the_same_but_for_what_is_known(tmp_path: Path) -> None:
    ours, theirs = (ran(engine, tmp_path) for engine in ENGINES)
    found = {one.name: differing(ours[one.name], theirs[one.name]) for one in CASES}
    known = {name: frozenset(parts.split()) for name, (_, parts) in KNOWN.items()}
    assert {name: parts for name, parts in found.items() if parts} == known
    passed = [one.name for one in CASES if ours[one.name]["got"] and not theirs[one.name]["got"]]
    assert not passed


def test_every_known_difference_is_on_the_page() -> None:
    rows = set(
        re.findall(
            r"^\| ([^|]+?) \|", PAGE.read_text(encoding="utf-8").partition("## Where it differs")[2], re.MULTILINE
        )
    )
    # That of tokens is tried in `tests/e2e/test_evasion.py`.
    assert {reason for reason, _ in KNOWN.values()} == rows - {"difference", "---", "one token"}


def test_cases_have_names_of_their_own() -> None:
    assert len({one.name for one in CASES}) == len(CASES)
    assert set(KNOWN) <= {one.name for one in CASES}


def test_limits_are_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told: dict[str, str] = {}
    for row in re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", page, re.MULTILINE):
        told |= dict(zip(re.findall(r"`(\w+)`", row[0]), re.findall(r"\d+", row[1]), strict=True))
    limits = [HeadLimits(), Http1Limits(), Http2Limits(), TlsLimits()]
    real = {one.name: getattr(some, one.name) for some in limits for one in fields(some) if one.name != "head"}
    assert {name: float(value) for name, value in told.items()} == {name: float(value) for name, value in real.items()}
