"""The page in a real browser: its script runs, its filter filters, nothing is asked of the network, nothing of users runs."""

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from meshc.difference.model import Difference
from meshc.difference.render import render_html
from meshc_harness.differences import HOSTILE, hostile, with_everything

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")]

FILTER = """<script>
for (const box of document.querySelectorAll("input[type=checkbox]")) box.checked = KINDS.includes(box.value);
document.getElementById("words").value = "WORDS";
document.getElementById("filter").dispatchEvent(new Event("input"));
</script>"""


class _Document(HTMLParser):
    """The text of one element, and the rows and curves that are not hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = ""
        self.kinds: list[str] = []
        self.sections = 0
        self._in_shown = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self._in_shown = attributes.get("id") == "shown"
        if "hidden" in attributes:
            return
        if tag == "tr" and "data-kind" in attributes:
            self.kinds.append(attributes["data-kind"] or "")
        self.sections += tag == "section"

    def handle_data(self, data: str) -> None:
        if self._in_shown:
            self.shown += data
            self._in_shown = False


def opened(difference: Difference, folder: Path, more: str = "") -> tuple[_Document, str]:
    """The document as the browser has it after its scripts ran, and what the browser says of errors."""
    page = folder / "diff.html"
    page.write_text(render_html(difference) + more, encoding="utf-8")
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


def filtered(kinds: list[str], words: str, folder: Path) -> _Document:
    script = FILTER.replace("KINDS", str(kinds)).replace("WORDS", words)
    return opened(with_everything(), folder, script)[0]


def test_everything_is_shown(tmp_path: Path) -> None:
    document, messages = opened(with_everything(), tmp_path)
    assert document.shown == "11 of 11"
    assert document.sections == 5
    assert messages == ""


def test_the_filter(tmp_path: Path) -> None:
    by_kind = filtered(["opened"], "", tmp_path)
    assert set(by_kind.kinds) == {"opened"}
    assert by_kind.shown == "3 of 11"
    by_words = filtered(["opened", "settings"], "shop.new TIMEOUT", tmp_path)
    assert by_words.kinds == ["settings"]
    assert filtered(["opened"], "no such thing", tmp_path).kinds == []


def test_nothing_of_users_runs(tmp_path: Path) -> None:
    subjects = [subject for text in HOSTILE for subject in hostile(text).subjects]
    document, messages = opened(Difference(subjects=tuple(subjects), compared=1), tmp_path)
    assert document.shown == f"{3 * len(HOSTILE)} of {3 * len(HOSTILE)}"
    assert messages == ""
