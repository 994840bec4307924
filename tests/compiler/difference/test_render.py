"""What is printed: complete where it must be, bounded where people read it, and harmless whatever users wrote."""

import json
import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt
from referencing import Registry, Resource

from meshc.difference.model import Difference
from meshc.difference.render import render_html, render_json, render_markdown, render_sarif, render_text
from meshc.difference.render.as_markdown import LARGEST
from meshc_harness.differences import HOSTILE, NOTHING, ONE, PORT, SETTING, hostile, with_everything, with_many

SCHEMAS = [json.loads(one.read_text(encoding="utf-8")) for one in files("meshc").joinpath("schemas").iterdir()]
REGISTRY: Registry[object] = Registry().with_resources((one["$id"], Resource.from_contents(one)) for one in SCHEMAS)
SCHEMA = REGISTRY.contents("https://meshc.dev/schemas/difference.v1.json")
EVERYTHING = with_everything()
ALL = [NOTHING, ONE, EVERYTHING, with_many(40), *map(hostile, HOSTILE)]


def is_harmless(text: str) -> bool:
    return all(char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)


# ---- text -----------------------------------------------------------------------------------------------------------


def test_text() -> None:
    assert render_text(ONE) == (
        "bank.pay:80  changed http port  policies/shop.mesh:14\n"
        '  + opened: shop.web to GET /x when header "x-a" == "1"\n'
        "      was 403: no allow rule matches: access bank.pay  main:policies/shop.mesh:12\n"
        '      now allowed: allow shop.web to GET /x because "they asked"  policies/shop.mesh:14\n'
        "      $ curl http://pay.bank:80/x  # as shop.web; from the address 10.0.0.1\n"
        "  * timeout: 2s → 5s, for anyone to GET /x  main:policies/shop.mesh:12 → policies/shop.mesh:14\n"
        "\n"
        "1 of 7 ports changed, 1 opened, 1 setting\n"
    )


def test_nothing_changed() -> None:
    assert render_text(NOTHING) == "nothing changed: 7 ports compared\n"
    assert "nothing changed: 7 ports compared" in render_markdown(NOTHING)
    assert "nothing changed: 7 ports compared" in render_html(NOTHING)
    assert json.loads(render_json(NOTHING))["changed"] is False
    assert json.loads(render_sarif(NOTHING))["runs"][0]["results"] == []


def test_text_says_everything() -> None:
    shown = render_text(EVERYTHING)
    for part in (
        "shop.job  removed service",
        "shop.new:81  added http port",
        "- closed: ",
        "~ answered differently: ",
        "> goes elsewhere: ",
        "! weaker mtls: strict → permissive",
        "? not decided (opened, closed): its expressions combine in too many ways",
        "environment `staging` is new",
        "in environment `prod`",
        "1 weaker mTLS, 1 not decided",
    ):
        assert part in shown, part
    assert shown.index("+ opened") < shown.index("- closed")


def test_text_is_bounded_and_can_be_whole() -> None:
    shown = render_text(with_many(40))
    assert shown.count("+ opened") == 10
    assert "… and 30 more regions (--all shows them)" in shown
    assert "… and 30 more settings (--all shows them)" in shown
    assert render_text(with_many(40), limit=None).count("+ opened") == 40


