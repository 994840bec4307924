"""The reader: objects × known services -> a reading.

First who may call the services of the mesh, then how calls travel, what leaves the mesh, and what is reported; with what of MeshConfig all of
that depends on. In ambient mode no proxy beside the caller routes anything, and only the first is read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.reading import ConfigObject, Reading
from meshc.reading.plain import mapping
from meshc_istio.read.access import access_of
from meshc_istio.read.account import (
    HOST_PORTS,
    ONE_LINE,
    PLAIN_CLAIMS,
    PLAIN_SEGMENTS,
    PLAIN_SUBJECTS,
    Account,
)
from meshc_istio.read.attached import Attached, Attachments, Level
from meshc_istio.read.authentication import jwts_of, mtls_of
from meshc_istio.read.entries import check_ports, discovered, read_entries, verified_ports
from meshc_istio.read.extensions import check_extensions
from meshc_istio.read.externals import Externals
from meshc_istio.read.limits import Limits
from meshc_istio.read.pod_labels import PodLabels, pod_labels, with_labels
from meshc_istio.read.scopes import Scopes
from meshc_istio.read.screening import screened, standing
from meshc_istio.read.service_exports import ServiceExports
from meshc_istio.read.settings import check_travel, configured
from meshc_istio.read.telemetry import Providers, telemetry_of
from meshc_istio.read.traffic import Traffic, make_traffic
from meshc_istio.read.unproxied import Unproxied
from meshc_istio.read.world import World

ASSUMES: Final = (HOST_PORTS, ONE_LINE, PLAIN_CLAIMS, PLAIN_SEGMENTS, PLAIN_SUBJECTS)
"""What the support table states of emitted objects. That paths are normalized is not among them: `mesh.yaml` says so."""

_NETWORKING: Final = "networking.istio.io"
_TELEMETRY: Final = "telemetry.istio.io"


def read(objects: Sequence[ConfigObject], known: ir.Mesh, options: Mapping[str, str]) -> Reading:
    """Read Istio's objects; `root-namespace` is the one whose policies hold for the whole mesh."""
    account = Account()
    root = options.get("root-namespace", "istio-system")
    config = next((one for one in objects if "meshConfig" in one.data), None)
    settings = {} if config is None else mapping(config.data["meshConfig"])
    kinds = _by_kind(standing(objects, account))
    pods = pod_labels(objects)
    told_of = pods.completed(configured(known, objects, root, account))
    check_travel(objects, config, account)
    is_ambient = options.get("dataplane") == "ambient"
    bare = check_extensions(objects, known, account, is_ambient=is_ambient)
    security = screened(objects, told_of, root, account)
    entries = read_entries(kinds.get((_NETWORKING, "ServiceEntry"), ()), told_of, settings, account)
    verified = verified_ports(kinds.get((_NETWORKING, "DestinationRule"), ()))
    mesh = discovered(told_of, entries, verified)
    check_ports(mesh, entries, account)
    if is_ambient:
        found = _Found(kinds=security, root=root, pods=pods, mesh=mesh, account=account, traffic=None)
        whole = replace(mesh, workloads=tuple(map(found.workload, mesh.workloads)))
        Unproxied(mesh=whole, account=account).check(bare)
        return _reading(with_labels(whole, known), account)
    networking = {kind: some for (group, kind), some in kinds.items() if group == _NETWORKING}
    traffic = make_traffic(networking, World(mesh, pods), root, config, account)
    found = _Found(kinds=security, root=root, pods=pods, mesh=mesh, account=account, traffic=traffic)
    limits = Limits(networking.get("EnvoyFilter", ()), root, pods, account)
    outside = Externals(
        traffic=traffic, entries=entries, settings=None if config is None else settings, account=account
    )
    told = Attachments(kinds.get((_TELEMETRY, "Telemetry"), ()), root, pods)
    workloads = _reporting([limits.workload(found.workload(one)) for one in mesh.workloads], told, config, account)
    externals = tuple(map(outside.external, mesh.externals))
    finished = tuple(map(traffic.finished, workloads))
    whole = replace(mesh, workloads=finished, externals=externals)
    ServiceExports(mesh=whole, config=config, account=account).check(kinds.get(("", "Service"), ()))
    Unproxied(mesh=whole, account=account).check(bare)
    Scopes(mesh=whole, traffic=traffic, root=root, account=account).check(networking.get("Sidecar", ()), config)
    return _reading(with_labels(whole, known), account)


def _reporting(
    workloads: Iterable[ir.Workload], told: Attachments, config: ConfigObject | None, account: Account
) -> list[ir.Workload]:
    """The workloads with what their sidecars report."""
    providers = Providers.of(config, account)
    made = [replace(one, telemetry=telemetry_of(one, list(told.of(one)), providers, account)) for one in workloads]
    providers.finish()
    return made


def _reading(mesh: ir.Mesh, account: Account) -> Reading:
    return Reading(
        mesh=mesh,
        unknown=tuple({(one, one.span): one for one in account.unknown}.values()),
        assumptions=tuple(account.assumptions.values()),
    )


_Kinds = Mapping[tuple[str, str], Sequence[ConfigObject]]


def _by_kind(objects: Iterable[ConfigObject]) -> _Kinds:
    found: dict[tuple[str, str], list[ConfigObject]] = {}
    for one in objects:
        found.setdefault((one.group, one.kind), []).append(one)
    return found


class _Found:
    """Reads workloads: who may call their ports, and how calls travel there."""

    def __init__(
        self,
        *,
        kinds: Mapping[str, Sequence[ConfigObject]],
        root: str,
        pods: PodLabels,
        mesh: ir.Mesh,
        account: Account,
        traffic: Traffic | None,
    ) -> None:
        self._authorization, self._peers, self._requests = (
            Attachments(kinds[kind], root, pods)
            for kind in ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication")
        )
        self._mesh = mesh
        self._account = account
        self._traffic = traffic

    def workload(self, workload: ir.Workload) -> ir.Workload:
        """A workload as its policies have it."""
        peers = list(self._peers.of(workload))
        attached = [list(self._authorization.of(workload)), peers, list(self._requests.of(workload))]
        ports = tuple(_port(self._mesh, workload, port, attached, self._account) for port in workload.ports)
        made = replace(workload, ports=ports)
        if self._traffic is None or not ports:
            return made
        # Callers look at the policies of the mesh and of the namespace alone.
        wide = [one for one in peers if one.level is not Level.WORKLOAD]
        return self._traffic.workload(made, mtls_of(workload, ports[0], wide, Account()))


def _port(
    mesh: ir.Mesh, workload: ir.Workload, port: ir.PortPolicy, attached: Sequence[Sequence[Attached]], account: Account
) -> ir.PortPolicy:
    policies, peers, requests = attached
    access = access_of(workload, port, policies, mesh.trust_domains, account)
    jwts = jwts_of(workload, port, requests, account, required=access.wants_token)
    return replace(port, mtls=mtls_of(workload, port, peers, account), access=access.stages, jwts=jwts)
