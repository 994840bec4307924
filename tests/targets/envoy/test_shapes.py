"""The small pure parts: expressions, names, sizes, and what is refused for its spelling alone."""

import pytest
import re2

from envoy_lab import compile_mesh, shown
from meshc import ir
from meshc_envoy import emit, inbound_ports, tcp_listener_ports
from meshc_envoy.atom_limits import program_size
from meshc_envoy.queries import query_expression
from meshc_envoy.shapes import seconds
from meshc_envoy.text_matchers import quote, spells_upper_case, trimmed_matcher

SERVICES = """
mesh shop { trust-domain "mesh.local" default access allow }
namespace shop
service cart in shop
service orders in shop { port 81 http port 80 http port 5432 tcp port 443 tls endpoint "10.0.0.1:9000" endpoint "10.0.0.2:9001" }
"""


def fullmatch(expression: str, text: str) -> bool:
    return re2.fullmatch(expression.encode(), text.encode("latin-1")) is not None


@pytest.mark.parametrize(("milliseconds", "text"), [(0, "0s"), (5, "0.005s"), (1500, "1.5s"), (60_000, "60s")])
def test_durations(milliseconds: int, text: str) -> None:
    assert seconds(milliseconds) == text


def test_quote_is_exact() -> None:
    for code in range(1, 128):
        text = f"a{chr(code)}b"
        assert fullmatch(quote(text), text)
        assert not fullmatch(quote(text), "axxb")


TRIMMED = (
    (ir.Equals("a b"), ("a b", " a b", "a b\t "), ("a  b", "a", "xa b")),
    (ir.Equals(""), ("", " ", "\t"), ("a",)),
    (ir.StartsWith("a"), ("a", " ab", "a \xff"), ("b", "ba")),
    (ir.StartsWith("a "), ("a b", " a  b "), ("a", "a ", "ab")),
    (ir.EndsWith("a"), ("a", "ba  ", "\xffa"), ("ab",)),
    (ir.EndsWith(" a"), ("b a", "b  a "), ("a", " a", "ba")),
    (ir.Matches("a|bc"), ("a", "bc", " bc "), ("ac", "abc")),
)


@pytest.mark.parametrize(("test", "yes", "no"), TRIMMED)
def test_trimmed(
    test: ir.Equals | ir.StartsWith | ir.EndsWith | ir.Matches, yes: tuple[str, ...], no: tuple[str, ...]
) -> None:
    matcher = trimmed_matcher(test)
    assert matcher is not None
    inner = matcher["safe_regex"]
    assert isinstance(inner, dict)
    for text in yes:
        assert fullmatch(str(inner["regex"]), text), text
    for text in no:
        assert not fullmatch(str(inner["regex"]), text), text


@pytest.mark.parametrize("test", [ir.Equals("a "), ir.StartsWith(" a"), ir.EndsWith("a\t")])
def test_what_no_trimmed_value_can_be(test: ir.Equals | ir.StartsWith | ir.EndsWith) -> None:
    assert trimmed_matcher(test) is None


@pytest.mark.parametrize("name", ["a", "ab", "aba", "a-b", "x.y", "aaa"])
def test_query_expressions_see_the_first_value(name: str) -> None:
    expression = query_expression(name, ir.Equals("1"))
    assert expression is not None
    others = ["b", "a", "ab", "aa", "aab", f"{name}x", f"x{name}", name[:-1], name.upper(), ""]
    others = [other for other in others if other != name]
    for other in others:
        for parameter in (other, f"{other}=", f"{other}=1", f"{other}={name}=1"):
            assert fullmatch(expression, f"/p?{parameter}&{name}=1&{parameter}"), parameter
            assert not fullmatch(expression, f"/p?{parameter}"), parameter
            assert not fullmatch(expression, f"/p?{parameter}&{name}=2&{name}=1"), parameter
    assert not fullmatch(expression, f"/p&{name}=1")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"[a-z]+\.shop", False),
        (r"\S+\W\D\B", False),
        (r"(?P<Name>a)", False),
        (r"A", True),
        (r"[A-z]", True),
        (r"\x41", True),
        (r"\p{Lu}", True),
        (r"[[:upper:]]", True),
    ],
)
def test_upper_case(pattern: str, *, expected: bool) -> None:
    assert spells_upper_case(pattern) is expected


def test_program_size() -> None:
    assert program_size("a") < 10
    assert program_size("(a{1,100}b){1,9}") > 1000
    assert program_size("(") == 0


def test_ports_are_stable() -> None:
    mesh = compile_mesh(SERVICES)
    orders = next(one for one in mesh.workloads if one.name == "orders")
    assert {port.number: inbound_ports(orders, port) for port in orders.ports} == {
        80: (9000, 9001),
        81: (15011,),
        443: (15012,),
        5432: (15013,),
    }
    once = tcp_listener_ports(mesh)
    assert set(once) == {"shop/orders:443", "shop/orders:5432"}
    more = tcp_listener_ports(compile_mesh(SERVICES + "service extra in shop { port 1 tcp }"))
    assert {key: more[key] for key in once} == once


@pytest.mark.parametrize(
    ("addition", "text"),
    [
        ('external a in shop { host "orders.shop" port 80 http }', "cannot mean"),
        (
            'external a in shop { host "x.y" port 80 http } external b in shop { host "x.y" port 80 http }',
            "cannot mean",
        ),
        (
            "access orders:443 { allow anyone when "
            + " and ".join(f'(sni == "a{i}" or source ip in (10.{i}.0.0/16))' for i in range(7))
            + " }",
            "policies",
        ),
        (
            "access orders:80 { allow anyone to /x when "
            + " or ".join(f'query "a{i}" matches re"b+"' for i in range(7))
            + " }",
            "query patterns",
        ),
    ],
)
def test_what_is_refused_for_its_spelling(addition: str, text: str) -> None:
    emission = emit(compile_mesh(SERVICES + addition))
    assert emission.documents == ()
    assert any(text in one.message for one in emission.diagnostics), [shown(one) for one in emission.diagnostics]


def test_waiting_for_the_caller_is_said() -> None:
    emission = emit(compile_mesh(SERVICES + "access orders:5432 { allow cart from 10.0.0.0/8 }"))
    assert [one.name for one in emission.diagnostics] == ["target-differs"]
    assert emit(compile_mesh(SERVICES + "access orders:5432 { allow cart }")).diagnostics == ()
