"""The page in a real browser: its script runs, its filter filters rows and picture, and nothing of users runs."""

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from meshc.graph.model import Graph
from meshc.graph.render import render_html
from meshc_harness.graphs import BANK, HOSTILE, graph_of, hostile

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")]

GRAPH = graph_of(BANK)
FILTER = """<script>
document.getElementById("words").value = "WORDS";
document.getElementById("filter").dispatchEvent(new Event("input"));
</script>"""


class _Document(HTMLParser):
    """What the page says of how much it shows, and the rows, arrows and boxes that are hidden or dim."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = ""
        self.rows = 0
        self.bright_arrows = 0
        self.bright_boxes = 0
        self._in_shown = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        classes = (attributes.get("class") or "").split()
        self._in_shown = attributes.get("id") == "shown"
        self.rows += "data-edge" in attributes and tag == "tr" and "hidden" not in attributes
        self.bright_arrows += "edge" in classes and "dim" not in classes
        self.bright_boxes += "node" in classes and "dim" not in classes

    def handle_data(self, data: str) -> None:
        if self._in_shown:
            self.shown += data
            self._in_shown = False


def opened(graph: Graph, folder: Path, more: str = "") -> tuple[_Document, str]:
    """The document as the browser has it after its scripts ran, and what the browser says of errors."""
    page = folder / "graph.html"
    page.write_text(render_html(graph) + more, encoding="utf-8")
    ran = subprocess.run(
        [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=2000", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    document = _Document()
    document.feed(ran.stdout.decode())
    messages = [line for line in ran.stderr.decode(errors="replace").splitlines() if ":CONSOLE" in line]
    return document, "\n".join(messages)


def test_everything_is_shown(tmp_path: Path) -> None:
    document, messages = opened(GRAPH, tmp_path)
    assert (document.shown, document.rows, document.bright_arrows) == ("14 of 14", 14, 14)
    assert document.bright_boxes == len(GRAPH.drawn)
    assert messages == ""


@pytest.mark.parametrize(
    ("words", "edges", "nodes"),
    [
        ("ledger:5432 TCP", 1, 2),
        ("job legacy:80", 1, 2),  # any identity, which includes the job
        ("no such thing", 0, 0),
    ],
)
def test_the_filter(words: str, edges: int, nodes: int, tmp_path: Path) -> None:
    document, _ = opened(GRAPH, tmp_path, FILTER.replace("WORDS", words))
    assert (document.shown, document.rows, document.bright_arrows) == (f"{edges} of 14", edges, edges)
    assert document.bright_boxes == nodes


@pytest.mark.parametrize("text", HOSTILE[:2])
def test_nothing_of_users_runs(text: str, tmp_path: Path) -> None:
    document, messages = opened(hostile(text), tmp_path)
    assert document.rows == 14
    assert messages == ""
