"""Random programs of the kind that meshes on Kubernetes can mostly express, and requests that nearly fit them.

Drawn from a `Random`, one seed a program. A program tests each header in one way, since Linkerd can; what a target still cannot
express is cut out by `expressed`.
"""

from random import Random

from meshc.request import Request
from meshc_harness.programs import Port

TRUST_DOMAIN = "shop.example"
SERVICES = (("front", "a"), ("back", "a"), ("data", "b"))
_NUMBERS = {"http": 8080, "http2": 8081, "grpc": 9090, "tcp": 5432}
_PATHS = (
    "/a",
    "/a/",
    "/a/b",
    "/a/{id}",
    "/a/{id}/c",
    "/a/**",
    "/a/b/**",
    "/{x}/b",
    "/**",
    "/",
    "/a/b/c",
    "/{x}/{y}",
    "/ab",
    "/a/{id}/**",
)
_METHODS = ("GET", "POST", "GET|HEAD", "DELETE", "PATCH|PUT")
_RPCS = ("rpc shop.Cart/Add", "rpc shop.Cart/Get", "rpc shop.Cart/*", "rpc shop.Admin/*")
_CIDRS = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.168.0.0/24", "2001:db8::/32", "0.0.0.0/0")
_SOURCES = (
    "front",
    "back",
    "data",
    "namespace a",
    "namespace b",
    "authenticated",
    "anyone",
    "front, data",
    "front, back",
)
_TESTS = ('== "yes"', '!= "yes"', 'starts with "y"', 'ends with "s"', "is present", "is absent", 'in ("yes", "no")')
_HOSTS = ('host == "front.a"', 'host ends with ".example"', 'host == "api.other.example"', 'host starts with "front"')
_STEMS = (
    "/a", "/a/b", "/a/b/c", "/a/1", "/a/1/c", "/b", "/", "/x/b", "/ab", "/a/", "/shop.Cart/Add", "/shop.Cart/Get", "/shop.Admin/Drop",
    "/grpc.health.v1.Health/Check", "/live",
)  # fmt: skip
_TWISTS = (
    "{0}", "{0}", "{0}", "{0}", "{0}", "{0}/", "{0}/x", "{0}x", "/{0}", "/.{0}", "/x/..{0}", "{0}/../a", "{0}//", "{0}?x=/a",
    "{0}%2fa", "{0}%2e", "{0};p", "{0}/%2e%2e", "{0}%61", "{0}%2561", "{0}\\b", "{0}/..", "{0}/.", "{0}%7E", "{0}^", "{0}/%E2%82%AC",
    "{0}/...", "{0}/.x", "{0}/..x", "{0}%20",
)  # fmt: skip


def cluster_program(rng: Random) -> tuple[str, tuple[Port, ...]]:
    """A program's text and its ports."""
    lines = [
        f'mesh m {{ trust-domain "{TRUST_DOMAIN}" default access {rng.choice(("deny", "deny", "allow"))} }}',
        rng.choice(
            ("namespace a", "namespace a", "namespace a { default access allow }", "namespace a { mtls permissive }")
        ),
        "namespace b",
    ]
    ports: list[Port] = []
    for name, namespace in SERVICES:
        spoken = rng.sample(sorted(_NUMBERS), rng.randint(1, 2))
        listed = " ".join(f"port {_NUMBERS[one]} {one} target {_NUMBERS[one] + 1000}" for one in spoken)
        probe = rng.choice(("", "", f"probe GET /live on {_NUMBERS[spoken[0]] + 1000}")) if spoken[0] != "tcp" else ""
        lines.append(f"service {name} in {namespace} {{ {listed} {probe} }}")
        ports += [
            Port(service=name, namespace=namespace, number=_NUMBERS[one], protocol=one, has_jwt=False) for one in spoken
        ]
    tests = {name: rng.choice(_TESTS) for name in ("x-a", "x-b")}
    for port in ports:
        rules = [_rule(rng, port.protocol, tests) for _ in range(rng.randint(0, 4))]
        lines += [f"access {port.service}:{port.number} {{", *(f"  {rule}" for rule in rules), "}"]
    if rng.random() < 0.3:
        lines += ["access namespace a {", f"  {_rule(rng, 'any', tests)}", "}"]
    return "\n".join(lines) + "\n", tuple(ports)


def _rule(rng: Random, protocol: str, tests: dict[str, str]) -> str:
    parts = [rng.choice(("allow", "allow", "deny")), rng.choice(_SOURCES)]
    if rng.random() < 0.25:
        parts.append("except " + rng.choice(("front", "back", "namespace b")))
    if rng.random() < 0.25:
        parts.append("from " + ", ".join(rng.sample(_CIDRS, rng.choice((1, 1, 2)))))
    if protocol != "tcp":
        if rng.random() < 0.75:
            parts.append("to " + ", ".join(_operation(rng, protocol) for _ in range(rng.choice((1, 1, 2, 3)))))
        if rng.random() < 0.35:
            parts.append("when " + _condition(rng, tests))
    return " ".join(parts)


def _operation(rng: Random, protocol: str) -> str:
    if protocol in {"http2", "grpc"} and rng.random() < 0.5:
        return rng.choice(_RPCS)
    path, method = rng.choice(_PATHS), rng.choice(_METHODS)
    return rng.choice((path, method, f"{method} {path}", f"{method} {path}"))


def _condition(rng: Random, tests: dict[str, str]) -> str:
    def leaf() -> str:
        if rng.random() < 0.25:
            return rng.choice(_HOSTS)
        name = rng.choice(sorted(tests))
        shown = f'header "{name}" {tests[name]}'
        return f"not ({shown})" if rng.random() < 0.25 else shown

    if rng.random() < 0.6:
        return leaf()
    return f"{leaf()} {rng.choice(('and', 'or'))} {leaf()}"


_IDENTITIES = (
    f"spiffe://{TRUST_DOMAIN}/ns/a/sa/front",
    f"spiffe://{TRUST_DOMAIN}/ns/a/sa/front",
    f"spiffe://{TRUST_DOMAIN}/ns/a/sa/back",
    f"spiffe://{TRUST_DOMAIN}/ns/b/sa/data",
    f"spiffe://{TRUST_DOMAIN}/ns/a/sa/frontx",
    f"spiffe://{TRUST_DOMAIN}/ns/ab/sa/front",
    None,
)
_ADDRESSES = ("10.1.2.3", "10.1.2.4", "10.2.0.1", "11.0.0.1", "192.168.0.9", "192.168.1.9", "2001:db8::1")
_VALUES = ("yes", "no", "y", "s", "", "other", "yes,no", "Yes")


def cluster_request(rng: Random, port: Port) -> Request:
    """A request to a port."""
    address, identity = rng.choice(_ADDRESSES), rng.choice(_IDENTITIES)
    if port.protocol == "tcp":
        return Request(
            identity=identity, namespace=port.namespace, service=port.service, port=port.number, source_ip=address
        )
    names = ("x-a", "x-b", "X-A", "x-c")
    return Request(
        identity=identity,
        namespace=port.namespace,
        service=port.service,
        port=port.number,
        method=rng.choice(("GET", "GET", "POST", "POST", "HEAD", "DELETE", "PUT", "OPTIONS")),
        path=rng.choice(_TWISTS).format(rng.choice(_STEMS)),
        headers=tuple((rng.choice(names), rng.choice(_VALUES)) for _ in range(rng.randint(0, 3))),
        host=rng.choice(
            (None, None, "front.a", "FRONT.a.", "front.a:8080", "api.other.example", "x.example", "front.a:99")
        ),
        source_ip=address,
    )
