"""Any text at all: a result or diagnostics, in time that grows with the text and no faster."""

import time

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meshc.inventory import documents, read_inventory
from meshc.inventory.documents import MOST_REPEATED, read_documents
from meshc.inventory.nodes import ListNode, MapNode, Node, Scalar
from meshc.source import SourceFile

PIECES = st.sampled_from(
    [
        "apiVersion: v1",
        "kind: Service",
        "kind: List",
        "items:",
        "metadata:",
        "name: web",
        "spec:",
        "ports:",
        "- port: 80",
        "selector:",
        "app: web",
        "---",
        "...",
        "%YAML 1.1",
        "&a",
        "*a",
        "<<: *a",
        "{{ x }}",
        "{",
        "}",
        "[",
        "]",
        "|",
        ">-",
        "? ",
        "\n",
        "\n  ",
        "\n    ",
        "\r\n",
        "\t",
        " ",
        "#",
        "'",
        '"',
        "!!str",
        "!x",
        ": ",
        ", ",
        "\ufeff",
        "\x85",
        "\u2028",
        "é",
        "🛒",
        "kind: Deployment",
        "apiVersion: apps/v1",
        "template:",
        "containers:",
        "labels:",
        "\x00",
        "\ud800",
        "0x10",
        "\\UFFFFFFFF",
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map("".join))


@settings(max_examples=400, deadline=None)
@given(st.lists(TEXTS, max_size=3))
def test_any_text_is_read_or_reported(texts: list[str]) -> None:
    sources = [SourceFile(f"{index}.yaml", text) for index, text in enumerate(texts)]
    inventory = read_inventory(sources)
    for one in inventory.diagnostics:
        text = next(source.text for source in sources if source.path == one.span.path)
        assert 0 <= one.span.start <= one.span.end <= len(text)
        assert "\n" not in one.message


def plain(node: Node) -> object:
    match node:
        case Scalar():
            return node.text
        case ListNode():
            return [plain(one) for one in node.items]
        case MapNode():
            return {key: plain(value) for key, (_, value) in node.entries.items()}


VALUES = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=5) | st.just("a b"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=15,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text("xyz", min_size=1), VALUES), st.booleans())
def test_values_are_what_pyyaml_reads(value: object, flow: bool) -> None:  # noqa: FBT001
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    (root,) = read_documents(SourceFile("a.yaml", text)).roots
    assert plain(root) == yaml.load(text, Loader=yaml.BaseLoader)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_both_parsers_find_the_same_places(text: str) -> None:
    """Where both accept a text, the one in C and the one in Python give the same values at the same places.

    A byte order mark after the start is white space to the one, and a letter to the other.
    """
    assume("\ufeff" not in text[1:])
    results = []
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(documents, "_LOADER", loader)
            results.append(read_documents(SourceFile("a.yaml", text)))
    if not results[0].diagnostics and not results[1].diagnostics:
        assert results[0].roots == results[1].roots
        assert [shape(one) for one in results[0].roots] == [shape(one) for one in results[1].roots]


def shape(node: Node) -> object:
    match node:
        case Scalar():
            # Where a block scalar or an empty one ends, the two parsers do not agree, and nobody needs it.
            return node.span.start if node.text else None
        case ListNode():
            return [shape(one) for one in node.items]
        case MapNode():
            return [(key.span, shape(value)) for key, value in node.entries.values()]


def test_merge_keys_and_aliases_are_followed() -> None:
    text = "base: &b {a: 1, b: 2}\none: {<<: *b, b: 3}\ntwo: {<<: [{a: 0}, *b]}\nthree: *b\n"
    (root,) = read_documents(SourceFile("a.yaml", text)).roots
    assert plain(root) == {
        "base": {"a": "1", "b": "2"},
        "one": {"a": "1", "b": "3"},
        "two": {"a": "0", "b": "2"},
        "three": {"a": "1", "b": "2"},
    }


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    (found,) = read_documents(SourceFile("a.yaml", "\n".join(lines))).diagnostics
    assert found.message == f"aliases repeat more than {MOST_REPEATED} values"


def test_an_alias_within_its_own_anchor_stands_for_nothing() -> None:
    (found,) = read_documents(SourceFile("a.yaml", "a: &a [*a]\n")).diagnostics
    assert found.message == "`*a` stands for nothing"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 300_000,
        "{" * 300_000,
        "- " * 300_000,
        "? " * 300_000,
        "a: " * 100_000,
        "---\n" * 100_000,
        "--- [\n" * 3_000,
        "x: &a b\n" + "- *a\n" * 100_000,
        "%YAML 1.1\n" * 100_000,
        "#\n" * 300_000,
        "a: '" + "x" * 300_000,
        "".join(f"k{i}: v\n" for i in range(50_000)),
        "&a " * 100_000,
        "".join(f"---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{i}}}\n" for i in range(2_000)),
    ],
)
def test_hostile_texts_take_bounded_time(text: str) -> None:
    started = time.process_time()
    read_inventory([SourceFile("a.yaml", text)])
    assert time.process_time() - started < 5


def test_many_services_with_the_same_many_pods_take_bounded_time() -> None:
    """Half a mebibyte in which every Service picks every pod, and no two pods agree."""
    service = "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{0}}}\nspec: {{selector: {{a: x}}, ports: [{{port: 80}}]}}\n"
    pod = (
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{0}, labels: {{a: x, version: v{0}}}}}\n"
        "spec: {{serviceAccountName: a{0}, containers: [{{livenessProbe: {{tcpSocket: {{port: {1}}}}}}}]}}\n"
    )
    text = "".join(service.format(i) + pod.format(i, i + 1) for i in range(2_000))
    started = time.process_time()
    inventory = read_inventory([SourceFile("a.yaml", text)])
    assert time.process_time() - started < 5
    assert {one.name for one in inventory.diagnostics} == {"inventory-invalid", "inventory-omitted"}
