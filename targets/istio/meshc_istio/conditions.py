"""Conditions: one alternative of a rule -> the fields of an Istio rule.

`refuses` says on which side the safe one lies. A header is compared as one value, its lines joined by commas in the proxies of
older releases: a caller who sends it twice evades a deny, so a header may only help to allow.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, collapse_addresses
from typing import Final, assert_never

from meshc import ir
from meshc_istio.resources.security import Operation, Source, When
from meshc_istio.strings import Texts, exact, host_forms, path_forms, plain_test
from meshc_istio.terms import InexpressibleError, Literal, Term

_SPLIT_CLAIMS: Final = frozenset({"scope", "permission"})
"""Claims that Istio splits at blanks; every other text is compared as a whole."""


@dataclass(slots=True)
class Fields:
    """The fields of one alternative, as they fill up. None stands for no demand; an empty tuple can never hold."""

    methods: Texts | None = None
    not_methods: list[str] = field(default_factory=list)
    paths: Texts | None = None
    path: ir.PathPattern | None = None
    not_paths: list[str] = field(default_factory=list)
    hosts: Texts | None = None
    not_hosts: list[str] = field(default_factory=list)
    blocks: dict[ir.AddressOf, tuple[ir.IpBlock, ...]] = field(default_factory=dict)
    not_blocks: dict[ir.AddressOf, list[ir.IpBlock]] = field(default_factory=dict)
    when: list[When] = field(default_factory=list)
    is_possible: bool = True

    def operation(self, port: int | None) -> Operation:
        """The `to` part, on a workload's port."""
        return Operation(
            ports=None if port is None else (str(port),),
            hosts=self.hosts,
            not_hosts=tuple(self.not_hosts) or None,
            methods=self.methods,
            not_methods=tuple(self.not_methods) or None,
            paths=self.paths,
            not_paths=tuple(self.not_paths) or None,
        )

    def source(self) -> Source:
        """The addresses of the `from` part."""
        peer, client = ir.AddressOf.PEER, ir.AddressOf.CLIENT
        return Source(
            ip_blocks=_shown(self.blocks.get(peer)),
            not_ip_blocks=_shown(self.not_blocks.get(peer)),
            remote_ip_blocks=_shown(self.blocks.get(client)),
            not_remote_ip_blocks=_shown(self.not_blocks.get(client)),
        )


def _shown(blocks: Iterable[ir.IpBlock] | None) -> Texts | None:
    return None if blocks is None else tuple(str(block) for block in blocks)


def fields_of(term: Term, ports: Iterable[int], *, refuses: bool) -> Fields:
    """The fields of an alternative; `ports` are those that a Host may name. Raises InexpressibleError."""
    found = Fields()
    for literal in term:
        _add(found, literal, tuple(ports), refuses=refuses)
    return found


def _add(found: Fields, literal: Literal, ports: tuple[int, ...], *, refuses: bool) -> None:
    closes = refuses is not literal.is_negated
    match literal.atom:
        case ir.MethodIs(methods=methods):
            _add_methods(found, tuple(map(exact, methods)), is_negated=literal.is_negated)
        case ir.PathIs(pattern=pattern):
            _add_path(found, pattern, path_forms(pattern, refuses=closes), is_negated=literal.is_negated)
        case ir.HostIs(test=test):
            forms, without = host_forms(test, ports, refuses=closes)
            _add_hosts(found, forms, without, is_negated=literal.is_negated)
        case ir.HeaderIs(name=name, test=test):
            found.when.append(_header(name, test, is_negated=literal.is_negated, closes=closes))
        case ir.ClaimIs(path=path, test=claim):
            found.when.append(_claim(path, claim, is_negated=literal.is_negated, closes=closes))
        case ir.AddressIn(address=address, blocks=blocks):
            _add_blocks(found, address, blocks, is_negated=literal.is_negated)
        case ir.QueryIs():
            raise InexpressibleError("Istio's rules do not see the query", "test a header or the path")
        case ir.SniIs():
            raise InexpressibleError("Istio passes on no TLS that it does not end", "declare the port as `tcp`")
        case _:
            assert_never(literal.atom)


def _add_methods(found: Fields, methods: Texts, *, is_negated: bool) -> None:
    if is_negated:
        found.not_methods.extend(one for one in methods if one not in found.not_methods)
        return
    known = found.methods
    found.methods = methods if known is None else tuple(one for one in known if one in methods)
    found.is_possible = found.is_possible and bool(found.methods)


