"""The request model is a real Envoy's: `normalize` against Envoy 1.40, over tables and over random requests."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from meshc.request import Request
from meshc.semantics import Malformed, is_comparable, normalize
from meshc.semantics.addresses import read_address
from meshc.semantics.facts import Facts

slow = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def observe(
    path: str = "/", *, host: str | None = "h", headers: tuple[tuple[str, str], ...] = (), trusted_hops: int = 0
) -> Facts | Malformed:
    request = Request(
        identity=None, namespace="n", service="s", port=80, method="GET", path=path, host=host, headers=headers
    )
    return normalize(request, default_host="s.n", trusted_hops=trusted_hops)


def modelled_path(target: str) -> tuple[int, str | None]:
    facts = observe(target)
    if isinstance(facts, Malformed):
        return 400, None
    query = "" if facts.query_text is None else f"?{facts.query_text}"
    return 200, f"{facts.path}{query}"


PATHS = """
/ /a /a/ /a/b /a/. /a/.. /a/./ /a/../ /.. /../.. /./ /./. /a/./b /a/../b /a/b/../../c /a//b /a///b //a //a//b// /a//
/a//.. /a//../b //.. /a/b/..//c //../..//a /a///../b /a/..//b /a/b//../../c /a/.//b ///a/../b //./a /.//a
/%2e /%2e%2e /%2E%2e/a /a/%2E. /a/.%2e/b /a/%2e/b /a/%2e%2e/b /x/%2E%2E/%61dmin /%61dmin /a%7Eb /a%2Db /%41%5A%30
/a%20b /a%ff /a%FF /a%3a /a%3F /a%23 /a%25 /a%252e /%25%32%65 /x/%252e%252e/admin /%25%36%31dmin
/a% /a%2 /a%zz /a%2%2e /a%g0 /%%32e /%%32%65 /%2%65 /%%%32e /%%32%35%32e /%%61 /%%20 /%2%20 /a%%2 /%%3 /%2g%65 /%25%2e
/%%32F /%2%46 /%%30%30 /%%30 /%0%30 /%%35c /%5%63
/a%2Fb /a%2fb /%2F /a%5Cb /a%5c /a%00 /%00 /x%2f..%2fadmin /a/%2e%2e%2fb
/a#b /#  /a?b#c #a a a/b .. ?x ; *
/a?b /? /a? /a?b=c&b=d /a?%2f /a?%00 /a?\\ /a?// /a?/../b /a?b?c /a/..?x /a?%61 /%3Fa
/a\\b /a\\..\\b /x\\..\\admin \\a /\\a /a\\ /a\\\\b /\\ /a/..\\b
/a"b /a<b /a>b /a^b /a{b /a|b /a}b /a`b /{a}/b /a/"/.. /a'b /a!$&()*+,=:@~b /a[b] /a_b /a;b
/... /.../.. /a.. /a./b /.a /..a /a/...b /. /.;a/.. /a;.. /a/;/b /;/admin /a;x/../b /; /a;/.. /Admin /a/b;c=d
""".split()


@pytest.mark.parametrize("target", PATHS)
def test_path_is_envoys(mirror, target: str) -> None:
    if is_comparable(target):
        assert modelled_path(target) == mirror.path(target.encode())


@pytest.mark.parametrize(
    "target", ["//", "///", "/a/..//", "/.//", "/..;x", "/.;/a", "/a/..;b=c/d", "/%2e%2e;x", "/.%2e;a"]
)
def test_paths_that_are_left_out_still_follow_envoy(mirror, target: str) -> None:
    assert not is_comparable(target)
    assert modelled_path(target) == mirror.path(target.encode())


@pytest.mark.parametrize("code", [code for code in range(256) if code not in {0x0A, 0x0D}])
def test_each_raw_byte_is_treated_as_envoy_does(mirror, code: int) -> None:
    for before, after in (("/a", "b"), ("/a?", "b")):
        target = f"{before}{chr(code)}{after}"
        assert modelled_path(target) == mirror.path(target.encode("latin-1"))


@pytest.mark.parametrize("code", range(256))
def test_each_escape_is_treated_as_envoy_does(mirror, code: int) -> None:
    for escape in {f"%{code:02X}", f"%{code:02x}"}:
        target = f"/a{escape}b"
        assert modelled_path(target) == mirror.path(target.encode())


PIECES = ["/", "/", "/", ".", ".", "a", "b", "2", "e", "E", "5", "%", "%2e", "%2E", "%61", "%41", "%25", "%20", "%32", "%65",
          "%2f", "%5c", "\\", ";", "=", '"', "<", "{", "}", "`", "^", "|", "?", "&", "~", "-", "_", "#", "%00", "%ff", "é"]  # fmt: skip
targets = st.lists(st.sampled_from(PIECES), max_size=14).map(lambda pieces: "/" + "".join(pieces))


@slow
@given(targets)
@example("/%%%32%65")
def test_random_paths_are_envoys(mirror, target: str) -> None:
    if is_comparable(target):
        assert modelled_path(target) == mirror.path(target.encode())


HOSTS = """a A.b a.b. a.b.:80 a.b:80 a.b:80. a.. a. . :80 a:99999 a:0 a:4294967295 [::1] [::1]:80 a_b a%41 a/b a?b a#b
a"b a\\b {a} a|b a`b a^b <a> a.:80. *.a [::1].:80 [::1.]:8 a:00000000000080""".split()


