"""The page of `meshc diff` shows what is printed for its two programs."""

import re
from pathlib import Path

from meshc.difference.compare import Comparer
from meshc.difference.model import Change
from meshc.difference.render import render_text
from meshc_harness.comparing import side

PAGE = (Path(__file__).parents[2] / "docs" / "diff.md").read_text(encoding="utf-8")


def test_the_example() -> None:
    old, new = re.findall(r"^```mesh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    printed = re.search(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert printed is not None
    found = Comparer().compare(side(old, "old.mesh"), side(new, "new.mesh"))
    assert render_text(found) == printed[1]


def test_every_kind_is_explained() -> None:
    rows = re.findall(r"^\| ([a-z][a-z-]*) \| ", PAGE, re.MULTILINE)
    assert rows == ["kind", *(change.value for change in Change)]
