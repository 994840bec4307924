"""The prose keeps its word: examples analyze, excerpts occur, links lead somewhere, commands and options exist.

A block of the documentation may have comment lines right before its fence:
`<!-- with: NAME -->` puts a preamble of `PREAMBLES` in front of it, `<!-- fails: NAME -->` and `<!-- warns: NAME -->` say which
diagnostic it must show, and `<!-- file: PATH -->` stores it beside the other examples of its page, for imports and inventories.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from meshc.cli import main
from meshc.cli.completion import command_options
from meshc.diagnostics import RULES, Severity
from meshc.frontend import Analysis, analyze, environments
from meshc.load import load
from meshc.parse import parse
from meshc.resolve import Module
from meshc.source import SourceFile
from meshc.yaml_printer import print_documents
from meshc_envoy import TARGET
from meshc_harness.compare import TODAY, analyze_text

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
EXAMPLES = (README, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "language").glob("*.md")))
LINKED = (README, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))

PREAMBLES: Mapping[str, str] = {
    # Two services of which one is called.
    "pair": """
namespace shop
service web in shop
service cart in shop { port 8080 http version v1 version v2 }
""",
    # The same, and the called one is open to the other.
    "open-pair": """
namespace shop
service web in shop
service cart in shop { port 8080 http version v1 version v2 }
access cart { allow web }
""",
    # Three services of a shop, of which two call the third.
    "cart": """
namespace shop
service frontend in shop
service checkout in shop
service cart in shop { port 7070 grpc }
""",
    # The program of the page on testing.
    "items": """
namespace shop
service web in shop
service cart in shop { port 8080 http }
access cart { allow web from 10.0.0.0/8 to GET|HEAD /items/{id} }
""",
    # One service of each kind, none of them open yet.
    "shop": """
mesh shop { trust-domain "shop.example" also "ops.example" }
namespace shop
namespace bank
service frontend in shop { port 80 http target 8080 }
service checkout in shop { port 8080 http }
service payments in bank { port 8080 http port 9090 grpc as admin version v1 version v2 }
service ledger in bank { port 5432 tcp }
service vault in bank { port 8443 tls }
external stripe in bank { host "api.stripe.com" port 443 https }
""",
}

_BLOCK = re.compile(r"^((?:<!-- [a-z]+: [^>\n]+ -->\n)*)```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- ([a-z]+): ([^>\n]+) -->")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|[\s/(])meshc ((?:-[a-z-]+ )*)([a-z]+)\b(.*)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, its text, its line in the page, and the marks before it."""

    page: Path
    line: int
    language: str
    text: str
    marks: tuple[tuple[str, str], ...]

    def marked(self, kind: str) -> tuple[str, ...]:
        """What the marks of one kind say."""
        return tuple(text for name, text in self.marks if name == kind)

    @property
    def shown(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    text = page.read_text(encoding="utf-8")
    return tuple(
        Block(
            page=page,
            line=text.count("\n", 0, match.start(2)) + 1,
            language=match[2],
            text=match[3],
            marks=tuple((mark[1], mark[2]) for mark in _MARK.finditer(match[1])),
        )
        for match in _BLOCK.finditer(text)
    )


MESH_BLOCKS = [block for page in EXAMPLES for block in blocks(page) if block.language == "mesh"]


def program_text(block: Block) -> str:
    """A block after its preambles."""
    return "".join(PREAMBLES[name] for name in block.marked("with")) + block.text


def write_program(block: Block, folder: Path) -> Path:
    """Write a block, and the files of its page beside it; the path of its program."""
    program = folder / "policy.mesh"
    program.write_text(program_text(block), encoding="utf-8")
    for other in blocks(block.page):
        for path in other.marked("file"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(other.text, encoding="utf-8")
    return program


def analyses(block: Block, folder: Path) -> Iterator[Analysis]:
    """What a block means on its own and in each of its environments."""
    text = program_text(block)
    if not re.search(r'^(?:import|inventory) "', text, re.MULTILINE):
        yield analyze_text(text)
        parsed = parse(SourceFile("policy.mesh", text))
        modules: Mapping[str, Module] = {"policy.mesh": Module(file=parsed.file, imports={})}
        for name in environments(modules):
            yield analyze(modules, (), {}, environment=name, today=TODAY, earlier=parsed.diagnostics)
        return
    loaded = load(write_program(block, folder))
    for environment in (None, *environments(loaded.modules)):
        yield analyze(
            loaded.modules,
            loaded.inventory,
            loaded.comments,
            environment=environment,
            today=TODAY,
            earlier=loaded.diagnostics,
        )


@pytest.mark.parametrize("block", MESH_BLOCKS, ids=lambda block: block.shown)
def test_every_example_says_what_the_page_says_of_it(block: Block, tmp_path: Path) -> None:
    """No errors, or exactly those that the block is marked with; the warnings that it is marked with are there."""
    base, *others = analyses(block, tmp_path)
    for analysis in (base, *others):
        errors = [one for one in analysis.diagnostics if one.severity is Severity.ERROR]
        assert {one.name for one in errors} == set(block.marked("fails")), errors
    assert set(block.marked("warns")) <= {one.name for one in base.diagnostics}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = [target.partition("#")[0] for target in _LINK.findall(page.read_text(encoding="utf-8"))]
    local = [target for target in targets if target and "://" not in target]
    missing = [target for target in local if not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize(
    "block", [block for block in MESH_BLOCKS if 'test "' in block.text], ids=lambda block: block.shown
)
def test_the_tests_in_examples_pass(block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["test", str(write_program(block, tmp_path))])
    assert status == 0, capsys.readouterr()


def test_the_marks_of_blocks_are_known() -> None:
    for block in (block for page in EXAMPLES for block in blocks(page)):
        assert {name for name, _ in block.marks} <= {"with", "fails", "warns", "file"}, block.shown
        assert set(block.marked("with")) <= set(PREAMBLES), block.shown
        assert set(block.marked("fails") + block.marked("warns")) <= set(RULES), block.shown


def test_the_readme_shows_what_its_first_program_compiles_to() -> None:
    """The lines of its YAML excerpt occur in one compiled file, in order; those with an ellipsis are left out."""
    program = next(block for block in blocks(README) if block.language == "mesh")
    excerpt = next(block for block in blocks(README) if block.language == "yaml")
    mesh = analyze_text(program.text).mesh
    assert mesh is not None
    emission = TARGET.emit(mesh, {})
    compiled = {document.path: print_documents(document.resources) for document in emission.documents}
    lines = [line for line in excerpt.text.splitlines() if "…" not in line]
    assert lines
    assert any(_occur_in_order(lines, text) for text in compiled.values())


def _occur_in_order(lines: list[str], text: str) -> bool:
    found = iter(text.splitlines())
    return all(line in found for line in lines)


def commands(page: Path) -> Iterator[str]:
    """The code of a page that may hold commands: lines of shell and plain blocks, and code within sentences."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(page):
        if block.language in {"", "sh", "text"}:
            for line in block.text.splitlines():
                yield from line.split("&&")
    yield from _SPAN.findall(_BLOCK.sub("", text))


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_exists(page: Path) -> None:
    known = command_options()
    for code in commands(page):
        match = _COMMAND.search(code)
        if match is None:
            if code.startswith("--"):
                assert any(option in options for option in _OPTION.findall(code) for options in known.values()), code
            continue
        assert match[2] in known, code
        assert set(_OPTION.findall(match[3])) <= set(known[match[2]]), code