@pytest.mark.parametrize("host", ["", "a b", "é", *HOSTS])
def test_host_is_envoys_in_lower_case(mirror, host: str) -> None:
    status, headers = mirror.ask(b"GET / HTTP/1.1\r\nhost: " + host.encode() + b"\r\n")
    facts = observe(host=host)
    if isinstance(facts, Malformed):
        assert status == 400
    else:
        assert (status, headers["x-host"].lower()) == (200, f"[{facts.host}]")


@pytest.mark.parametrize("code", [code for code in range(256) if code not in {0x0A, 0x0D}])
def test_each_byte_of_a_header_is_treated_as_envoy_does(mirror, code: int) -> None:
    name, value = f"x-{chr(code)}y", f"a{chr(code)}b"
    if chr(code) != ":":
        status, _ = mirror.ask(b"GET / HTTP/1.1\r\nhost: h\r\n" + f"{name}: 1\r\n".encode("latin-1"))
        assert status == (400 if isinstance(observe(headers=((name, "1"),)), Malformed) else 200)
    status, _ = mirror.ask(b"GET / HTTP/1.1\r\nhost: h\r\n" + f"x-tested: {value}\r\n".encode("latin-1"))
    assert status == (400 if isinstance(observe(headers=(("x-tested", value),)), Malformed) else 200)


@pytest.mark.parametrize("value", ["", " ", " a", "a\t", "\t a b \t", "a,b", " a , b ", "\xa0a", "a\tb"])
def test_header_values_are_trimmed_as_envoy_trims(mirror, value: str) -> None:
    _, headers = mirror.ask(b"GET / HTTP/1.1\r\nhost: h\r\n" + f"X-Tested:{value}\r\n".encode("latin-1"))
    facts = observe(headers=(("X-Tested", value),))
    assert isinstance(facts, Facts)
    assert headers["x-seen"] == f"[{facts.headers['x-tested'][0]}]"


FORWARDED = [
    [], [""], ["1.2.3.4"], ["1.2.3.4, 5.6.7.8"], ["1.2.3.4,5.6.7.8 , 9.9.9.9"], ["1.2.3.4", "5.6.7.8"], ["junk, 5.6.7.8"],
    ["5.6.7.8, junk"], ["5.6.7.8:80"], ["[::1]:80"], ["::1"], ["::ffff:1.2.3.4"], ["[::1]"], ["1.2.3.4,"], [","],
    ["1.2.3.4,,"], ["010.1.1.1"], ["2001:db8::1, fe80::1%eth0"], ["fe80::1%1"], ["1.2.3.4\t,\t5.6.7.8"], ["1.2.3"],
]  # fmt: skip


@pytest.mark.parametrize("values", FORWARDED)
def test_client_address_is_envoys(mirror_behind_hops, values: list[str]) -> None:
    hops, envoy = mirror_behind_hops
    lines = b"".join(b"x-forwarded-for: " + value.encode() + b"\r\n" for value in values)
    _, headers = envoy.ask(b"GET / HTTP/1.1\r\nhost: h\r\n" + lines)
    facts = observe(headers=tuple(("x-forwarded-for", value) for value in values), trusted_hops=hops)
    assert isinstance(facts, Facts)
    assert facts.client == read_address(headers["x-client"].strip("[]"))
