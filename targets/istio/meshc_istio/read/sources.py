"""Who a rule speaks of: the fields of a `source` -> principals and conditions.

Istio writes a SPIFFE id without its scheme. Identity comes from a verified certificate alone: without one positive tests fail.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from meshc import ir
from meshc.reading.plain import mapping, texts
from meshc.target import Json
from meshc_istio.read.account import SERVICE_ACCOUNTS
from meshc_istio.read.forms import NotSayableError, Said, all_of, any_of

LOCAL_DOMAIN: Final = "cluster.local"
"""The trust domain that stands for the mesh's own in policies. Source: Istio, trust domain migration, "best practices"."""

_PARTS: Final = 4
"""`ns/NAMESPACE/sa/ACCOUNT`: identities of another form are compared as they are written."""

_EVERYBODY: Final = ir.AnyPeer()

TOKEN: Final = ir.ClaimIs(("iss",), ir.IsPresent())
"""That a request has a valid token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What identities are made of: the trust domains, and the namespace of the policy."""

    trust_domains: tuple[str, ...]
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A `source` in the language's terms. `token` is what it asks of a request's token; None for no word about it."""

    principals: ir.Principals
    condition: Said
    token: ir.Condition | None = None


ANYBODY: Final = Who(principals=ir.Principals((_EVERYBODY,)), condition=Said(ir.ALWAYS))

KNOWN: Final = frozenset(
    {
        "principals", "notPrincipals", "namespaces", "notNamespaces", "serviceAccounts", "notServiceAccounts",
        "ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks", "requestPrincipals", "notRequestPrincipals",
    }
)  # fmt: skip


def who(source: Json, world: World) -> Who:
    """The callers of one source. Raises NotSayableError."""
    # An empty list says nothing.
    fields = {name: value for name, value in mapping(source).items() if value not in ([], ())}
    strange = sorted(set(fields) - KNOWN)
    if strange:
        raise NotSayableError(f"the field `{strange[0]}` of a source")
    if not fields:
        raise NotSayableError("an empty source, which Istio refuses,")
    include = _included(fields, world)
    exclude = (
        *_principals(texts(fields.get("notPrincipals")), world),
        *_in_namespaces(texts(fields.get("notNamespaces")), world),
        *_accounts(texts(fields.get("notServiceAccounts")), world),
    )
    addresses = (
        *_addresses(fields, "ipBlocks", "notIpBlocks", ir.AddressOf.PEER),
        *_addresses(fields, "remoteIpBlocks", "notRemoteIpBlocks", ir.AddressOf.CLIENT),
    )
    by_namespace = {"namespaces", "notNamespaces"} & set(fields)
    return Who(
        principals=ir.Principals(include, tuple(exclude)),
        condition=Said(all_of(addresses), (SERVICE_ACCOUNTS,) if by_namespace else ()),
        token=_token(fields),
    )


def _included(fields: Mapping[str, Json], world: World) -> tuple[ir.Principal, ...]:
    """Fields are joined by `and`; more than one that names callers cannot be said as one list."""
    named: list[tuple[ir.Principal, ...]] = []
    if "principals" in fields:
        named.append(tuple(_principals(texts(fields["principals"]), world)))
    if "namespaces" in fields:
        named.append(tuple(_in_namespaces(texts(fields["namespaces"]), world)))
    if "serviceAccounts" in fields:
        named.append(tuple(_accounts(texts(fields["serviceAccounts"]), world)))
    if not named:
        return (_EVERYBODY,)
    if len(named) > 1:
        raise NotSayableError("callers by principal and by namespace at once")
    return named[0]


def _principals(forms: Iterable[str], world: World) -> Iterator[ir.Principal]:
    for written in forms:
        form = _of_this_mesh(written, world)
        if form == "*":
            yield ir.AnyIdentity()
        elif form.endswith("/*") and not form.startswith("*"):
            yield ir.IdentityPrefix(f"spiffe://{form[:-1]}")
        elif form.startswith("*") or form.endswith("*"):
            raise NotSayableError(f"callers by the pattern `{form}`")
        else:
            yield ir.ExactIdentity(f"spiffe://{form}")


def _of_this_mesh(form: str, world: World) -> str:
    """An identity of `cluster.local` is one of the mesh's own trust domain, whatever that is called; only whole ones are seen through."""
    domain, _, rest = form.partition("/")
    is_whole = domain == LOCAL_DOMAIN and len(rest.split("/")) == _PARTS
    return f"{world.trust_domains[0]}/{rest}" if is_whole else form


def _in_namespaces(forms: Iterable[str], world: World) -> Iterator[ir.Principal]:
    for form in forms:
        if "*" in form:
            raise NotSayableError(f"namespaces by the pattern `{form}`")
        for domain in world.trust_domains:
            yield ir.IdentityPrefix(f"spiffe://{domain}/ns/{form}/sa/")


def _accounts(forms: Iterable[str], world: World) -> Iterator[ir.Principal]:
    for form in forms:
        namespace, _, account = form.rpartition("/")
        for domain in world.trust_domains:
            yield ir.ExactIdentity(f"spiffe://{domain}/ns/{namespace or world.namespace}/sa/{account}")


def _addresses(fields: Mapping[str, Json], named: str, excepted: str, which: ir.AddressOf) -> Iterator[ir.Condition]:
    if named in fields:
        yield ir.AddressIn(which, blocks(texts(fields[named])))
    if excepted in fields:
        yield ir.Not(ir.AddressIn(which, blocks(texts(fields[excepted]))))


def blocks(listed: Iterable[str]) -> tuple[ir.IpBlock, ...]:
    """Addresses and blocks. Raises NotSayableError."""
    try:
        return tuple(ip_network(one, strict=False) for one in listed)
    except ValueError as error:
        raise NotSayableError(str(error)) from error


def _token(fields: Mapping[str, Json]) -> ir.Condition | None:
    """Which tokens a request must have, and must not have. Raises NotSayableError."""
    named, excepted = texts(fields.get("requestPrincipals")), texts(fields.get("notRequestPrincipals"))
    if not named and not excepted:
        return None
    found = [any_of(map(_request_principal, named))] if named else []
    return all_of((*found, ir.Not(any_of(map(_request_principal, excepted))))) if excepted else found[0]


def _request_principal(form: str) -> ir.Condition:
    """A principal of a token, which is its issuer and its subject with a slash between; every token has an issuer."""
    if form == "*":
        return TOKEN
    issuer, slash, subject = form.rpartition("/")
    parts = [ir.ClaimIs((name,), ir.Equals(text)) for name, text in (("iss", issuer), ("sub", subject)) if text != "*"]
    if not slash or not parts or any("*" in text for text in (issuer, subject) if text != "*"):
        raise NotSayableError(f"tokens by the pattern `{form}`")
    return all_of(parts) if len(parts) > 1 or issuer != "*" else all_of((TOKEN, *parts))
