"""Collect what some ports and questions look at: every test once, in the order met, by the variable that it belongs to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from meshc.ir import (
    AddressIn,
    AddressOf,
    AllOf,
    AnyIdentity,
    AnyOf,
    AnyPeer,
    Atom,
    ClaimIs,
    Condition,
    Contains,
    ExactIdentity,
    HeaderIs,
    HostIs,
    IdentityPrefix,
    IpBlock,
    MethodIs,
    Not,
    PathIs,
    PathPattern,
    Principals,
    QueryIs,
    SniIs,
    TextTest,
)
from meshc.semantics.normalize import normalize_headers
from meshc.semantics.paths import RefusedError, split_target
from meshc.semantics.regions.ports import PortSide, View
from meshc.semantics.regions.variables import CallerTest, HasIdentity, InTrustDomain


@dataclass(frozen=True, slots=True, kw_only=True)
class Literals:
    """The tests. Dictionaries stand for ordered sets.

    `clients` are blocks for the client's address, by how many hops are trusted, at least 1. `issuers` and `audiences` are
    those of the ports' token providers.
    """

    callers: dict[CallerTest, None] = field(default_factory=dict)
    peers: dict[IpBlock, None] = field(default_factory=dict)
    clients: dict[int, dict[IpBlock, None]] = field(default_factory=dict)
    methods: dict[str, None] = field(default_factory=dict)
    paths: dict[PathPattern, None] = field(default_factory=dict)
    hosts: dict[TextTest, None] = field(default_factory=dict)
    server_names: dict[TextTest, None] = field(default_factory=dict)
    queries: dict[str, dict[TextTest, None]] = field(default_factory=dict)
    headers: dict[str, dict[TextTest, None]] = field(default_factory=dict)
    claims: dict[tuple[str, ...], dict[TextTest | Contains, None]] = field(default_factory=dict)
    issuers: dict[str, None] = field(default_factory=dict)
    audiences: dict[str, None] = field(default_factory=dict)

    def add_side(self, side: PortSide) -> None:
        """What the connections, tokens and rules of a port look at."""
        view = side.view
        if not view.hides_identities and not side.is_external:
            self.callers[HasIdentity()] = None
            self.callers.update((InTrustDomain(domain), None) for domain in side.mesh.trust_domains)
        for provider in view.providers:
            self.issuers[provider.issuer] = None
            self.audiences.update(dict.fromkeys(provider.audiences))
        for _, stage in side.stages:
            for rule in stage.rules:
                if not view.hides_identities:
                    self.add_principals(rule.principals)
                self.add_condition(view, rule.condition)

    def add_principals(self, principals: Principals) -> None:
        """What a list of principals looks at."""
        for one in (*principals.include, *principals.exclude):
            match one:
                case ExactIdentity() | IdentityPrefix():
                    self.callers[one] = None
                case AnyIdentity():
                    self.callers[HasIdentity()] = None
                case AnyPeer():
                    pass
                case _:
                    assert_never(one)

    def add_condition(self, view: View, condition: Condition) -> None:
        """What a condition looks at, as a port with this view sees requests."""
        match condition:
            case AllOf(conditions=parts) | AnyOf(conditions=parts):
                for part in parts:
                    self.add_condition(view, part)
            case Not(condition=inner):
                self.add_condition(view, inner)
            case _:
                if can_hold(view, condition):
                    self._add_atom(view, condition)

    def _add_atom(self, view: View, atom: Atom) -> None:
        match atom:
            case MethodIs(methods=methods):
                self.methods.update(dict.fromkeys(methods))
            case PathIs(pattern=pattern):
                self.paths[pattern] = None
            case HostIs(test=test):
                self.hosts[test] = None
            case HeaderIs(name=name, test=test):
                self.headers.setdefault(name, {})[test] = None
            case QueryIs(name=name, test=test):
                self.queries.setdefault(name, {})[test] = None
            case ClaimIs(path=path, test=claim_test):
                self.claims.setdefault(path, {})[claim_test] = None
            case SniIs(test=test):
                self.server_names[test] = None
            case AddressIn(address=address, blocks=blocks):
                hops = hops_of(view, address)
                found = self.peers if hops == 0 else self.clients.setdefault(hops, {})
                found.update(dict.fromkeys(blocks))
            case _:
                assert_never(atom)


def collect_literals(sides: Iterable[PortSide]) -> Literals:
    """What some ports look at."""
    literals = Literals()
    for side in sides:
        literals.add_side(side)
    return literals


def hops_of(view: View, address: AddressOf) -> int:
    """How many trusted hops away an address is looked for; 0 for the peer's own, and so on connections."""
    return view.trusted_hops if address is AddressOf.CLIENT else 0


def can_hold(view: View, atom: Atom) -> bool:
    """Whether a test can hold of any request to a port; False where what it looks at is not there, or never arrives."""
    match atom:
        case PathIs() | MethodIs() | HostIs():
            return view.is_http
        case HeaderIs(name=name):
            return view.is_http and header_arrives(name)
        case QueryIs(name=name):
            return view.is_http and query_arrives(name)
        case ClaimIs(path=path):
            return bool(view.providers) and bool(path)
        case SniIs() | AddressIn():
            return True
        case _:
            assert_never(atom)


def header_arrives(name: str) -> bool:
    """Whether rules ever see a header of this name: some are refused, and those that could spoof are dropped."""
    try:
        return name in normalize_headers(((name, ""),))
    except RefusedError:
        return False


def query_arrives(name: str) -> bool:
    """Whether a parameter of this name can stand in a request target."""
    if "&" in name or "=" in name:
        return False
    try:
        return split_target(f"/?{name}=") == ("/", f"{name}=")
    except RefusedError:
        return False