def test_colour_is_only_there_when_asked_for() -> None:
    assert "\x1b" not in render_text(EVERYTHING)
    coloured = render_text(EVERYTHING, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_text(EVERYTHING)


@pytest.mark.parametrize("difference", ALL)
def test_text_moves_no_cursor(difference: Difference) -> None:
    assert is_harmless(render_text(difference, limit=None))


# ---- json -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("difference", ALL)
def test_json_fits_its_schema(difference: Difference) -> None:
    found = json.loads(render_json(difference))
    validator = Draft202012Validator(SCHEMA, registry=REGISTRY)
    if not any(difference == hostile(text) for text in HOSTILE):  # names of services cannot look like that
        validator.validate(found)
    assert len(found["subjects"]) == len(difference.subjects)


def test_json_is_complete() -> None:
    found = json.loads(render_json(with_many(40)))
    assert len(found["subjects"][0]["regions"]) == len(found["subjects"][0]["settings"]) == 40
    assert found["subjects"][0]["regions"][0]["witness"]["request"] == {
        "from": {"identity": "spiffe://a/ns/shop/sa/web"},
        "to": "bank.pay:80",
        "method": "GET",
        "path": "/x",
    }


def test_gates_see_what_was_found() -> None:
    assert {one.value for one in EVERYTHING.changes} == {
        "opened",
        "closed",
        "changed",
        "routing",
        "settings",
        "weakened-mtls",
    }
    assert json.loads(render_json(ONE))["changes"] == ["opened", "settings"]


# ---- markdown -------------------------------------------------------------------------------------------------------

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})


def test_markdown_reads_well() -> None:
    shown = render_markdown(ONE)
    assert "#### `bank.pay:80` changed http port" in shown
    assert '- 🔴 **opened** `shop.web to GET /x when header "x-a" == "1"`' in shown
    assert "  - for example `curl http://pay.bank:80/x` (as shop.web; from the address 10.0.0.1)" in shown
    assert "| `2s` | `5s` | `anyone to GET /x` |" in shown
    assert 'n0["shop.web"]' in shown
    assert "linkStyle 0 stroke:#cf222e" in shown


@pytest.mark.parametrize("difference", ALL)
def test_markdown_holds_no_markup_of_users(difference: Difference) -> None:
    shown = render_markdown(difference, limit=None)
    assert is_harmless(shown)
    kinds = {token.type for token in MARKDOWN.parse(shown)}
    inline = {child.type for token in MARKDOWN.parse(shown) for child in token.children or ()}
    assert "html_block" not in kinds
    allowed = {"text", "code_inline", "strong_open", "strong_close", "softbreak", "html_inline", "text_special"}
    assert inline <= allowed
    tags = {
        child.content
        for token in MARKDOWN.parse(shown)
        for child in token.children or ()
        if child.type == "html_inline"
    }
    assert tags <= {"<br>"}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_row_of_a_table_has_four_cells(text: str) -> None:
    tokens = MARKDOWN.parse(render_markdown(hostile(text)))
    assert sum(token.type == "th_open" for token in tokens) == 4
    assert sum(token.type == "td_open" for token in tokens) == 4


@pytest.mark.parametrize("text", HOSTILE)
def test_a_mermaid_label_ends_where_it_should(text: str) -> None:
    picture = render_markdown(hostile(text)).split("```mermaid\n")[1].split("```")[0]
    for line in picture.splitlines():
        assert re.fullmatch(
            r'flowchart LR|  n\d+\["[^"<>\[\]{}|`]*"\]|  n\d+ (==>|-\.->|-->)\|"[^"<>\[\]{}|`]*"\| n\d+|  linkStyle \d+ stroke:#\w+',
            line,
        ), line


@pytest.mark.slow
def test_a_comment_is_never_too_long() -> None:
    one = with_many(400)
    many = Difference(subjects=one.subjects * 20, compared=20)
    shown = render_markdown(many, limit=None)
    assert len(shown) <= LARGEST
    assert "more changed subjects; `meshc diff --format json` has them all" in shown
    assert len(render_markdown(one, limit=None)) <= LARGEST


# ---- html -----------------------------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """The elements of a page and what they refer to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> _Page:
    parser = _Page()
    parser.feed(page)
    return parser


@pytest.mark.parametrize("difference", ALL)
def test_a_page_asks_for_nothing_and_runs_nothing_of_users(difference: Difference) -> None:
    page = render_html(difference, limit=None)
    assert is_harmless(page)
    found = read(page)
    tags = [tag for tag, _ in found.elements]
    assert tags.count("script") == (1 if difference.subjects else 0)
    assert tags.count("style") == 1
    assert not {"img", "link", "iframe", "object", "a", "base", "embed"} & set(tags)
    for _, attributes in found.elements:
        assert not {"src", "href", "style"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]


