"""The bootstrap of one sidecar: everything that Envoy reads at its start."""

from typing import Final

from meshc import ir
from meshc.addresses import ordered_ports
from meshc.target import Json
from meshc_envoy.balancing import locality_of
from meshc_envoy.callers import caller_of
from meshc_envoy.clusters import named_cluster
from meshc_envoy.directory import Directory
from meshc_envoy.inbound import InboundPort, application_cluster, inbound_listener
from meshc_envoy.metrics import admin_fields, metrics_clusters, metrics_listeners
from meshc_envoy.options import Certificates, EmitOptions, SocketAddress
from meshc_envoy.outbound import outbound_clusters, outbound_listeners
from meshc_envoy.protocols import http1, http2
from meshc_envoy.shapes import Object
from meshc_envoy.text_matchers import MAX_PROGRAM
from meshc_envoy.tls import SDS_CLUSTER, TlsFiles, origination_socket
from meshc_envoy.tokens import key_set_cluster, key_set_server, key_set_urls
from meshc_envoy.tracing import collector_clusters

XDS_CLUSTER: Final = "xds"


def bootstrap(directory: Directory, workload: ir.Workload, options: EmitOptions, zone: str | None) -> Object:
    """The bootstrap of the workload's sidecar in `zone`, None where that is not known."""
    mesh = directory.mesh
    key = (workload.namespace, workload.name)
    files = TlsFiles(
        identity=workload.identity,
        trust_domains=mesh.trust_domains,
        certificates=options.certificates,
        directory=options.tls_directories.get(key, options.tls_directory),
    )
    caller = caller_of(directory, workload, files, options, zone)
    addresses = options.listen_addresses.get(key, (options.default_listen_address,))
    inbound = [
        InboundPort(
            mesh=mesh,
            workload=workload,
            port=port,
            files=files,
            addresses=addresses,
            log_file=options.access_log,
        )
        for port in ordered_ports(workload.ports)
    ]
    outbound = outbound_clusters(caller)
    uses_eds = any(one.get("type") == "EDS" for one in outbound)
    application = options.application_addresses.get(key, "127.0.0.1")
    clusters = [
        *_distinct([application_cluster(port, application) for port in inbound]),
        *outbound,
        *_service_clusters(workload, options),
        *([_xds_cluster(options)] if uses_eds else []),
    ]
    listeners = [
        *(inbound_listener(port) for port in inbound),
        *metrics_listeners(workload, addresses),
        *outbound_listeners(caller),
    ]
    return {
        "node": _node(mesh, workload, zone),
        **admin_fields(
            options.admins.get(key, options.admin), options.metrics_socket, has_metrics=workload.telemetry.metrics
        ),
        "layered_runtime": {"layers": [{"name": "meshc", "static_layer": _runtime()}]},
        **_source(options.source_address),
        **({"dynamic_resources": {"ads_config": _ads()}} if uses_eds else {}),
        "static_resources": {"listeners": list(listeners), "clusters": list(clusters)},
    }


def _node(mesh: ir.Mesh, workload: ir.Workload, zone: str | None) -> Object:
    return {
        "id": f"{workload.namespace}/{workload.name}",
        "cluster": mesh.name,
        **({"locality": locality_of(zone)} if zone is not None else {}),
    }


def _service_clusters(workload: ir.Workload, options: EmitOptions) -> list[Object]:
    """What the sidecar itself calls: for keys, traces, metrics and certificates."""
    admin = options.admins.get((workload.namespace, workload.name), options.admin)
    return [
        *_key_set_clusters(workload, options),
        *collector_clusters(workload),
        *metrics_clusters(workload, admin, options.metrics_socket),
        *([_sds_cluster(options)] if options.certificates is Certificates.SDS else []),
    ]


def _runtime() -> Object:
    return {"re2": {"max_program_size": {"error_level": MAX_PROGRAM, "warn_level": MAX_PROGRAM}}}


def _source(address: str | None) -> Object:
    """The address that all connections come from."""
    return {} if address is None else {"cluster_manager": {"upstream_bind_config": _any_port(address)}}


def _any_port(address: str) -> Object:
    return {"source_address": {"address": address, "port_value": 0}}


def _distinct(clusters: list[Object]) -> list[Object]:
    """Two service ports may share one target port."""
    return list({str(cluster["name"]): cluster for cluster in clusters}.values())


def _key_set_clusters(workload: ir.Workload, options: EmitOptions) -> list[Object]:
    urls = key_set_urls(jwt for port in workload.ports for jwt in port.jwts)
    return _distinct([_key_set_cluster(url, options) for url in urls])


def _key_set_cluster(url: str, options: EmitOptions) -> Object:
    scheme, host, port = key_set_server(url)
    socket = origination_socket(host, str(options.ca_file), ("http/1.1",)) if scheme == "https" else None
    server = options.external_addresses.get(host) or SocketAddress(host=host, port=port)
    return named_cluster(key_set_cluster(url), server, protocol=http1(), socket=socket)


def _sds_cluster(options: EmitOptions) -> Object:
    address: Json = {"pipe": {"path": str(options.sds_socket)}}
    load: Json = {
        "cluster_name": SDS_CLUSTER,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    }
    return {
        "name": SDS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": load,
        "typed_extension_protocol_options": http2(),
    }


def _xds_cluster(options: EmitOptions) -> Object:
    return named_cluster(XDS_CLUSTER, options.xds, protocol=http2(), socket=None)


def _ads() -> Object:
    services: list[Json] = [{"envoy_grpc": {"cluster_name": XDS_CLUSTER}}]
    return {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": services,
    }
