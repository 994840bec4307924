"""The pages of the diagnostics: every example in them is reported exactly as its markers say.

A marker is a comment at the end of the line that is reported: `# error: NAME "part of the message"`, or `# warning: …`. It is
taken out before the program is read. A block with `file=PATH` is one file of a project; the files below one heading belong
together. What a page cannot hold, such as a file that is not UTF-8, is made here, in `MADE_HERE`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from meshc import format as formatting
from meshc.config import read_config
from meshc.diagnostics import RULES, Diagnostic
from meshc.format import format_source
from meshc.frontend import Analysis, analyze
from meshc.load import CONFIG_NAME, load
from meshc.passes.support import check_support
from meshc.source import SourceFile
from meshc_envoy import TARGET
from meshc_harness.compare import TODAY, analyze_text

PAGES = Path(__file__).parents[2] / "docs" / "diagnostics"
MOST_LINES = 40

BLOCK = re.compile(r"^```(?:mesh|yaml)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK_OR_HEADING = re.compile(rf"{BLOCK.pattern}|^#+ ", re.MULTILINE | re.DOTALL)
MARK = re.compile(r'[ \t]*# (error|warning): ([a-z0-9-]+) "(.*)"$', re.MULTILINE)

ONE_FILE = "policy.mesh"
BESIDE_THE_POINT = frozenset({"inventory-incomplete", "powerless-source", "unreachable-service", "unused-declaration"})
"""Warnings that small examples may show without saying so, but for those on the warning's own page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One diagnostic that an example promises."""

    path: str
    line: int
    severity: str
    name: str
    part: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One program of a page: its files without markers, and what they promise."""

    page: str
    number: int
    files: tuple[tuple[str, str], ...]
    marks: tuple[Mark, ...]

    @property
    def triggers(self) -> bool:
        return any(mark.name == self.page for mark in self.marks)


def read_page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def examples(name: str) -> list[Example]:
    """The examples of a page, in their order: each block without a file name, and all files below one heading."""
    programs: list[list[tuple[str, str]]] = []
    project: list[tuple[str, str]] = []
    for found in BLOCK_OR_HEADING.finditer(read_page(name)):
        if found["text"] is None:
            project = []
        elif found["file"] is None:
            programs.append([(ONE_FILE, found["text"])])
        else:
            if not project:
                programs.append(project)
            project.append((found["file"], found["text"]))
    return [_example(name, number, files) for number, files in enumerate(programs, 1)]


def _example(page: str, number: int, files: Sequence[tuple[str, str]]) -> Example:
    marks = [
        Mark(path=path, line=line, severity=mark[1], name=mark[2], part=mark[3])
        for path, text in files
        for line, content in enumerate(text.splitlines(), 1)
        for mark in MARK.finditer(content)
    ]
    plain = tuple((path, MARK.sub("", text)) for path, text in files)
    return Example(page=page, number=number, files=plain, marks=tuple(marks))


ALL = [example for page in sorted(PAGES.glob("*.md")) for example in examples(page.stem)]


def diagnostics(example: Example, folder: Path) -> tuple[Diagnostic, ...]:
    """Everything that is found in an example, up to the target for what a target finds."""
    if example.files[0][0] == ONE_FILE:
        analysis = analyze_text(example.files[0][1], ONE_FILE)
        config: tuple[Diagnostic, ...] = ()
    else:
        analysis, config = analyze_project(example.files, folder)
    return (*config, *analysis.diagnostics, *(in_target(analysis) if RULES[example.page].stage == "target" else ()))


def analyze_project(files: Sequence[tuple[str, str]], folder: Path) -> tuple[Analysis, tuple[Diagnostic, ...]]:
    root = folder / "project"
    root.mkdir()
    texts = {CONFIG_NAME: "", **dict(files)}
    for path, text in texts.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    _, found = read_config(SourceFile(CONFIG_NAME, texts[CONFIG_NAME]))
    return analyze_folder(root), found


def analyze_folder(root: Path) -> Analysis:
    loaded = load(root)
    return analyze(
        loaded.modules,
        loaded.inventory,
        loaded.comments,
        environment=None,
        today=TODAY,
        earlier=loaded.diagnostics,
    )


def in_target(analysis: Analysis) -> tuple[Diagnostic, ...]:
    assert analysis.mesh is not None, analysis.diagnostics
    emitted = TARGET.emit(analysis.mesh, {}).diagnostics
    return tuple(dict.fromkeys((*check_support(analysis.mesh, TARGET.name, TARGET.support), *emitted)))


@pytest.mark.parametrize("example", ALL, ids=[f"{one.page}-{one.number}" for one in ALL])
def test_an_example_is_reported_as_marked(example: Example, tmp_path: Path) -> None:
    found = diagnostics(example, tmp_path)
    counted = [one for one in found if one.name == example.page or one.name not in BESIDE_THE_POINT]
    wanted = {(mark.path, mark.line, mark.severity, mark.name) for mark in example.marks}
    assert {(one.span.path, one.span.line, one.severity.value, one.name) for one in counted} == wanted, counted
    for mark in example.marks:
        messages = [one.message for one in counted if (one.span.path, one.span.line) == (mark.path, mark.line)]
        assert any(mark.part in message for message in messages), (mark, messages)


def test_every_name_has_a_page_and_every_page_a_name() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == set(RULES)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_page_has_its_parts(name: str) -> None:
    text = read_page(name)
    assert text.startswith(f"# {name}\n")
    assert "\n## How to mend it\n" in text
    assert len(text.splitlines()) <= MOST_LINES
    assert len(BLOCK.findall(text)) == text.count("```mesh") + text.count("```yaml")
    assert sum("# error: " in line or "# warning: " in line for line in text.splitlines()) == len(MARK.findall(text))


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_page_shows_what_triggers_it_and_how_to_mend_it(name: str) -> None:
    found = examples(name)
    assert any(one.triggers for one in found) or name in MADE_HERE
    if name not in MADE_HERE:
        assert any(not one.marks for one in found)


PROGRAM = "namespace shop\nservice web in shop\n"


def _not_utf8(root: Path) -> None:
    (root / "main.mesh").write_bytes(PROGRAM.encode() + b"# caf\xe9\n")


def _invisible(root: Path) -> None:
    (root / "main.mesh").write_text(PROGRAM + "# right to left: \u202e\n", encoding="utf-8")


def _unreadable(root: Path) -> None:
    (root / "gone.mesh").symlink_to(root / "gone.mesh")


def _merge(root: Path) -> None:
    ours, theirs = "service cart in shop\n", "service basket in shop\n"
    text = f"{PROGRAM}{'<' * 7} ours\n{ours}{'=' * 7}\n{theirs}{'>' * 7} theirs\n"
    (root / "main.mesh").write_text(text, encoding="utf-8")


def _deep(root: Path) -> None:
    condition = "(" * 100 + 'header "a" == "b"' + ")" * 100
    text = f"{PROGRAM}access web {{ allow web when {condition} }}\n"
    (root / "main.mesh").write_text(text, encoding="utf-8")


MADE_HERE: dict[str, tuple[Callable[[Path], None] | None, str, int]] = {
    "invalid-encoding": (_not_utf8, "main.mesh", 3),
    "invisible-character": (_invisible, "main.mesh", 3),
    "unreadable-file": (_unreadable, "gone.mesh", 1),
    "merge-marker": (_merge, "main.mesh", 3),
    "nesting-too-deep": (_deep, "main.mesh", 3),
    "format-unsafe": (None, "main.mesh", 1),
    # In `tests/compiler/cli/test_verifying.py`: they are about compiled files.
    "not-verified": (None, "main.mesh", 1),
    "configuration-invalid": (None, "live.yaml", 1),
}
"""What makes the finding, in a folder that is the project's root, and where it is reported; None has a test of its own."""


@pytest.mark.parametrize("name", [name for name, (make, _, _) in MADE_HERE.items() if make is not None])
def test_what_a_page_cannot_hold_is_reported(name: str, tmp_path: Path) -> None:
    make, path, line = MADE_HERE[name]
    assert make is not None
    (tmp_path / CONFIG_NAME).touch()
    make(tmp_path)
    found = [one for one in analyze_folder(tmp_path).diagnostics if one.name == name]
    assert [(one.span.path, one.span.line) for one in found] == [(path, line)]


def test_a_layout_that_changes_the_meaning_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formatting, "lay_out", lambda *_: "namespace other\n")
    formatted = format_source(SourceFile("main.mesh", "namespace shop\n"))
    assert formatted.text is None
    assert [(one.name, one.span.line) for one in formatted.diagnostics] == [("format-unsafe", 1)]


def test_a_marker_that_is_wrong_fails(tmp_path: Path) -> None:
    example = next(one for one in ALL if one.triggers)
    moved = replace(example, marks=tuple(replace(mark, line=mark.line + 1) for mark in example.marks))
    with pytest.raises(AssertionError):
        test_an_example_is_reported_as_marked(moved, tmp_path)
