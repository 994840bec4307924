"""Random programs and requests within what Istio takes: those of the other comparisons, less what its support table refuses.

One trust domain stands in for the federated ones, a URL for the keys in a file, tcp for tls. Then every line that the
checker or the target finds an error in is left out, until the rest is accepted.
"""

import re
from dataclasses import dataclass, replace
from random import Random

from hypothesis import strategies as st

from meshc import ir
from meshc.diagnostics import Diagnostic, Severity
from meshc.ir import Mesh
from meshc.passes.support import check_support
from meshc.request import Claim, Request
from meshc.target import Target
from meshc_harness.compare import analyze_text
from meshc_harness.programs import FEDERATED, TRUST_DOMAIN, Port, RandomProgram
from meshc_harness.requests import requests_to
from meshc_harness.routed_requests import atoms_of, path_for, text_for
from meshc_harness.routes import RoutedProgram

_INSTEAD = (
    (f' also "{FEDERATED}"', ""),
    (f"spiffe://{FEDERATED}/", f"spiffe://{TRUST_DOMAIN}/"),
    ('jwks file "keys.json"', 'jwks url "https://idp.example/keys"'),
    ("port 8443 tls", "port 8443 tcp"),
)
_ENDPOINT = re.compile(r'endpoint "[^"]*" \{[^}]*\} ?')
_SETTINGS = (
    "retry 2 on 5xx, connect-failure { per-try 500ms }",
    "retry 3 on gateway-error, 418 { backoff 25ms..250ms }",
    "retry never",
    "timeout 1500ms",
    "mirror 12.5% to back@v2",
    "mirror 100% to front",
    "fault delay 200ms for 1%",
    "fault abort 503 for 0.5%",
    "fault abort 418 for 100%",
)
"""Two values for one setting are an error, so some of these are left out again."""

_STRUCTURE = ("mesh ", "namespace ", "service ", "group ", "let ", "access ", "traffic ", "}")
"""How lines begin that are never left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A program that the target takes. `dropped` counts the lines that it refused, of `lines`."""

    text: str
    mesh: Mesh
    ports: tuple[Port, ...]
    dropped: int
    lines: int


def accepted(program: RandomProgram, target: Target) -> Accepted | None:
    """The part of a program that the target takes; None where it refuses what no line can be left out for."""
    text = program.text
    for old, new in _INSTEAD:
        text = text.replace(old, new)
    ports = tuple(replace(port, protocol="tcp") if port.protocol == "tls" else port for port in program.ports)
    return accepted_text(text, ports, target)


def accepted_routes(program: RoutedProgram, target: Target, rng: Random) -> Accepted | None:
    """The part of a program of routes that the target takes, with more settings; endpoints come from Kubernetes."""
    lines: list[str] = []
    for line in _ENDPOINT.sub("", program.text).splitlines():
        lines.append(line)
        if line.startswith("traffic "):
            lines.extend(f"  {setting}" for setting in _SETTINGS if rng.random() < 0.2)
    return accepted_text("\n".join(lines), program.ports, target)


def accepted_text(text: str, ports: tuple[Port, ...], target: Target) -> Accepted | None:
    """The part of a text that the target takes; None where it refuses what no line can be left out for."""
    lines = text.splitlines()
    kept = lines
    while True:
        mesh, errors = _errors("\n".join(kept) + "\n", target)
        wrong = {one.span.line for one in errors}
        if not wrong and mesh is not None:
            removed = len(lines) - len(kept)
            return Accepted(text="\n".join(kept), mesh=mesh, ports=ports, dropped=removed, lines=len(lines))
        if not wrong or any(kept[line - 1].startswith(_STRUCTURE) for line in wrong):
            return None
        kept = [line for number, line in enumerate(kept, 1) if number not in wrong]


def _errors(text: str, target: Target) -> tuple[Mesh | None, list[Diagnostic]]:
    analysis = analyze_text(text)
    found = [one for one in analysis.diagnostics if one.severity is Severity.ERROR]
    if found or analysis.mesh is None:
        return analysis.mesh, found
    refused = [*check_support(analysis.mesh, target.name, target.support)]
    if not any(one.severity is Severity.ERROR for one in refused):
        refused += target.emit(analysis.mesh, {}).diagnostics
    return analysis.mesh, [one for one in refused if one.severity is Severity.ERROR]