def test_a_page_shows_everything() -> None:
    found = read(render_html(EVERYTHING))
    rows = [attributes for tag, attributes in found.elements if tag == "tr" and "data-kind" in attributes]
    kinds = [row["data-kind"] for row in rows]
    assert {"opened", "closed", "changed", "routing", "settings"} == set(kinds)
    assert "not decided" in found.text
    assert sum(tag == "path" for tag, _ in found.elements) == 6


def test_a_page_is_bounded() -> None:
    page = render_html(with_many(300))
    assert page.count("<tr data-kind=") == 400
    assert "… and 100 more" in page
    assert render_html(with_many(300), limit=None).count("<tr data-kind=") == 600


# ---- sarif ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("difference", ALL)
def test_sarif_is_well_formed(difference: Difference) -> None:
    log = json.loads(render_sarif(difference))
    assert log["version"] == "2.1.0"
    run = log["runs"][0]
    rules = [one["id"] for one in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in {"warning", "note"}
        assert result["message"]["text"]
        for location in result.get("locations", []) + result.get("relatedLocations", []):
            assert re.fullmatch(r"[!-~]+", location["physicalLocation"]["artifactLocation"]["uri"])
            assert location["physicalLocation"]["region"]["startLine"] >= 1


def test_sarif_points_at_the_new_line_and_remembers_the_old() -> None:
    result = json.loads(render_sarif(ONE))["runs"][0]["results"][0]
    assert result["ruleId"] == "access-opened"
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 14
    assert result["relatedLocations"][0]["message"]["text"] == "before: main:policies/shop.mesh:12"


def test_sarif_has_a_result_for_every_finding() -> None:
    results = json.loads(render_sarif(EVERYTHING))["runs"][0]["results"]
    names = {one["ruleId"] for one in results}
    assert {
        "access-opened",
        "access-closed",
        "refusal-changed",
        "routing-changed",
        "settings-changed",
        "mtls-weakened",
    } <= names
    assert {"presence-changed", "not-decided"} <= names
    assert len({one["partialFingerprints"]["meaning/v1"] for one in results}) == len(results)


# ---- bounds ---------------------------------------------------------------------------------------------------------


def many_ports(count: int) -> Difference:
    """Ports that differ in one setting each, every second in one of its own; the last has opened something."""
    subjects = [
        replace(
            PORT,
            subject=replace(PORT.subject, service=f"s{number:03}"),
            regions=PORT.regions if number == count - 1 else (),
            settings=(replace(SETTING, scope=None, new="5s" if number % 2 else f"{number}ms"),),
        )
        for number in range(count)
    ]
    return Difference(subjects=tuple(subjects), compared=count)


def test_what_changed_alike_is_said_once() -> None:
    for render in (render_text, render_markdown):
        shown = render(many_ports(8))
        assert "bank.s001:80, bank.s003:80, bank.s005:80, bank.s007:80" in shown
        assert "bank.s003:80" not in shown.replace("bank.s001:80, bank.s003:80", "")
    assert render_text(many_ports(8)).count("5s") == 1
    assert render_text(many_ports(8), limit=None).count("5s") == 4
    assert "bank.s005:80, bank.s007:80 and 2 more" in render_text(many_ports(12))


def test_the_gravest_are_shown_where_there_are_too_many() -> None:
    shown = render_text(many_ports(200))
    assert "… and 61 more changed subjects (--all shows them)" in shown
    assert "bank.s199:80  changed http port" in shown
    assert len(shown) < 10_000
    assert "100 more changed subjects" not in render_text(many_ports(200), limit=None)
    assert "more changed subjects; `meshc diff --format json` has them all" in render_markdown(many_ports(200))
