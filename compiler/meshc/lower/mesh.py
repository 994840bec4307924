"""The `mesh` block: the settings of the whole program."""

from dataclasses import dataclass

from meshc import ast
from meshc.ir import MtlsMode
from meshc.lower import values
from meshc.lower.authentication import MTLS_MODES
from meshc.lower.context import Context
from meshc.lower.layers import Given, Layered
from meshc.lower.names import read_domain
from meshc.lower.services import ACCESS_DEFAULTS
from meshc.source import BUILTIN, Span

_DEFAULT_DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSettings:
    """What the `mesh` block says, or its defaults. `mtls` is None where it says nothing of it."""

    name: str
    trust_domains: tuple[str, ...]
    cluster_domain: str
    trusted_hops: int
    default_access: Given[bool]
    mtls: Given[MtlsMode] | None
    span: Span


def lower_mesh(context: Context) -> MeshSettings:
    """Read the `mesh` blocks of the program and of its environment."""
    report = context.report
    domains: Layered[tuple[str, ...]] = Layered(report)
    cluster: Layered[str] = Layered(report)
    hops: Layered[int] = Layered(report)
    access: Layered[bool] = Layered(report)
    mtls: Layered[MtlsMode] = Layered(report)
    meshes = context.symbols.meshes
    for placed in meshes:
        inside = context.inside(placed.module)
        for item in placed.node.items:
            match item:
                case ast.TrustDomain():
                    found = [read_domain(inside, one, "a trust domain") for one in (item.domain, *item.also)]
                    known = tuple(dict.fromkeys(one for one in found if one is not None))
                    if known:
                        domains.give("trust-domain", known, placed.layer, item.span)
                case ast.ClusterDomain():
                    domain = read_domain(inside, item.domain, "a cluster domain")
                    if domain is not None:
                        cluster.give("cluster-domain", domain, placed.layer, item.span)
                case ast.TrustedHops():
                    number = values.integer(inside, item.hops, "`trusted-hops`", most=16)
                    if number is not None:
                        hops.give("trusted-hops", number, placed.layer, item.span)
                case ast.DefaultAccess():
                    allowed = inside.word(item.access, ACCESS_DEFAULTS, "default access")
                    if allowed is not None:
                        access.give("default access", allowed, placed.layer, item.span)
                case ast.Mtls():
                    mode = inside.word(item.mode, MTLS_MODES, "mTLS mode")
                    if mode is not None:
                        mtls.give("mtls", mode, placed.layer, item.span)
    return MeshSettings(
        name=meshes[0].node.name.text if meshes else "mesh",
        trust_domains=domains.get("trust-domain") or (_DEFAULT_DOMAIN,),
        cluster_domain=cluster.get("cluster-domain") or _DEFAULT_DOMAIN,
        trusted_hops=hops.get("trusted-hops") or 0,
        default_access=access.given.get("default access") or Given(value=False, layer=0, span=_place(context)),
        mtls=mtls.given.get("mtls"),
        span=meshes[0].node.span if meshes else BUILTIN,
    )


def _place(context: Context) -> Span:
    return context.symbols.meshes[0].node.name.span if context.symbols.meshes else BUILTIN
