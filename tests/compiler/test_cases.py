"""Mistakes, each marked on its line: `# error: NAME "part of the message"`, or `# warning: …`; cases are parted by `---`.

A case must be reported exactly as marked: no diagnostic more, none less. Blocks of common declarations stand in `PREAMBLES`,
named by a first line `# with: shop`.
"""

import re
from pathlib import Path

import pytest

from meshc_harness.compare import analyze_text

CASES = Path(__file__).parent / "cases"
MARK = re.compile(r'# (error|warning): ([a-z0-9-]+)(?: "(.*)")?\s*$')

PREAMBLES = {
    "shop": """namespace shop
service web in shop
service cart in shop { port 8080 http version v1 version v2 }
service db in shop { port 5432 tcp }
service vault in shop { port 8200 tls }
service rpc in shop { port 9090 grpc }
service multi in shop { port 80 http port 81 tcp as raw }
external stripe in shop { host "api.stripe.com" port 443 https }
access cart { allow web }
access db { allow web }
access vault { allow anyone }
access rpc { allow web }
access multi { allow web }
access stripe { allow web }
""",
    "two": """namespace shop
service web in shop
service cart in shop { port 8080 http }
""",
}


def cases() -> list[tuple[str, str]]:
    """Every case, with a name to find it by."""
    found = []
    for file in sorted(CASES.glob("*.mesh")):
        parts = re.split(r"^---\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        found += [(f"{file.stem}-{number}", part) for number, part in enumerate(parts, 1)]
    return found


@pytest.mark.parametrize("text", [text for _, text in cases()], ids=[name for name, _ in cases()])
def test_a_case_is_reported_as_marked(text: str) -> None:
    named = re.match(r"# with: (\w+)\n", text)
    preamble = PREAMBLES[named[1]] if named else ""
    offset = preamble.count("\n")
    expected = {}
    for number, line in enumerate(text.splitlines(), 1):
        for mark in MARK.finditer(line):
            expected[(number, mark[1], mark[2])] = mark[3] or ""
    found = {
        (one.span.line - offset, one.severity.value, one.name): one.message
        for one in analyze_text(preamble + text).diagnostics
    }
    assert found.keys() == expected.keys(), found
    for key, part in expected.items():
        assert part in found[key]
        assert found[key][0] == found[key][0].lower() or found[key].startswith(("`", "POST"))
        assert not found[key].endswith(".")


def test_there_are_many_cases() -> None:
    assert len(cases()) > 100
