"""Who authorizations let in: AuthorizationPolicy with what it refers to, ServerAuthorization, and the policies of servers.

Within one policy all references must hold, and the lists inside of each are alternatives; several policies add up. A policy
that refers to something missing lets nobody in; one without any reference lets everybody in.
Source: Linkerd "Authorization Policy", linkerd2 `policy-controller`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from meshc import ir
from meshc.reading import ConfigObject
from meshc_linkerd.read.account import NAMES, Account, NotUnderstoodError
from meshc_linkerd.read.fields import Fields

GROUP: Final = "policy.linkerd.io"
ANYBODY: Final = ir.Principals((ir.AnyPeer(),))
IDENTIFIED: Final = ir.Principals((ir.AnyIdentity(),))
_SUFFIX: Final = ".serviceaccount.identity."
_EVERYWHERE: Final = {"0.0.0.0/0", "::/0"}


@dataclass(frozen=True, slots=True)
class Admitted:
    """Callers that are let in: some principals, from some addresses (any if `networks` is always true); `by` names the policy."""

    principals: ir.Principals
    networks: ir.Condition
    by: str
    source: ConfigObject


Objects = Mapping[tuple[str, str, str], ConfigObject]
"""Objects by kind, namespace and name."""


class Authorities:
    """Reads policies; `trust_domain` and `control` are those of the cluster and its control plane's namespace."""

    def __init__(self, objects: Objects, trust_domain: str, account: Account) -> None:
        self._objects = objects
        self._trust_domain = trust_domain
        self._account = account
        self._identities: dict[tuple[str, str], ir.Principals | None] = {}
        self._networks: dict[tuple[str, str], ir.Condition | None] = {}

    def policy(self, one: ConfigObject) -> Admitted | None:
        """Whom an AuthorizationPolicy lets in; None for nobody. Raises NotUnderstoodError."""
        spec = Fields.spec(one)
        spec.ignore("targetRef")
        principals: ir.Principals | None = ANYBODY
        networks: ir.Condition | None = ir.ALWAYS
        seen: set[str] = set()
        for ref in spec.each("requiredAuthenticationRefs"):
            kind = ref.text("kind")
            if "network" in kind.lower():
                networks = self._network_ref(ref, one.namespace)
            else:
                principals = self._identity_ref(ref, kind, one.namespace)
            family = "network" if "network" in kind.lower() else "identity"
            if family in seen:
                raise ref.error("two references of one kind, which Linkerd does not take")
            seen.add(family)
            ref.finish()
        if not spec.has("requiredAuthenticationRefs"):
            raise spec.error("`requiredAuthenticationRefs` is missing, which Linkerd does not take")
        spec.finish()
        if principals is None or networks is None:
            return None
        return Admitted(principals, networks, one.name, one)

    def server_authorization(self, one: ConfigObject) -> Admitted:
        """Whom a ServerAuthorization lets in. Raises NotUnderstoodError."""
        spec = Fields.spec(one)
        spec.ignore("server")
        client = spec.fields("client")
        spec.finish()
        if not client.has("networks"):
            raise client.error("without networks it is for those of the cluster, which are not known here")
        networks = _networks(client)
        if client.data.get("unauthenticated") is True:
            client.ignore("unauthenticated")
            client.finish()
            return Admitted(ANYBODY, networks, one.name, one)
        mesh = client.fields("meshTLS")
        client.ignore("unauthenticated")
        client.finish()
        if mesh.data.get("unauthenticatedTLS") is True:
            raise mesh.error("TLS without an identity is not understood", "unauthenticatedTLS")
        mesh.ignore("unauthenticatedTLS")
        named = [self._named(text, one) for text in mesh.texts("identities")]
        for account in mesh.each("serviceAccounts"):
            named.append(self._account_of(account.text("namespace", one.namespace), account.text("name")))
            account.finish()
        mesh.finish()
        return Admitted(ir.Principals(tuple(named)), networks, one.name, one)

    def _identity_ref(self, ref: Fields, kind: str, namespace: str) -> ir.Principals | None:
        name, place = ref.text("name"), ref.text("namespace", namespace)
        if kind == "ServiceAccount" and ref.text("group") in {"", "core"}:
            self._account.taken_for_granted(NAMES, ref.source, *ref.steps)
            return ir.Principals((self._account_of(place, name),))
        if kind != "MeshTLSAuthentication" or ref.text("group") != GROUP:
            raise ref.error(f"a reference to `{kind}` is not understood", "kind")
        key = (place, name)
        if key not in self._identities:
            found = self._objects.get(("MeshTLSAuthentication", place, name))
            self._identities[key] = None if found is None else self._authentication(found)
        return self._identities[key]

    def _authentication(self, one: ConfigObject) -> ir.Principals:
        spec = Fields.spec(one)
        self._account.taken_for_granted(NAMES, one)
        named = [self._named(text, one) for text in spec.texts("identities")]
        refs = tuple(spec.each("identityRefs"))
        for ref in refs:
            kind, name = ref.text("kind"), ref.text("name")
            if ref.text("group") not in {"", "core"}:
                raise ref.error("a reference beyond the core group is not understood", "group")
            if kind == "Namespace":
                named.append(ir.IdentityPrefix(f"spiffe://{self._trust_domain}/ns/{name}/sa/"))
            elif kind == "ServiceAccount":
                named.append(self._account_of(ref.text("namespace", one.namespace), name))
            else:
                raise ref.error(f"a reference to `{kind}` is not understood", "kind")
            ref.finish()
        spec.finish()
        if not named or (refs and spec.has("identities")):
            raise spec.error("one of `identities` and `identityRefs` must be there, and not empty")
        return ir.Principals(tuple(dict.fromkeys(named)))

    def _account_of(self, namespace: str, name: str) -> ir.Principal:
        return ir.ExactIdentity(f"spiffe://{self._trust_domain}/ns/{namespace}/sa/{name}")

    def _named(self, text: str, one: ConfigObject) -> ir.Principal:
        """A name in a certificate: `*`, `*.<namespace>.serviceaccount.identity.<control plane>.<domain>`, a SPIFFE id."""
        if text == "*":
            return ir.AnyIdentity()
        if text.startswith("spiffe://"):
            return ir.ExactIdentity(text)
        before, found, after = text.partition(_SUFFIX)
        _, dot, domain = after.partition(".")
        if text.startswith("*" + _SUFFIX):
            before, found = "*", _SUFFIX
        labels = before.split(".")
        if not found or not dot or not domain:
            raise NotUnderstoodError(f"the identity `{text}` is that of no service account", "spec", "identities")
        self._account.taken_for_granted(NAMES, one)
        match labels:
            case ["*"]:
                return ir.IdentityPrefix(f"spiffe://{domain}/ns/")
            case ["*", namespace]:
                return ir.IdentityPrefix(f"spiffe://{domain}/ns/{namespace}/sa/")
            case [name, namespace] if name and namespace:
                return ir.ExactIdentity(f"spiffe://{domain}/ns/{namespace}/sa/{name}")
            case _:
                raise NotUnderstoodError(f"the identity `{text}` is that of no service account", "spec", "identities")

    def _network_ref(self, ref: Fields, namespace: str) -> ir.Condition | None:
        name, place = ref.text("name"), ref.text("namespace", namespace)
        if ref.text("kind") != "NetworkAuthentication" or ref.text("group") != GROUP:
            raise ref.error(f"a reference to `{ref.text('kind')}` is not understood", "kind")
        key = (place, name)
        if key not in self._networks:
            found = self._objects.get(("NetworkAuthentication", place, name))
            if found is None:
                self._networks[key] = None
            else:
                spec = Fields.spec(found)
                self._networks[key] = _networks(spec)
                spec.finish()
        return self._networks[key]