def _add_path(found: Fields, pattern: ir.PathPattern, forms: Texts | None, *, is_negated: bool) -> None:
    if is_negated:
        if forms is None:
            found.is_possible = False
        else:
            found.not_paths.extend(one for one in forms if one not in found.not_paths)
    elif forms is not None:
        if found.paths is not None and found.path != pattern:
            raise InexpressibleError(
                "Istio's rules test one path, not two at once", "write the path that is meant by both"
            )
        found.paths, found.path = forms, pattern


def _add_hosts(found: Fields, forms: Texts, without: Texts, *, is_negated: bool) -> None:
    if is_negated:
        if without:
            raise InexpressibleError("Istio reads the dot at the end of a host", "leave the last dot out")
        found.not_hosts.extend(one for one in forms if one not in found.not_hosts)
        return
    if found.hosts is not None and found.hosts != forms:
        raise InexpressibleError("Istio's rules test one host, not two at once", "write the host that is meant by both")
    found.hosts = forms
    found.not_hosts.extend(without)


def _header(name: str, test: ir.TextTest, *, is_negated: bool, closes: bool) -> When:
    key = f"request.headers[{name}]"
    if "[" in name or "]" in name:
        raise InexpressibleError(f"Istio cannot name the header `{name}`", "use another header")
    if isinstance(test, ir.IsPresent):
        return When(key=key, not_values=("*",)) if is_negated else When(key=key, values=("*",))
    form = plain_test(test, "headers")
    if closes:
        reason = "Istio reads a header that is sent twice as one value, so a second line would evade this"
        raise InexpressibleError(reason, "allow the values that are meant instead, with `==`")
    if "," in form:
        reason = "Istio reads two lines of a header as one value with a comma, so two lines could pass for this text"
        raise InexpressibleError(reason, "leave the comma out")
    return When(key=key, not_values=(form,)) if is_negated else When(key=key, values=(form,))


def _claim(path: tuple[str, ...], test: ir.TextTest | ir.Contains, *, is_negated: bool, closes: bool) -> When:
    if any("[" in step or "]" in step or not step for step in path):
        raise InexpressibleError(f"Istio cannot name the claim `{' '.join(path)}`", "use another claim")
    key = "request.auth.claims" + "".join(f"[{step}]" for step in path)
    is_split = len(path) == 1 and path[0] in _SPLIT_CLAIMS
    if isinstance(test, ir.Contains):
        if closes and not is_split:
            reason = f"Istio splits only `scope` and `permission` at blanks, so a text with `{test.value}` in it would evade this"
            raise InexpressibleError(reason, "allow what is meant instead")
        form = exact(test.value)
    else:
        if is_split and not isinstance(test, ir.IsPresent):
            raise InexpressibleError(
                f"Istio reads the words of `{path[0]}` one by one", "write `has` for one of its words"
            )
        if closes and isinstance(test, ir.IsPresent):
            raise InexpressibleError("Istio takes an empty claim for none", "test the values of the claim")
        form = plain_test(test, "claims")
    return When(key=key, not_values=(form,)) if is_negated else When(key=key, values=(form,))


def _add_blocks(found: Fields, address: ir.AddressOf, blocks: tuple[ir.IpBlock, ...], *, is_negated: bool) -> None:
    if is_negated:
        found.not_blocks.setdefault(address, []).extend(blocks)
        return
    known = found.blocks.get(address)
    found.blocks[address] = blocks if known is None else _common(known, blocks)
    found.is_possible = found.is_possible and bool(found.blocks[address])


def _common(some: tuple[ir.IpBlock, ...], others: tuple[ir.IpBlock, ...]) -> tuple[ir.IpBlock, ...]:
    """The blocks that two lists have in common."""
    both = [inner for one in some for other in others for inner in (_inner(one, other),) if inner is not None]
    fours = [block for block in both if isinstance(block, IPv4Network)]
    sixes = [block for block in both if not isinstance(block, IPv4Network)]
    return (*collapse_addresses(fours), *collapse_addresses(sixes))


def _inner(one: ir.IpBlock, other: ir.IpBlock) -> ir.IpBlock | None:
    """The smaller of two blocks of which one holds the other; None if they have nothing in common."""
    if one.version != other.version or not one.overlaps(other):
        return None
    return one if one.prefixlen >= other.prefixlen else other
