"""The reader: objects × known services -> a reading.

Read so far is who may call the services of the mesh: AuthorizationPolicy, PeerAuthentication, RequestAuthentication, and what of MeshConfig
they depend on. Objects about how calls travel, and about what leaves the mesh, are passed over: `reads` of the target says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.reading import ConfigObject, Reading
from meshc_istio.read.access import access_of
from meshc_istio.read.account import (
    HOST_PORTS,
    ONE_LINE,
    PLAIN_CLAIMS,
    PLAIN_SEGMENTS,
    PLAIN_SUBJECTS,
    Account,
)
from meshc_istio.read.attached import Attached, Attachments
from meshc_istio.read.authentication import jwts_of, mtls_of
from meshc_istio.read.extensions import check_extensions
from meshc_istio.read.screening import screened
from meshc_istio.read.settings import configured

ASSUMES: Final = (HOST_PORTS, ONE_LINE, PLAIN_CLAIMS, PLAIN_SEGMENTS, PLAIN_SUBJECTS)
"""What the support table states of emitted objects. That paths are normalized is not among them: `mesh.yaml` says so."""


def read(objects: Sequence[ConfigObject], known: ir.Mesh, options: Mapping[str, str]) -> Reading:
    """Read Istio's objects; `root-namespace` is the one whose policies hold for the whole mesh."""
    account = Account()
    root = options.get("root-namespace", "istio-system")
    mesh = configured(known, objects, root, account)
    check_extensions(objects, known, account)
    by_kind = screened(objects, mesh, root, account)
    authorization, peers, requests = (
        Attachments(by_kind[kind], root)
        for kind in ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication")
    )
    workloads = []
    for workload in mesh.workloads:
        attached = [list(some.of(workload)) for some in (authorization, peers, requests)]
        ports = tuple(_port(mesh, workload, port, attached, account) for port in workload.ports)
        workloads.append(replace(workload, ports=ports))
    return Reading(
        mesh=replace(mesh, workloads=tuple(workloads)),
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