def server_policy(policy: str, one: ConfigObject) -> Iterable[Admitted]:
    """Whom a server's own policy, or the default one, lets in. Raises NotUnderstoodError for one that depends on the cluster."""
    match policy:
        case "deny" | "":
            return ()
        case "all-unauthenticated":
            return (Admitted(ANYBODY, ir.ALWAYS, policy, one),)
        case "all-authenticated":
            return (Admitted(IDENTIFIED, ir.ALWAYS, policy, one),)
        case "audit":
            return (Admitted(ANYBODY, ir.ALWAYS, policy, one),)
        case _:
            raise NotUnderstoodError(f"the policy `{policy}` depends on the cluster's networks", "spec", "accessPolicy")


def _networks(fields: Fields) -> ir.Condition:
    """The addresses of a list of networks with exceptions."""
    parts: list[ir.Condition] = []
    whole: set[str] = set()
    for one in fields.each("networks"):
        text = one.text("cidr")
        excluded = one.texts("except")
        one.finish()
        if not excluded:
            whole.add(text)
        try:
            blocks = (ip_network(text, strict=False),)
            others = tuple(ip_network(other, strict=False) for other in excluded)
        except ValueError:
            raise one.error(f"`{text}` is no block of addresses", "cidr") from None
        inside = ir.AddressIn(ir.AddressOf.PEER, blocks)
        parts.append(inside if not others else ir.AllOf((inside, ir.Not(ir.AddressIn(ir.AddressOf.PEER, others)))))
    if not parts:
        raise fields.error("`networks` is missing or empty, which Linkerd does not take")
    if whole >= _EVERYWHERE:
        return ir.ALWAYS
    plain = [one for one in parts if isinstance(one, ir.AddressIn)]
    if len(plain) == len(parts):
        return ir.AddressIn(ir.AddressOf.PEER, tuple(block for one in plain for block in one.blocks))
    return ir.AnyOf(tuple(parts))
