"""Mistakes, each marked on its line: `# error: NAME "part of the message" help "part of the advice"`, or `# warning: …`; cases
are parted by `---`.

A case must be reported exactly as marked: no diagnostic more, none less. Blocks of common declarations stand in `PREAMBLES`,
named by a first line `# with: shop`. A first line `# env: prod` chooses an environment, and `# file: PATH` starts a file of a
project whose program is `main.mesh`.
"""

import re
from pathlib import Path

import pytest

from meshc.diagnostics import Diagnostic
from meshc.frontend import analyze
from meshc.load import CONFIG_NAME, load
from meshc_harness.compare import TODAY, analyze_text

CASES = Path(__file__).parent / "cases"
MARK = re.compile(r'# (error|warning): ([a-z0-9-]+)(?: "(.*?)")?(?: help "(.*)")?\s*$')

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


Found = dict[tuple[str, int, str, str], tuple[str, str]]
"""Message and advice of each finding."""


@pytest.mark.parametrize("text", [text for _, text in cases()], ids=[name for name, _ in cases()])
def test_a_case_is_reported_as_marked(text: str, tmp_path: Path) -> None:
    expected: Found = {}
    for path, content in files(text).items():
        for number, line in enumerate(content.splitlines(), 1):
            for mark in MARK.finditer(line):
                expected[(path, number, mark[1], mark[2])] = (mark[3] or "", mark[4] or "")
    found = reported(text, tmp_path)
    assert found.keys() == expected.keys(), found
    for key, (part, advised) in expected.items():
        message, advice = found[key]
        assert part in message
        assert advised in advice
        assert message[0] == message[0].lower() or message.startswith(("`", "POST"))
        assert not message.endswith(".")


def files(text: str) -> dict[str, str]:
    """The files of a case; without names, it is one."""
    parts = re.split(r"^# file: (\S+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)) or {"main.mesh": text}


def reported(text: str, folder: Path) -> Found:
    """What is found in a case."""
    named = re.search(r"^# with: (\w+)\n", text)
    chosen = re.search(r"^# env: (\w+)\n", text, re.MULTILINE)
    preamble = PREAMBLES[named[1]] if named else ""
    offset = preamble.count("\n")
    environment = chosen[1] if chosen else None
    if "# file: " in text:
        found = analyze_files(files(text), folder, environment)
    else:
        found = analyze_text(preamble + text, "main.mesh", environment).diagnostics
    return {
        (one.span.path, one.span.line - offset, one.severity.value, one.name): (one.message, "; ".join(one.help))
        for one in found
    }


def analyze_files(texts: dict[str, str], folder: Path, environment: str | None) -> tuple[Diagnostic, ...]:
    """Everything that is found in a program of several files."""
    (folder / CONFIG_NAME).touch()
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    loaded = load(folder / "main.mesh")
    return analyze(
        loaded.modules,
        loaded.inventory,
        loaded.comments,
        environment=environment,
        today=TODAY,
        earlier=loaded.diagnostics,
    ).diagnostics


def test_there_are_many_cases() -> None:
    assert len(cases()) > 100
