"""Random traffic programs: routes of all kinds on the ports of three services.

Every service is also a caller. Lines that the checker refuses (two routes that the order of specificity does not decide, a
capture that is not there) are left out until the rest is accepted, so that routes may be drawn without regard to each other.

Drawn from a `Random`, one seed a program: hypothesis repeats parts of its examples, which finds little here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from meshc.ir import Mesh
from meshc_harness.compare import analyze_text
from meshc_harness.programs import Port

TRUST_DOMAIN = "shop.example"
SERVICES = (("front", "a"), ("data", "a"), ("back", "b"))
NUMBERS = {"http": 8080, "http2": 8081, "grpc": 9090}

EXACT = ("/a", "/a/", "/a/b", "/", "/b;v", "/%20x", "/x.js")
TEMPLATES = ("/a/{id}", "/{x}/b", "/a/{id}/c", "/{x}/{id}")
REGEXES = ('re"/a/[0-9]+"', 're"/(a|b)(/.*)?"', 're".*\\\\.js"')
PREFIXES = ("/a/**", "/a/b/**", "/**", "/a/{id}/**", "/{x}/**")
RPCS = ("rpc shop.Cart/Add", "rpc shop.Cart/*", "rpc shop.Admin/Drop")
METHODS = ("", "", "", "", "GET ", "POST ", "GET|HEAD ", "DELETE ", "PURGE ")
HEADERS = ("x-a", "x-b")
TEXTS = ("yes", "no", "eu-west", "")
TEXT_REGEXES = ('re"[a-z]+"', 're"eu-.*"', 're"(yes|no)?"')
QUERIES = ("q", "debug")
QUERY_TEXTS = ("1", "on", "")
QUERY_REGEXES = ('re"[0-9]+"', 're"(on)?"')
OTHER_HOST = "beta.example"
HOST_REGEXES = ('re"[a-z.]+"', 're".*[.]b"')


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedProgram:
    """A program without errors, and what it comes to. `ports` are those that requests are sent to."""

    text: str
    mesh: Mesh
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """The services of a program: their ports, and their versions."""

    ports: tuple[Port, ...]
    versions: dict[str, tuple[str, ...]]

    def destinations(self, port: Port) -> tuple[str, ...]:
        """What a route of the port may name: versions of its own service, and other services."""
        own = tuple(f"{port.service}@{version}" for version in self.versions[port.service])
        others = tuple(
            f"{one.service}:{one.number}{version}"
            for one in self.ports
            if one.service != port.service
            for version in ("", *(f"@{name}" for name in self.versions[one.service]))
        )
        return (*own, *own, f"{port.service}:{port.number}", *others)


_ENDPOINTS = 'endpoint "10.0.0.1:15010" { version v1 weight 3 } endpoint "10.0.0.2:15010" { version v2 }'


def routed_program(rng: Random) -> RoutedProgram:
    """A program of three services, one or two of them with versions, and routes on each of their ports."""
    versions: dict[str, tuple[str, ...]] = {
        "front": rng.choice(((), ("v1", "v2"))),
        "data": (),
        "back": ("v1", "v2", "v3"),
    }
    ports: list[Port] = []
    lines = [f'mesh m {{ trust-domain "{TRUST_DOMAIN}" default access allow }}', "namespace a", "namespace b"]
    for service, namespace in SERVICES:
        own = [_port(service, namespace, protocol) for protocol in rng.sample(tuple(NUMBERS), rng.randint(1, 2))]
        ports.extend(own)
        parts = [f"port {port.number} {port.protocol}" for port in own]
        parts.extend(f"version {version}" for version in versions[service])
        # `back@v3` has no endpoint in half of the programs, and answers 503 there.
        parts.extend((_ENDPOINTS,) if service == "back" and rng.random() < 0.5 else ())
        lines.append(f"service {service} in {namespace} {{ {' '.join(parts)} }}")
    shape = _Shape(ports=tuple(ports), versions=versions)
    for port in ports:
        lines.extend(_access(rng, port))
        routes = [_route(rng, shape, port) for _ in range(rng.randint(2, 7))]
        lines.extend((f"traffic {port.service}:{port.number} {{", *_defaults(rng, shape, port), *routes, "}"))
    return _without_errors(lines, shape.ports)


def _port(service: str, namespace: str, protocol: str) -> Port:
    return Port(service=service, namespace=namespace, number=NUMBERS[protocol], protocol=protocol, has_jwt=False)


def _without_errors(lines: Sequence[str], ports: tuple[Port, ...]) -> RoutedProgram:
    """The program without the lines that errors point at. No line that opens or closes a block is ever wrong."""
    kept = list(lines)
    while True:
        text = "\n".join(kept) + "\n"
        analysis = analyze_text(text)
        wrong = {one.span.line for one in analysis.diagnostics if one.severity.value == "error"}
        if not wrong:
            assert analysis.mesh is not None
            return RoutedProgram(text=text, mesh=analysis.mesh, ports=ports)
        assert all(kept[line - 1].startswith(" ") for line in wrong), (text, analysis.diagnostics)
        kept = [line for number, line in enumerate(kept, 1) if number not in wrong]


# ---- access and defaults --------------------------------------------------------------------------------------------

_RULES = (
    "deny anyone to /deny/**",
    "deny anyone to POST /w/**",
    'deny anyone when header "x-b" == "set"',
    f'deny anyone when host == "{OTHER_HOST}"',
    'deny anyone when query "q" == "on"',
    "deny front to GET",
    "deny data",
    "allow front, back to /a/**, /w/**",
    "allow authenticated except data",
)


def _access(rng: Random, port: Port) -> list[str]:
    rules = rng.sample(_RULES, rng.randint(0, 2))
    return [f"access {port.service}:{port.number} {{", *(f"  {rule}" for rule in rules), "}"] if rules else []


def _defaults(rng: Random, shape: _Shape, port: Port) -> list[str]:
    found = [_change(rng)] if rng.random() < 0.3 else []
    found.extend(rng.choice(((), (), (), (f"split {_split(rng, shape, port)}",), ("respond 404",))))
    if rng.random() < 0.2:
        found.append("timeout 5s")
    return [f"  {setting}" for setting in found]


def _change(rng: Random) -> str:
    direction, name = rng.choice(("request", "response")), rng.choice(("x-a", "x-b", "x-new"))
    value = rng.choice(("set", "yes", "50% off", ""))
    verb = rng.choice(("set", "add", "remove"))
    return f'{verb} {direction} header "{name}"' + ("" if verb == "remove" else f' "{value}"')


def _changes(rng: Random) -> list[str]:
    return [_change(rng) for _ in range(rng.choice((0, 0, 1, 2)))]


def _split(rng: Random, shape: _Shape, port: Port) -> str:
    first, second = rng.choices(shape.destinations(port), k=2)
    share = rng.choice((0, 1, 50, 99.5, 100))
    return f"{first} {share:g}%, {second} {100 - share:g}%"


# ---- routes ---------------------------------------------------------------------------------------------------------


def _route(rng: Random, shape: _Shape, port: Port) -> str:
    """One line, indented; captures in its targets are those of its path."""
    path = rng.choice(
        rng.choice((EXACT, TEMPLATES, REGEXES, PREFIXES, PREFIXES, *(() if port.protocol == "http" else (RPCS,))))
    )
    method = "" if path.startswith("rpc ") else rng.choice(METHODS)
    parts = [f"  route {method}{path}"]
    if rng.random() < 0.4:
        parts.append("when " + " and ".join(_test(rng, port) for _ in range(rng.randint(1, 2))))
    if rng.random() < 0.2:
        parts.append("by " + rng.choice(("front", "data", "back", "front, back", "namespace a")))
    kind = rng.choice(("own", "own", "send", "send", "send", "split", "split", "redirect", "respond"))
    if kind == "send":
        parts.append("-> " + rng.choice(shape.destinations(port)))
    elif kind == "split":
        parts.append("-> " + _split(rng, shape, port))
    own = _answer(rng, path, kind) if kind in {"redirect", "respond"} else _rewrites(rng, path)
    parts.append(f"{{ {' '.join((*own, *_changes(rng)))} }}")
    return " ".join(parts)


def _test(rng: Random, port: Port) -> str:
    match rng.choice(("header", "header", "query", "host")):
        case "header":
            return f'header "{rng.choice(HEADERS)}" {_text_test(rng, TEXTS, TEXT_REGEXES)}'
        case "query":
            return f'query "{rng.choice(QUERIES)}" {_text_test(rng, QUERY_TEXTS, QUERY_REGEXES)}'
        case _:
            hosts = (port.service, f"{port.service}.{port.namespace}", OTHER_HOST)
            return f"host {_text_test(rng, hosts, HOST_REGEXES)}"


def _text_test(rng: Random, texts: Sequence[str], regexes: Sequence[str]) -> str:
    text, other = rng.choice(texts), rng.choice(texts)
    return rng.choice(
        (
            f'== "{text}"',
            f'== "{text}"',
            f'!= "{text}"',
            f'!= "{text}"',
            f'starts with "{text}"',
            f'ends with "{text}"',
            f'in ("{text}", "{other}")',
            f"matches {rng.choice(regexes)}",
            "is present",
            "is absent",
        )
    )


def _targets(path: str) -> tuple[str, ...]:
    """Paths that a route for this path may lead to."""
    names = [name for name in ("x", "id") if "{" + name + "}" in path]
    rest = ["/**"] if path.endswith("/**") else []
    with_names = [f"/w/{{{name}}}" for name in names] + [f"/{{{name}}}/w" for name in names]
    with_rest = [stem + end for stem in ("/w", "/deny", "", *with_names) for end in rest]
    return ("/w", "/w/x", "/deny/1", "/w;v/%20", *with_names, *with_rest, *with_rest)


def _answer(rng: Random, path: str, kind: str) -> list[str]:
    if kind == "respond":
        return [f"respond {rng.choice((200, 201, 204, 403, 404, 418, 503))}" + rng.choice(("", ' "no"', ' "50% off"'))]
    target = rng.choice(_targets(path))
    origin = rng.choice(("", "", "", "https://new.example", "http://new.example:81"))
    # Beside captures, Envoy cannot both keep the request's query and have one of the target's own.
    query = rng.choice(("", "", "", "?y=1")) if "{" not in target and "*" not in target else ""
    status = rng.choice(("", " status 301", " status 302", " status 303", " status 307", " status 308"))
    return [f'redirect "{origin}{target}{query}"{status}']


def _rewrites(rng: Random, path: str) -> list[str]:
    found = [f'rewrite path "{rng.choice(_targets(path))}"'] if rng.random() < 0.4 else []
    if rng.random() < 0.2:
        found.append(f'rewrite host "{rng.choice((OTHER_HOST, "Other.Example", "x.example"))}"')
    if rng.random() < 0.2:
        found.append("timeout 5s")
    return found
