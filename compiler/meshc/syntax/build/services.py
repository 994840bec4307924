"""Imports, the mesh, namespaces, services and externals."""

from collections.abc import Mapping
from typing import Any, Final

from meshc import ast
from meshc.source import Span
from meshc.syntax.build.references import after_keyword, second
from meshc.syntax.machine import Children, Documented, Node, Part


def braced(c: Children) -> tuple[Any, ...]:
    """The items of a block that is nothing but `{ … }`."""
    return tuple(c[1:-1])


def import_decl(c: Children, span: Span) -> ast.Import:
    return ast.Import(path=c[1], alias=c[2], span=span)


def inventory_decl(c: Children, span: Span) -> ast.Inventory:
    return ast.Inventory(pattern=c[1], span=span)


def mesh_decl(c: Children, span: Span, doc: str | None) -> ast.MeshDecl:
    return ast.MeshDecl(name=c[1], items=tuple(c[3:-1]), doc=doc, span=span)


def trust_domain(c: Children, span: Span) -> ast.TrustDomain:
    return ast.TrustDomain(domain=c[1], also=c[2] or (), span=span)


def cluster_domain(c: Children, span: Span) -> ast.ClusterDomain:
    return ast.ClusterDomain(domain=c[1], span=span)


def trusted_hops(c: Children, span: Span) -> ast.TrustedHops:
    return ast.TrustedHops(hops=c[1], span=span)


def default_access(c: Children, span: Span) -> ast.DefaultAccess:
    return ast.DefaultAccess(access=c[2], span=span)


def mtls(c: Children, span: Span) -> ast.Mtls:
    return ast.Mtls(mode=c[1], span=span)


def namespace_decl(c: Children, span: Span, doc: str | None) -> ast.Namespace:
    return ast.Namespace(name=c[1], items=c[2] or (), doc=doc, span=span)


def service_decl(c: Children, span: Span, doc: str | None) -> ast.Service:
    return ast.Service(name=c[1], namespace=c[3], items=c[4] or (), doc=doc, span=span)


def service_port(c: Children, span: Span) -> ast.Port:
    return ast.Port(number=c[1], protocol=c[2], target=c[3], name=c[4], span=span)


def service_account(c: Children, span: Span) -> ast.ServiceAccount:
    return ast.ServiceAccount(name=c[1], span=span)


def labels(c: Children, span: Span) -> ast.Labels:
    return ast.Labels(pairs=tuple(c[1::2]), span=span)


def label(c: Children) -> tuple[ast.Name, ast.Text]:
    key = c[0]
    return (key if isinstance(key, ast.Name) else ast.Name(text=key.value, span=key.span)), c[2]


def version(c: Children, span: Span) -> ast.Version:
    return ast.Version(name=c[1], labels=c[2] or (), span=span)


def endpoint(c: Children, span: Span) -> ast.Endpoint:
    return ast.Endpoint(address=c[1], items=c[2] or (), span=span)


def endpoint_zone(c: Children, span: Span) -> ast.EndpointZone:
    return ast.EndpointZone(zone=c[1], span=span)


def endpoint_version(c: Children, span: Span) -> ast.EndpointVersion:
    return ast.EndpointVersion(version=c[1], span=span)


def endpoint_weight(c: Children, span: Span) -> ast.EndpointWeight:
    return ast.EndpointWeight(weight=c[1], span=span)


def discover(c: Children, span: Span) -> ast.Discover:
    return ast.Discover(kind=c[1], dns_name=c[2], span=span)


def probe(c: Children, span: Span) -> ast.Probe:
    return ast.Probe(method=c[1], path=c[2], port=c[3], span=span)


def external_decl(c: Children, span: Span, doc: str | None) -> ast.External:
    return ast.External(name=c[1], namespace=c[3], items=tuple(c[5:-1]), doc=doc, span=span)


def external_hosts(c: Children, span: Span) -> ast.ExternalHosts:
    return ast.ExternalHosts(hosts=tuple(c[1::2]), span=span)


def external_port(c: Children, span: Span) -> ast.Port:
    return ast.Port(number=c[1], protocol=c[2], span=span)


PARTS: Final[Mapping[str, Part]] = {
    "import_alias": second,
    "federated": after_keyword,
    "namespace_body": braced,
    "service_body": braced,
    "target_port": second,
    "port_name": second,
    "label": label,
    "version_body": braced,
    "endpoint_body": braced,
    "probe_port": second,
}
NODES: Final[Mapping[str, Node]] = {
    "import_decl": import_decl,
    "inventory_decl": inventory_decl,
    "trust_domain": trust_domain,
    "cluster_domain": cluster_domain,
    "trusted_hops": trusted_hops,
    "default_access": default_access,
    "mtls": mtls,
    "service_port": service_port,
    "service_account": service_account,
    "labels": labels,
    "version": version,
    "endpoint": endpoint,
    "endpoint_zone": endpoint_zone,
    "endpoint_version": endpoint_version,
    "endpoint_weight": endpoint_weight,
    "discover": discover,
    "probe": probe,
    "external_hosts": external_hosts,
    "external_port": external_port,
}
DOCUMENTED: Final[Mapping[str, Documented]] = {
    "mesh_decl": mesh_decl,
    "namespace_decl": namespace_decl,
    "service_decl": service_decl,
    "external_decl": external_decl,
}
