"""Callers: what one workload's sidecar holds of the mesh, and which rules of externals concern it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.target import Json, PortKey
from meshc_envoy.access import StageRules, filter_fields, stage_rules
from meshc_envoy.directory import Directory
from meshc_envoy.options import EmitOptions
from meshc_envoy.queries import query_patterns
from meshc_envoy.reach import route_destinations, stages_for, visible_routes
from meshc_envoy.requests import stage_atoms
from meshc_envoy.route_actions import ExternalRules, Resolver
from meshc_envoy.shapes import typed
from meshc_envoy.tls import TlsFiles
from meshc_envoy.upstreams import Held, Upstream, upstreams_of

_PER_ROUTE: Final = "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A workload as a caller. `address` is the one that its outbound listeners bind, `zone` where it runs, if that is known.

    `held` are the ports that lead it to something that it may reach at all, those of externals once a host. `stage_labels`
    name the filters that rules of externals need, `atoms` are all that those rules test.
    """

    directory: Directory
    workload: ir.Workload
    files: TlsFiles
    address: str
    zone: str | None
    options: EmitOptions
    held: tuple[Held, ...]
    resolver: Resolver
    stage_labels: tuple[str, ...]
    atoms: tuple[ir.Atom, ...]

    def host_place(self, upstream: Upstream) -> int:
        """The place of an upstream's host among those of its external; 0 for workloads."""
        owner, _ = self.directory.owners[upstream.key]
        return owner.hosts.index(upstream.host) if isinstance(owner, ir.External) and upstream.host else 0


def caller_of(
    directory: Directory, workload: ir.Workload, files: TlsFiles, options: EmitOptions, zone: str | None
) -> Caller:
    """The workload as a caller, placed as the options say."""
    held = _held(directory, workload)
    outside = _outside(directory, workload, held)
    stages = {key: stages_for(workload.identity, port.access) for key, port in outside.items()}
    atoms = {key: stage_atoms(found) for key, found in stages.items()}
    is_named = bool(workload.telemetry.access_logs)
    rules = {key: stage_rules(found, has_identities=True, is_named=is_named) for key, found in stages.items()}
    by_port = {
        key: ExternalRules(
            overrides={stage.label: _override(stage) for stage in rules[key]}, patterns=query_patterns(atoms[key])
        )
        for key in outside
    }
    resolver = Resolver(upstreams=upstreams_of(directory, held, workload.identity), rules=by_port)
    return Caller(
        directory=directory,
        workload=workload,
        files=files,
        address=options.outbound_addresses.get((workload.namespace, workload.name), "127.0.0.1"),
        zone=zone,
        options=options,
        held=held,
        resolver=resolver,
        stage_labels=_ordered_labels(stage for found in rules.values() for stage in found),
        atoms=tuple(atom for found in atoms.values() for atom in found),
    )


def _held(directory: Directory, workload: ir.Workload) -> tuple[Held, ...]:
    peers, externals = directory.reachable(workload.identity)
    inside = (Held(owner=owner, port=port) for owner, port in peers)
    outside = (Held(owner=owner, port=port, host=host) for owner, port in externals for host in owner.hosts)
    return (*inside, *outside)


def _outside(directory: Directory, workload: ir.Workload, held: tuple[Held, ...]) -> dict[PortKey, ir.PortPolicy]:
    """The HTTP ports of externals that some route of the caller sends to."""
    found: dict[PortKey, ir.PortPolicy] = {}
    for one in held:
        for route in visible_routes(one.owner, one.port, workload.identity):
            for destination in route_destinations(route):
                key = (destination.namespace, destination.service, destination.port)
                owner, port = directory.owners[key]
                if isinstance(owner, ir.External) and port.protocol.is_http:
                    found[key] = port
    return found


def _ordered_labels(stages: Iterable[StageRules]) -> tuple[str, ...]:
    """The names of filters, of which those that only observe come first."""
    return tuple(label for _, label in sorted({(not stage.shadow, stage.label) for stage in stages}))


def _override(stage: StageRules) -> Json:
    return typed(_PER_ROUTE, rbac=filter_fields(stage))
