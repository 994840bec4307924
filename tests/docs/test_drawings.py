"""The drawings in the documentation and beside the examples are what `meshc graph` prints today."""

import re
from pathlib import Path

import pytest

from meshc.cli import main
from meshc.graph.render import render_mermaid
from meshc_harness.graphs import graph_of

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "policies" / "examples").glob("*/README.md"))
BLOCK = re.compile(r"^```(mesh|mermaid)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def block(page: Path, language: str) -> str:
    """The first block of a language."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return next(text for name, text in found if name == language)


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.parent.name)
def test_examples(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", str(page.parent)]) == 0
    assert block(page, "mermaid") == capsys.readouterr().out


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.parent.name)
def test_links_of_examples_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert targets
    assert all((page.parent / target).is_file() for target in targets)


def test_every_example_has_a_drawing() -> None:
    assert {page.parent for page in EXAMPLES} == set((ROOT / "policies" / "examples").iterdir())


def test_the_page_on_drawings() -> None:
    page = ROOT / "docs" / "graph.md"
    assert block(page, "mermaid") == render_mermaid(graph_of(block(page, "mesh")))
