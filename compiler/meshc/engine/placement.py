"""Placement: a whole mesh on one machine, with an address for each sidecar, application and external.

The mesh that is run differs from the program's in where things are and in whom it trusts, and in nothing else: endpoints
become local addresses, key sets those of a throw-away issuer, certificate authorities throw-away ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from meshc import ir
from meshc.engine.authority import Authority, join_bundles
from meshc.engine.tokens import TokenIssuer
from meshc.source import BUILTIN
from meshc.target import Placement

FIRST_PORT = 15010
"""Where the sidecars serve the first port of their services; each workload has an address of its own."""

_ADDRESS = "127.{block}.{high}.{low}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedMesh:
    """A mesh on this machine: `mesh` is what to compile, `placement` where; the rest is what clients and stubs need.

    `web` signs the certificates of stub services that speak TLS themselves, `bundle` trusts every authority there is.
    """

    mesh: ir.Mesh
    placement: Placement
    authorities: Mapping[str, Authority]
    issuer: TokenIssuer
    web: Authority
    bundle: Path


def place_mesh(mesh: ir.Mesh, directory: Path, *, has_ipv6: bool) -> PlacedMesh:
    """Choose addresses, issue certificates into `directory`, and adapt the mesh. `has_ipv6` adds an IPv6 listen address."""
    authorities = {domain: Authority.create(domain) for domain in mesh.trust_domains}
    issuer = TokenIssuer.create()
    keys = [(workload.namespace, workload.name) for workload in mesh.workloads]
    hosts = sorted({(host, port.number) for one in mesh.externals for host in one.hosts for port in one.ports})
    externals = {pair: (_address(5, index), pair[1]) for index, pair in enumerate(hosts)}
    web = Authority.create("externals")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "externals.pem").write_bytes(web.bundle)
    bundle = directory / "all.pem"
    bundle.write_bytes(join_bundles((*authorities.values(), web)))
    placement = Placement(
        listen={key: _listen(index, has_ipv6=has_ipv6) for index, key in enumerate(keys)},
        application={key: _address(2, index) for index, key in enumerate(keys)},
        outbound={key: _address(3, index) for index, key in enumerate(keys)},
        tls_directories={
            (workload.namespace, workload.name): _issue(workload, mesh, authorities, directory)
            for workload in mesh.workloads
        },
        externals=externals,
        ca_file=PurePosixPath(directory / "externals.pem"),
    )
    return PlacedMesh(
        mesh=_adapt(mesh, placement, issuer),
        placement=placement,
        authorities=authorities,
        issuer=issuer,
        web=web,
        bundle=bundle,
    )


def _address(block: int, index: int) -> str:
    return _ADDRESS.format(block=block, high=index // 250, low=index % 250 + 1)


def _listen(index: int, *, has_ipv6: bool) -> tuple[str, ...]:
    return (_address(1, index), f"fd00::{index + 1:x}") if has_ipv6 else (_address(1, index),)


def _issue(
    workload: ir.Workload, mesh: ir.Mesh, authorities: Mapping[str, Authority], directory: Path
) -> PurePosixPath:
    """A directory with the files that a sidecar reads."""
    own = directory / f"{workload.namespace}.{workload.name}"
    credentials = authorities[mesh.trust_domain].issue_workload(workload.identity, own, "cert")
    credentials.key.replace(own / "key.pem")
    for domain, authority in authorities.items():
        (own / f"{domain}.pem").write_bytes(authority.bundle)
    return PurePosixPath(own)


def _adapt(mesh: ir.Mesh, placement: Placement, issuer: TokenIssuer) -> ir.Mesh:
    return replace(
        mesh,
        workloads=tuple(_adapt_workload(workload, placement, issuer) for workload in mesh.workloads),
        externals=tuple(
            replace(one, ports=tuple(_adapt_port(port, issuer) for port in one.ports)) for one in mesh.externals
        ),
    )


def _adapt_workload(workload: ir.Workload, placement: Placement, issuer: TokenIssuer) -> ir.Workload:
    address = placement.listen[(workload.namespace, workload.name)][0]
    return replace(
        workload,
        endpoints=(ir.Endpoint(host=address, port=FIRST_PORT, span=BUILTIN),),
        discovery=ir.Discovery.STATIC,
        dns_name=None,
        ports=tuple(_adapt_port(port, issuer) for port in workload.ports),
    )


def _adapt_port(port: ir.PortPolicy, issuer: TokenIssuer) -> ir.PortPolicy:
    return replace(
        port,
        jwts=tuple(replace(jwt, jwks_kind="inline", jwks=issuer.jwks) for jwt in port.jwts),
        settings=replace(port.settings, tls_ca_file=None),
    )
