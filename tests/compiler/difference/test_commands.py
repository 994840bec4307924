"""Command lines: a real shell reads back exactly what was meant, whatever the request holds."""

import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshc.difference.commands import command_of, shell_word
from meshc.ir import Protocol
from meshc.request import Request

GET = Request(identity=None, namespace="shop", service="cart", port=8080, method="GET", path="/items/1")


def words(line: str) -> list[bytes]:
    """What bash makes of a line, expansions and all."""
    script = f"set -- {line}\nprintf '%s\\0' \"$@\""
    ran = subprocess.run(["bash", "-f", "-c", script], capture_output=True, check=True)
    assert ran.stderr == b""
    return ran.stdout.split(b"\0")[:-1]


@pytest.mark.parametrize(
    ("change", "protocol", "line"),
    [
        ({}, Protocol.HTTP, "curl --globoff --path-as-is http://cart.shop:8080/items/1"),
        (
            {"method": "POST"},
            Protocol.HTTP2,
            "curl --globoff --path-as-is --http2-prior-knowledge -X POST http://cart.shop:8080/items/1",
        ),
        ({"method": "HEAD"}, Protocol.HTTP, "curl --globoff --path-as-is --head http://cart.shop:8080/items/1"),
        (
            {"headers": (("x-a", "it's"), ("x-b", ""))},
            Protocol.HTTP,
            "curl --globoff --path-as-is -H 'x-a: it'\"'\"'s' -H 'x-b;' http://cart.shop:8080/items/1",
        ),
        (
            {"host": "a.b", "query": (("x", "1"), ("y", "2"))},
            Protocol.HTTP,
            "curl --globoff --path-as-is -H 'host: a.b' 'http://cart.shop:8080/items/1?x=1&y=2'",
        ),
        (
            {"method": "POST", "path": "/bank.Admin/Close", "headers": (("x-a", ""),)},
            Protocol.GRPC,
            "grpcurl -plaintext -H x-a: cart.shop:8080 bank.Admin/Close",
        ),
        (
            {"method": "POST", "path": "/-not-a.Name/M"},
            Protocol.GRPC,
            "curl --globoff --path-as-is --http2-prior-knowledge -X POST http://cart.shop:8080/-not-a.Name/M",
        ),
        ({"method": None, "path": None}, Protocol.TCP, "nc -vz cart.shop 8080"),
        (
            {"method": None, "path": None, "sni": "a.b"},
            Protocol.TLS,
            "openssl s_client -connect cart.shop:8080 -servername a.b",
        ),
    ],
)
def test_lines(change: dict[str, object], protocol: Protocol, line: str) -> None:
    assert command_of(replace(GET, **change), protocol).line == line


def test_an_external_is_called_by_its_host() -> None:
    assert command_of(GET, Protocol.HTTPS, "api.stripe.com").line.endswith(" http://api.stripe.com:8080/items/1")


def test_notes_say_what_the_line_cannot() -> None:
    found = command_of(replace(GET, claims={"scope": "a b"}, source_ip="10.0.0.1"), Protocol.HTTP)
    assert "'authorization: Bearer TOKEN'" in found.line
    assert found.notes == ("from the address 10.0.0.1", 'TOKEN holds the claims {"scope": "a b"}')
    assert command_of(GET, Protocol.HTTP).notes == ()


HOSTILE = [
    "$(touch /tmp/x)",
    "`id`",
    "a'b",
    'a"b',
    "a\\b",
    "${HOME}",
    "a;b",
    "a|b",
    "\x1b[31m",
    "ü\udcff",
    "!!",
    "*",
    "~",
    "-n",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_shell_reads_back_what_was_meant(text: str) -> None:
    assert words(shell_word(text)) == [text.encode("utf-8", "surrogateescape")]
    assert shell_word(text).isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_requests(text: str) -> None:
    request = replace(GET, method="M$(id)", headers=(("x-a", text),), path="/a;`id`'$(id)?q=\"")
    found = words(command_of(request, Protocol.HTTP).line)
    assert found[:5] == [b"curl", b"--globoff", b"--path-as-is", b"-X", b"M$(id)"]
    assert found[5:7] == [b"-H", f"x-a: {text}".encode("utf-8", "surrogateescape")]
    assert found[7] == b"http://cart.shop:8080/a;`id`'$(id)?q=\""
    assert len(found) == 8


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_characters="\0"), max_size=12))
def test_any_text(text: str) -> None:
    encodable = text.encode("utf-8", "replace").decode()
    assert words(shell_word(encodable)) == [encodable.encode()]
