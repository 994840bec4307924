"""The printer, against PyYAML: everything is read back as it was, and the layout is the one of block style."""

from types import MappingProxyType

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from meshc.target import Json
from meshc.yaml_printer import print_documents, print_yaml

TEXTS = st.text(max_size=30) | st.sampled_from(
    [
        *(
            "no",
            "Yes",
            "ON",
            "off",
            "y",
            "N",
            "true",
            "NULL",
            "~",
            "null",
            "1e3",
            "0x1",
            "0o7",
            "1_000",
            "1:20",
            "-1",
            "+.5",
        ),
        *(
            "---",
            "...",
            "- a",
            "a: b",
            "a:",
            ":a",
            "a #b",
            "#",
            "%REQ(:path)%",
            "=",
            "<<",
            "!tag",
            "&a",
            "*a",
            "|",
            ">",
        ),
        *(
            "@type",
            "`",
            "{",
            "}",
            "[",
            "]",
            ",",
            "?",
            "? a",
            " a",
            "a ",
            "\t",
            "a\tb",
            "'",
            '"',
            "''",
            "it's",
            "\\",
            "a\\nb",
        ),
        *(
            "\n",
            "a\nb",
            "\na",
            "a\n",
            "a\r\nb",
            "\0",
            "\x07",
            "\x7f",
            "\x85",
            "\xa0",
            "\u2028",
            "\ufeff",
            "\ufffe",
            "é",
            "😀",
        ),
        *(
            "2027-03-31",
            "12:30:45",
            ".inf",
            ".nan",
            "",
            "x" * 2000,
            "é" * 1100,
            ".",
            "..",
            "-",
            "--",
            "/",
            "//a",
            "http://a:1/b",
        ),
    ]
)
NUMBERS = st.integers() | st.floats(allow_nan=False)
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@example({"a": [[], {}, [[1, [2]], {"b": {"c": []}}], None]})
@example([{"a": [{"b": 1, "c": 2}], "d": [[["x"]]]}])
@example({"x" * 2000: [{"y" * 2000: {"z" * 2000: 1}}]})
def test_is_read_back(value: Json) -> None:
    """load . print == id"""
    assert yaml.safe_load(print_yaml(value)) == value


@given(st.lists(VALUES, max_size=4))
def test_documents_are_read_back(values: list[Json]) -> None:
    text = print_documents(values)
    assert list(yaml.safe_load_all(text)) == values


def test_every_awkward_character() -> None:
    codes = [*range(0x250), 0x2028, 0x2029, 0x202A, 0xD800, 0xDFFF, 0xFEFF, 0xFFFE, 0xFFFF, 0x10FFFF]
    texts = [text for code in codes for c in [chr(code)] for text in (c, f"a{c}", f"{c}a", f"a {c} b", c + c)]
    assert yaml.safe_load(print_yaml(texts)) == texts
    assert yaml.safe_load(print_yaml(dict.fromkeys(texts))) == dict.fromkeys(texts)


def test_types_are_kept() -> None:
    value: dict[str, Json] = {"a": True, "b": 1, "c": 1.0, "d": "1", "e": None, "f": 1e300, "g": "true", "h": 5e-324}
    read = yaml.safe_load(print_yaml(value))
    assert read == value
    assert {key: type(item) for key, item in read.items()} == {key: type(item) for key, item in value.items()}


def test_infinities() -> None:
    assert print_yaml([float("inf"), float("-inf"), float("nan")]) == "- .inf\n- -.inf\n- .nan\n"


def test_layout() -> None:
    value: Json = {
        "name": "outbound",
        "@type": "type.googleapis.com/envoy.X",
        "empty": {},
        "none": [],
        "domains": ["*", "payments.bank:8080"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "a"}}, [1, 2]],
    }
    assert print_yaml(value) == (
        "name: outbound\n"
        "'@type': type.googleapis.com/envoy.X\n"
        "empty: {}\n"
        "none: []\n"
        "domains:\n"
        "- '*'\n"
        "- payments.bank:8080\n"
        "routes:\n"
        "- match:\n"
        "    prefix: /\n"
        "  route:\n"
        "    cluster: a\n"
        "- - 1\n"
        "  - 2\n"
    )


def test_mappings_and_sequences_of_any_class() -> None:
    assert print_yaml(MappingProxyType({"a": (1, MappingProxyType({"b": 2}))})) == "a:\n- 1\n- b: 2\n"
    assert print_yaml(()) == "[]\n"
    assert print_yaml("a") == "a\n"


def test_documents_are_separated() -> None:
    assert print_documents([{"a": 1}, {"b": 2}]) == "a: 1\n---\nb: 2\n"
    assert print_documents([]) == ""