_FORMS = ("{0}", "{0}", "{0}/[x]", "{0}*", "{0}=1", "{0}/c*", "{0}%5B", "{0}/")


@st.composite
def istio_requests(draw: st.DrawFn, mesh: Mesh, port: Port) -> Request:
    """A request to a port: often made to fit one of its rules, and with what Istio's own forms might stumble on.

    That is brackets and stars in paths, ports of the service in hosts, several lines of a header.
    """
    request = draw(requests_to(port))
    identity = request.identity
    if identity is not None and draw(st.booleans()):
        request = replace(request, identity=identity.replace(f"spiffe://{FEDERATED}/", f"spiffe://{TRUST_DOMAIN}/"))
    rules = _rules(mesh, port)
    is_fitted = draw(st.integers(0, 2)) > 0
    if rules and is_fitted:
        request = _fitted(Random(draw(st.integers(0, 2**32))), draw(st.sampled_from(rules)), request)
    if request.path is None or draw(st.integers(0, 3)):
        return request
    host = f"{port.service}.{port.namespace}"
    hosts = (
        None,
        host,
        f"{host}:{port.number}",
        f"{host}:{port.number + 1000}",
        f"{host}.",
        "other.example:80",
        "front",
    )
    path, mark, query = request.path.partition("?")
    more = draw(st.sampled_from(((), (("x-a", "yes"), ("x-a", "no")), (("x-b", ""),))))
    return replace(
        request,
        path=draw(st.sampled_from(_FORMS)).format(path) + mark + query,
        host=draw(st.sampled_from(hosts)),
        headers=(*request.headers, *more),
    )


def _rules(mesh: Mesh, port: Port) -> list[ir.Rule]:
    workload = next(one for one in mesh.workloads if (one.namespace, one.name) == (port.namespace, port.service))
    policy = next(one for one in workload.ports if one.number == port.number)
    return [rule for stage in policy.access for rule in stage.rules]


def _fitted(rng: Random, rule: ir.Rule, request: Request) -> Request:
    """The request with most of what the rule asks for; what it excludes counts as asked for, to come close to it."""
    who = rng.choice((*rule.principals.include, *rule.principals.exclude))
    match who:
        case ir.ExactIdentity(identity):
            request = replace(request, identity=identity)
        case ir.IdentityPrefix(prefix):
            request = replace(request, identity=f"{prefix}{rng.choice(('bot', 'sa/bot', 'sa/front'))}")
        case ir.AnyIdentity() | ir.AnyPeer():
            workload = rng.choice(("a/sa/front", "a/sa/back", "b/sa/data", "ops/sa/bot"))
            request = replace(request, identity=f"spiffe://{TRUST_DOMAIN}/ns/{workload}")
    for atom in atoms_of(rule.condition):
        if rng.random() < 0.85:
            request = _with_atom(rng, atom, request)
    return request


def _with_atom(rng: Random, atom: ir.Atom, request: Request) -> Request:
    match atom:
        case ir.AddressIn(ir.AddressOf.PEER, blocks):
            return replace(request, source_ip=str(rng.choice(blocks).network_address))
        case ir.AddressIn(_, blocks) if request.path is not None:
            line = "x-forwarded-for", str(rng.choice(blocks).network_address)
            return replace(request, headers=(*request.headers, line))
        case ir.MethodIs(methods) if request.path is not None:
            return replace(request, method=rng.choice(methods))
        case ir.PathIs(pattern) if request.path is not None:
            return replace(request, path=path_for(rng, pattern))
        case ir.HostIs(test) if request.path is not None:
            return replace(request, host=text_for(rng, test) or None)
        case ir.HeaderIs(name, test) if request.path is not None:
            kept = tuple(line for line in request.headers if line[0].lower() != name or rng.random() < 0.3)
            return replace(request, headers=(*kept, (name, text_for(rng, test))))
        case ir.ClaimIs(names, test):
            text = test.value if isinstance(test, ir.Contains) else text_for(rng, test)
            nested: Claim = text
            for name in reversed(names[1:]):
                nested = {name: nested}
            return replace(request, claims={"sub": "alice", **(request.claims or {}), names[0]: nested})
        case _:
            return request
