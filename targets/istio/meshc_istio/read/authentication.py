"""Authentication: PeerAuthentications and RequestAuthentications of a workload -> mTLS modes and issuers of tokens."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import items, mapping, texts
from meshc.target import Json
from meshc_istio.read.account import Account, PortKey
from meshc_istio.read.attached import Attached, Level

_MODES: Final[Mapping[str, ir.MtlsMode]] = {
    "STRICT": ir.MtlsMode.STRICT,
    "PERMISSIVE": ir.MtlsMode.PERMISSIVE,
    "DISABLE": ir.MtlsMode.OFF,
}
_RULE: Final = frozenset(
    {"issuer", "audiences", "jwksUri", "jwks", "fromHeaders", "forwardOriginalToken", "timeout", "spaceDelimitedClaims"}
)
_BEARER: Final = (("authorization", "Bearer "),)


def mtls_of(workload: ir.Workload, port: ir.PortPolicy, policies: Sequence[Attached], account: Account) -> ir.MtlsMode:
    """The mode of a port: the mesh's, overridden by the namespace's, by the workload's, by the port's. UNSET inherits."""
    mode = ir.MtlsMode.PERMISSIVE
    key = (workload.namespace, workload.name, port.number)
    for level in Level:
        here = [one for one in policies if one.level is level]
        if len(here) > 1 or any(one.is_partial for one in here):
            message = f"which of several PeerAuthentications holds for `{workload.namespace}.{workload.name}` depends on their age"
            account.not_understood(here[0].object, ("spec",), message, (key,), Aspect.ACCESS)
        for one in here[:1]:
            spec = mapping(one.object.data.get("spec"))
            mode = _mode(spec.get("mtls"), mode, one.object, key, account)
            if level is Level.WORKLOAD:
                by_port = mapping(spec.get("portLevelMtls"))
                mode = _mode(by_port.get(str(port.target)), mode, one.object, key, account)
    return mode


def _mode(mtls: Json, inherited: ir.MtlsMode, one: ConfigObject, key: PortKey, account: Account) -> ir.MtlsMode:
    word = mapping(mtls).get("mode", "UNSET") if mtls is None or isinstance(mtls, Mapping) else mtls
    if word == "UNSET":
        return inherited
    if not isinstance(word, str) or word not in _MODES:
        account.not_understood(one, ("spec",), f"the mTLS mode `{word}` is not known", (key,), Aspect.ACCESS)
        return inherited
    return _MODES[word]


def jwts_of(
    workload: ir.Workload, port: ir.PortPolicy, policies: Iterable[Attached], account: Account, *, required: bool
) -> tuple[ir.Jwt, ...]:
    """The issuers that an HTTP port trusts; they are called by their own names, since Istio gives them none."""
    if not port.protocol.is_http:
        return ()
    key = (workload.namespace, workload.name, port.number)
    return tuple(jwt for one in policies for jwt in _issuers(one, key, account, required=required))


def _issuers(attached: Attached, key: PortKey, account: Account, *, required: bool) -> Iterator[ir.Jwt]:
    one = attached.object
    if {"targetRef", "targetRefs"} & set(mapping(one.data.get("spec"))):
        return  # gateways and waypoints alone heed these, and they are no sidecars
    for number, rule in enumerate(items(mapping(one.data.get("spec")).get("jwtRules"))):
        fields = mapping(rule)
        strange = sorted(set(fields) - _RULE)
        issuer = fields.get("issuer")
        has_keys = ("jwks" in fields) != ("jwksUri" in fields)
        if strange or attached.is_partial or not isinstance(issuer, str) or not has_keys:
            what = f"the field `{strange[0]}`" if strange else "whom this is for"
            what = what if strange or has_keys else "an issuer without keys of its own, or with two kinds of them,"
            message = f"`{one.name}`: {what} cannot be said"
            account.not_understood(one, ("spec", "jwtRules", number), message, (key,), Aspect.ACCESS)
            continue
        kind = "inline" if "jwks" in fields else "url"
        yield ir.Jwt(
            name=issuer,
            issuer=issuer,
            audiences=texts(fields.get("audiences")),
            jwks_kind=kind,
            jwks=str(fields.get("jwks" if kind == "inline" else "jwksUri", "")),
            from_headers=_headers(fields.get("fromHeaders")),
            forward=fields.get("forwardOriginalToken") is True,
            required=required,
            span=one.span("spec", "jwtRules", number),
        )


def _headers(listed: Json) -> tuple[tuple[str, str], ...]:
    found = tuple(
        (str(mapping(one).get("name", "")).lower(), str(mapping(one).get("prefix", ""))) for one in items(listed)
    )
    return found or _BEARER
