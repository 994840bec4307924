"""The reader: objects × known services -> a reading.

Read so far is who may call the services of the mesh: AuthorizationPolicy, PeerAuthentication, RequestAuthentication, and what of MeshConfig
they depend on. Objects about how calls travel, and about what leaves the mesh, are passed over: `reads` of the target says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject, Reading
from meshc.reading.plain import mapping
from meshc_istio.read.access import access_of
from meshc_istio.read.account import (
    HOST_PORTS,
    NORMALIZED,
    ONE_LINE,
    PLAIN_CLAIMS,
    PLAIN_SEGMENTS,
    PLAIN_SUBJECTS,
    Account,
)
from meshc_istio.read.attached import Attached, Attachments
from meshc_istio.read.authentication import jwts_of, mtls_of
from meshc_istio.read.extensions import check_extensions
from meshc_istio.read.traffic import make_traffic

ASSUMES: Final = (HOST_PORTS, ONE_LINE, PLAIN_CLAIMS, PLAIN_SEGMENTS, PLAIN_SUBJECTS)
"""What the support table states of emitted objects. That paths are normalized is not among them: `mesh.yaml` says so."""

_SECURITY: Final = "security.istio.io"
_NETWORKING: Final = "networking.istio.io"
_SAFE: Final = frozenset({"MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"})


def read(objects: Sequence[ConfigObject], known: ir.Mesh, options: Mapping[str, str]) -> Reading:
    """Read Istio's objects; `root-namespace` is the one whose policies hold for the whole mesh."""
    account = Account()
    settings = next((mapping(one.data["meshConfig"]) for one in objects if "meshConfig" in one.data), None)
    mesh = known if settings is None else _configured(known, settings)
    _check_settings(objects, settings, account)
    check_extensions(objects, account)
    root = options.get("root-namespace", "istio-system")
    by_kind: dict[str, list[ConfigObject]] = {}
    networking: dict[str, list[ConfigObject]] = {}
    for one in objects:
        if one.group == _SECURITY:
            by_kind.setdefault(one.kind, []).append(one)
        elif one.group == _NETWORKING:
            networking.setdefault(one.kind, []).append(one)
    config = next((one for one in objects if "meshConfig" in one.data), None)
    traffic = make_traffic(networking, mesh, root, config, account)
    authorization, peers, requests = (
        Attachments(by_kind.get(kind, ()), root)
        for kind in ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication")
    )
    workloads = []
    for workload in mesh.workloads:
        attached = [list(some.of(workload)) for some in (authorization, peers, requests)]
        ports = tuple(_port(mesh, workload, port, attached, account) for port in workload.ports)
        workloads.append(traffic.workload(replace(workload, ports=ports)))
    return Reading(
        mesh=replace(mesh, workloads=tuple(map(traffic.finished, workloads))),
        unknown=tuple(account.unknown),
        assumptions=tuple(account.assumptions.values()),
    )


def _port(
    mesh: ir.Mesh, workload: ir.Workload, port: ir.PortPolicy, attached: Sequence[Sequence[Attached]], account: Account
) -> ir.PortPolicy:
    policies, peers, requests = attached
    access = access_of(workload, port, policies, mesh.trust_domains, account)
    jwts = jwts_of(workload, port, requests, account, required=access.wants_token)
    return replace(port, mtls=mtls_of(workload, port, peers, account), access=access.stages, jwts=jwts)


def _configured(known: ir.Mesh, settings: Mapping[str, object]) -> ir.Mesh:
    """What MeshConfig says of identities and of addresses behind proxies."""
    domain = settings.get("trustDomain")
    defaults = settings.get("defaultConfig")
    topology = defaults.get("gatewayTopology") if isinstance(defaults, Mapping) else None
    hops = topology.get("numTrustedProxies") if isinstance(topology, Mapping) else None
    domains = (domain, *known.trust_domains[1:]) if isinstance(domain, str) else known.trust_domains
    return replace(known, trust_domains=domains, trusted_hops=hops if isinstance(hops, int) else 0)


def _check_settings(objects: Sequence[ConfigObject], settings: Mapping[str, object] | None, account: Account) -> None:
    """Rules are judged on paths as MeshConfig has them normalized, and by its names of trust domains."""
    if not objects:
        return
    if settings is None:
        account.taken_for_granted(NORMALIZED, objects[0])
        return
    one = next(each for each in objects if "meshConfig" in each.data)
    if settings.get("trustDomainAliases"):
        message = "identities of aliases of the trust domain pass for its own, which cannot be said"
        account.not_understood(one, ("meshConfig", "trustDomainAliases"), message, None, Aspect.ACCESS)
    normalization = settings.get("pathNormalization")
    word = normalization.get("normalization") if isinstance(normalization, Mapping) else None
    if word not in _SAFE:
        message = "rules see paths with repeated slashes; set `pathNormalization` to MERGE_SLASHES"
        account.not_understood(one, ("meshConfig",), message, None, Aspect.ACCESS)
