"""Placement: a whole mesh on one machine, with an address for each sidecar, application and external.

The mesh that is run differs from the program's in where things are and in whom it trusts, and in nothing else: endpoints
become local addresses, key sets those of a throw-away issuer, certificate authorities throw-away ones. Health checks are left
out: a request that comes before the first of them would find no endpoint healthy.

Each version of a workload runs once, as an instance with an endpoint of its own. A version that the program leaves without
endpoints, beside others that have some, does not run at all: it answers 503, as it would anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path, PurePosixPath

from meshc import ir
from meshc.engine.authority import Authority, join_bundles
from meshc.engine.tokens import TokenIssuer
from meshc.source import BUILTIN
from meshc.target import Instance, Placement, WorkloadKey

FIRST_PORT = 15010
"""Where the sidecars serve the first port of their services; each instance has addresses of its own."""

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


def place_mesh(
    mesh: ir.Mesh,
    directory: Path,
    *,
    has_ipv6: bool,
    visits: Mapping[WorkloadKey, Sequence[str]],
    lowest_port: int = 0,
) -> PlacedMesh:
    """Choose addresses, issue certificates into `directory`, and adapt the mesh. `has_ipv6` adds an IPv6 listen address.

    `visits` gives workloads the source addresses that requests of theirs come from, each a visitor's. Applications and
    externals whose ports lie below `lowest_port`, which this process may not bind, listen 10,000 higher.
    """
    directory.mkdir(parents=True, exist_ok=True)
    authorities = {domain: Authority.create(domain) for domain in mesh.trust_domains}
    issuer = TokenIssuer.create()
    hosts = sorted({(host, port.number) for one in mesh.externals for host in one.hosts for port in one.ports})
    web = Authority.create("externals")
    (directory / "externals.pem").write_bytes(web.bundle)
    bundle = directory / "all.pem"
    bundle.write_bytes(join_bundles((*authorities.values(), web)))
    placer = _Placer(authorities=authorities, directory=directory, has_ipv6=has_ipv6, index=count())
    keyed = {(workload.namespace, workload.name): workload for workload in mesh.workloads}
    placement = Placement(
        instances={key: placer.instances(workload) for key, workload in keyed.items()},
        visitors={key: placer.visitors(keyed[key], sources) for key, sources in visits.items()},
        externals={pair: (_address(5, index), _raised(pair[1], lowest_port)) for index, pair in enumerate(hosts)},
        ca_file=PurePosixPath(directory / "externals.pem"),
    )
    return PlacedMesh(
        mesh=_adapt(mesh, placement, issuer, lowest_port),
        placement=placement,
        authorities=authorities,
        issuer=issuer,
        web=web,
        bundle=bundle,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placer:
    """Gives instances their addresses, one number each, and their certificates."""

    authorities: Mapping[str, Authority]
    directory: Path
    has_ipv6: bool
    index: Iterator[int]

    def instances(self, workload: ir.Workload) -> tuple[Instance, ...]:
        return tuple(self._place(workload, version=version) for version in running_versions(workload))

    def visitors(self, workload: ir.Workload, sources: Sequence[str]) -> tuple[Instance, ...]:
        version = running_versions(workload)[0]
        return tuple(self._place(workload, version=version, source=source) for source in sources)

    def _place(self, workload: ir.Workload, *, version: str | None, source: str | None = None) -> Instance:
        index = next(self.index)
        zones = [endpoint.zone for endpoint in _meant(workload, version) if endpoint.zone is not None]
        return Instance(
            version=version,
            zone=zones[0] if zones else None,
            listen=(_address(1, index), f"fd00::{index + 1:x}") if self.has_ipv6 else (_address(1, index),),
            application=_address(2, index),
            outbound=_address(3, index),
            source=source,
            tls_directory=self._issue(workload.identity, self.directory / str(index)),
        )

    def _issue(self, identity: str, own: Path) -> PurePosixPath:
        """The directory `own`, with the files that a sidecar reads."""
        credentials = self.authorities[trust_domain_of(identity)].issue_workload(identity, own, "cert")
        credentials.key.replace(own / "key.pem")
        for domain, authority in self.authorities.items():
            (own / f"{domain}.pem").write_bytes(authority.bundle)
        return PurePosixPath(own)


def _address(block: int, index: int) -> str:
    return _ADDRESS.format(block=block, high=index // 250, low=index % 250 + 1)


def instance_name(workload: ir.Workload, version: str | None) -> str:
    """What an instance is called, by its stub services too: `shop.cart`, or `shop.cart@v1` for that of a version."""
    name = f"{workload.namespace}.{workload.name}"
    return name if version is None else f"{name}@{version}"


def running_versions(workload: ir.Workload) -> tuple[str | None, ...]:
    """The versions that run, never none; None stands for an instance without a version, and comes first."""
    if workload.endpoints:
        return tuple(sorted({endpoint.version for endpoint in workload.endpoints}, key=lambda version: version or ""))
    return tuple(version.name for version in workload.versions) or (None,)


def _meant(workload: ir.Workload, version: str | None) -> list[ir.Endpoint]:
    """The program's endpoints that one instance stands for."""
    return [endpoint for endpoint in workload.endpoints if endpoint.version == version]


def trust_domain_of(identity: str) -> str:
    """The trust domain of a SPIFFE id."""
    return identity.removeprefix("spiffe://").partition("/")[0]


def _raised(port: int, lowest: int) -> int:
    return port if port >= lowest else port + 10_000


def _adapt(mesh: ir.Mesh, placement: Placement, issuer: TokenIssuer, lowest_port: int) -> ir.Mesh:
    return replace(
        mesh,
        workloads=tuple(_adapt_workload(workload, placement, issuer, lowest_port) for workload in mesh.workloads),
        externals=tuple(
            replace(one, ports=tuple(_adapt_port(port, issuer) for port in one.ports)) for one in mesh.externals
        ),
    )


def _adapt_workload(workload: ir.Workload, placement: Placement, issuer: TokenIssuer, lowest_port: int) -> ir.Workload:
    instances = placement.instances[(workload.namespace, workload.name)]
    return replace(
        workload,
        endpoints=tuple(_endpoint(workload, instance) for instance in instances) if _is_found(workload) else (),
        discovery=ir.Discovery.STATIC,
        dns_name=None,
        ports=tuple(
            replace(_adapt_port(port, issuer), target=_raised(port.target, lowest_port)) for port in workload.ports
        ),
    )


def _is_found(workload: ir.Workload) -> bool:
    """Whether callers find the workload at all: one that is static and has no endpoints runs, and answers nobody."""
    return bool(workload.endpoints) or workload.discovery is not ir.Discovery.STATIC


def _endpoint(workload: ir.Workload, instance: Instance) -> ir.Endpoint:
    """An instance's endpoint, which weighs as much as all that it stands for, in the zone of the first that has one."""
    return ir.Endpoint(
        host=instance.listen[0],
        port=FIRST_PORT,
        zone=instance.zone,
        version=instance.version,
        weight=sum(endpoint.weight for endpoint in _meant(workload, instance.version)) or 1,
        span=BUILTIN,
    )


def _adapt_port(port: ir.PortPolicy, issuer: TokenIssuer) -> ir.PortPolicy:
    return replace(
        port,
        jwts=tuple(replace(jwt, jwks_kind="inline", jwks=issuer.jwks) for jwt in port.jwts),
        settings=replace(port.settings, tls_ca_file=None, health_check=None),
    )
