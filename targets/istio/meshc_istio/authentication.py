"""Authentication: modes of mTLS and issuers of tokens -> PeerAuthentication and RequestAuthentication of a workload."""

from collections.abc import Iterator
from typing import Final

from meshc import ir
from meshc.kubernetes import Placed, metadata, object_name, span_anchor
from meshc_istio.resources.security import (
    JwtHeader,
    JwtRule,
    Mtls,
    MtlsWord,
    PeerAuthentication,
    PeerAuthenticationSpec,
    RequestAuthentication,
    RequestAuthenticationSpec,
    Selector,
)

_MODES: Final[dict[ir.MtlsMode, MtlsWord]] = {
    ir.MtlsMode.STRICT: "STRICT",
    ir.MtlsMode.PERMISSIVE: "PERMISSIVE",
    ir.MtlsMode.OFF: "DISABLE",
}
_BEARER: Final = (("authorization", "Bearer "),)
"""Where Istio looks for a token if it is not told."""


def authentication_of(workload: ir.Workload, selector: Selector) -> Iterator[Placed]:
    """The objects of a workload that has ports."""
    yield _peers(workload, selector)
    jwts = next((port.jwts for port in workload.ports if port.jwts), ())
    if jwts:
        yield _requests(workload, selector, jwts)


def _peers(workload: ir.Workload, selector: Selector) -> Placed:
    modes = {port.target: _MODES[port.mtls] for port in workload.ports}
    alike = set(modes.values())
    base = alike.pop() if len(alike) == 1 else "STRICT"
    different = {str(port): Mtls(mode=mode) for port, mode in sorted(modes.items()) if mode != base}
    anchor = span_anchor(workload.span, f"service-{workload.namespace}.{workload.name}")
    policy = PeerAuthentication(
        metadata=metadata(workload.name, workload.namespace, [anchor]),
        spec=PeerAuthenticationSpec(selector=selector, mtls=Mtls(mode=base), port_level_mtls=different or None),
    )
    return Placed(owner=(workload.namespace, workload.name), resource=policy, sources=(workload.span,))


def _requests(workload: ir.Workload, selector: Selector, jwts: tuple[ir.Jwt, ...]) -> Placed:
    anchors = [span_anchor(jwt.span, f"jwt-{jwt.name}") for jwt in jwts]
    policy = RequestAuthentication(
        metadata=metadata(object_name(workload.name), workload.namespace, anchors),
        spec=RequestAuthenticationSpec(selector=selector, jwt_rules=tuple(map(_rule, jwts))),
    )
    return Placed(owner=(workload.namespace, workload.name), resource=policy, sources=tuple(jwt.span for jwt in jwts))


def _rule(jwt: ir.Jwt) -> JwtRule:
    headers = tuple((name.lower(), prefix) for name, prefix in jwt.from_headers)
    listed = tuple(JwtHeader(name=name, prefix=prefix or None) for name, prefix in headers)
    return JwtRule(
        issuer=jwt.issuer,
        audiences=jwt.audiences or None,
        jwks_uri=jwt.jwks if jwt.jwks_kind == "url" else None,
        jwks=jwt.jwks if jwt.jwks_kind == "inline" else None,
        from_headers=None if headers == _BEARER else listed,
        forward_original_token=True if jwt.forward else None,
    )
