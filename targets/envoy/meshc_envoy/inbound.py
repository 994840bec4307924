"""Inbound: one listener a service port, which decides who may call and passes what may to the application."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from meshc import ir
from meshc.addresses import inbound_ports
from meshc.target import Json
from meshc_envoy.access import StageRules, http_filters, network_filters, stage_rules
from meshc_envoy.access_logs import PLAINTEXT_CHAIN, LogPoint, connection_logs, refused_connection_logs, request_logs
from meshc_envoy.balancing import Address
from meshc_envoy.clusters import cluster
from meshc_envoy.connection_manager import inbound_manager, plain_route
from meshc_envoy.protocols import protocol_options
from meshc_envoy.queries import query_patterns, routes_by_patterns
from meshc_envoy.rate_limits import limit_filters
from meshc_envoy.requests import port_atoms, refusal_filter
from meshc_envoy.shapes import Object, extension, socket_address
from meshc_envoy.telemetry import inbound_point, manager_fields
from meshc_envoy.tls import TlsFiles, inbound_socket, single_identity
from meshc_envoy.tokens import token_filters

_TLS_INSPECTOR: Final = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
_EARLY_BYTES: Final = 65536
_TCP_PROXY: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundPort:
    """One service port of a workload and what its listener needs to know.

    `addresses` are those to bind, never empty; `log_file` is where access logs go.
    """

    mesh: ir.Mesh
    workload: ir.Workload
    port: ir.PortPolicy
    files: TlsFiles
    addresses: tuple[str, ...]
    log_file: PurePosixPath

    @property
    def log_point(self) -> LogPoint:
        return inbound_point(self.workload, self.port, self.log_file)

    @property
    def name(self) -> str:
        return f"inbound/{self.port.number}"

    @property
    def application(self) -> str:
        """The name of the application's cluster."""
        return f"application/{self.port.target}/{self.port.protocol.value}"


def inbound_listener(inbound: InboundPort) -> Object:
    """The listener of one service port."""
    first, *others = [
        socket_address(address, number)
        for number in inbound_ports(inbound.workload, inbound.port)
        for address in inbound.addresses
    ]
    chains, inspected = _chains(inbound)
    additional: list[Json] = [{"address": other} for other in others]
    refused = refused_connection_logs(inbound.log_point, is_http=inbound.port.protocol.is_http)
    return {
        "name": inbound.name,
        "address": first,
        **({"additional_addresses": additional} if additional else {}),
        "traffic_direction": "INBOUND",
        **({"listener_filters": [_inspector()]} if inspected else {}),
        **({"continue_on_listener_filters_timeout": True} if inspected and _serves_silence(inbound.port) else {}),
        "filter_chains": list(chains),
        **({"access_log": refused} if refused else {}),
    }


def _serves_silence(port: ir.PortPolicy) -> bool:
    """Whether a caller that sends nothing may be served: on tcp ports the server may speak first.

    On a tls port nobody may: whoever holds back the TLS hello would pass without the server name that rules ask for.
    """
    return port.protocol is ir.Protocol.TCP


def application_cluster(inbound: InboundPort, address: str) -> Object:
    """The application behind a port, at its target port."""
    endpoint = Address(host=address, port=inbound.port.target)
    return cluster(inbound.application, [endpoint], protocol=protocol_options(inbound.port.protocol))


def _inspector() -> Object:
    return extension("envoy.filters.listener.tls_inspector", _TLS_INSPECTOR)


def _chains(inbound: InboundPort) -> tuple[list[Object], bool]:
    """The filter chains, and whether the listener must look at the first bytes to choose or decide."""
    if inbound.port.protocol is ir.Protocol.TLS:
        # What is not TLS finds no chain, so that nothing arrives in plain text.
        return [{"filter_chain_match": {"transport_protocol": "tls"}, "filters": _plain_filters(inbound)}], True
    match inbound.port.mtls:
        case ir.MtlsMode.STRICT:
            return [_mutual_chain(inbound)], False
        case ir.MtlsMode.PERMISSIVE:
            mutual = {"filter_chain_match": {"transport_protocol": "tls"}} | _mutual_chain(inbound)
            plain: Object = {
                "filter_chain_match": {"transport_protocol": "raw_buffer"},
                "filters": _plain_filters(inbound),
                **({"name": PLAINTEXT_CHAIN} if inbound.log_point.logs else {}),
            }
            return [mutual, plain], True
        case ir.MtlsMode.OFF:
            return [{"filters": _plain_filters(inbound)}], False


def _mutual_chain(inbound: InboundPort) -> Object:
    stages = _stages(inbound, has_identities=True)
    if inbound.port.protocol.is_http:
        filters = [_http(inbound, stages, has_identities=True)]
        return {
            "transport_socket": inbound_socket(inbound.files, ("h2", "http/1.1")),
            "filters": [single_identity(), *filters],
        }
    admitted = _admitted(inbound.mesh, inbound.port)
    return {
        "transport_socket": inbound_socket(inbound.files, (), admitted or ()),
        "filters": [single_identity(), *_tcp(inbound, stages, decided=admitted is not None, is_encrypted=True)],
    }


def _plain_filters(inbound: InboundPort) -> list[Json]:
    stages = _stages(inbound, has_identities=False)
    if inbound.port.protocol.is_http:
        return [_http(inbound, stages, has_identities=False)]
    decided = not any(not stage.shadow for stage in stages)
    return _tcp(inbound, stages, decided=decided, is_encrypted=False)


def _stages(inbound: InboundPort, *, has_identities: bool) -> tuple[StageRules, ...]:
    is_named = bool(inbound.workload.telemetry.access_logs)
    return stage_rules(inbound.port.access, has_identities=has_identities, is_named=is_named)


def _http(inbound: InboundPort, stages: tuple[StageRules, ...], *, has_identities: bool) -> Object:
    atoms = port_atoms(inbound.port)
    logging = request_logs(inbound.log_point)
    filters: list[Json] = [
        *logging.head,
        refusal_filter(atoms),
        *token_filters(inbound.port.jwts),
        *logging.after_tokens,
        *http_filters(stages),
        *limit_filters(inbound.port.limits, has_identities=has_identities),
    ]
    host: Object = {
        "name": "application",
        "domains": ["*"],
        "routes": routes_by_patterns(plain_route(inbound.application), query_patterns(atoms)),
        # Envoy adds it where the peer is not trusted; the application knows the peer by other headers.
        "request_headers_to_remove": ["x-envoy-external-address"],
    }
    return inbound_manager(
        inbound.name,
        host,
        filters,
        trusted_hops=inbound.mesh.trusted_hops,
        has_jwt=bool(inbound.port.jwts),
        websocket=inbound.port.protocol is ir.Protocol.HTTP,
        telemetry=manager_fields(inbound.workload, inbound.log_point, logging),
    )


def _tcp(inbound: InboundPort, stages: tuple[StageRules, ...], *, decided: bool, is_encrypted: bool) -> list[Json]:
    """RBAC and the proxy of bytes. Envoy's RBAC waits for the caller's first byte, but the proxy would connect at once and
    pass on what the application says unasked: unless access is decided before, it must wait as well.
    """
    # Without TLS the handshake is done at once.
    mode = "ON_DOWNSTREAM_TLS_HANDSHAKE" if decided else "ON_DOWNSTREAM_DATA"
    logging = connection_logs(inbound.log_point, inbound.name, is_encrypted=is_encrypted)
    proxy = extension(
        "envoy.filters.network.tcp_proxy",
        _TCP_PROXY,
        stat_prefix=inbound.name,
        cluster=inbound.application,
        idle_timeout="0s",
        upstream_connect_mode=mode,
        max_early_data_bytes=_EARLY_BYTES,
        **({"access_log": list(logging.loggers)} if logging.loggers else {}),
    )
    return [*logging.head, *network_filters(stages, inbound.name, is_logged=bool(logging.loggers)), proxy]


def waits_for_caller(mesh: ir.Mesh, port: ir.PortPolicy) -> bool:
    """Whether the application is connected only at the caller's first byte, because access is not decided before."""
    encrypted = port.protocol is not ir.Protocol.TLS and port.mtls is not ir.MtlsMode.OFF
    plain = port.protocol is ir.Protocol.TLS or port.mtls is not ir.MtlsMode.STRICT
    if encrypted and _admitted(mesh, port) is None:
        return True
    return plain and any(not stage.shadow for stage in stage_rules(port.access, has_identities=False))


def _admitted(mesh: ir.Mesh, port: ir.PortPolicy) -> tuple[Object, ...] | None:
    """Matchers of the identities that alone decide access, so that the handshake can; empty for all; None if more does.

    Only with one trust domain: a federated authority could put an admitted identity beside one of its own domain, and
    `single_identity` is not asked before the first byte either.
    """
    stages = [stage for stage in port.access if not stage.shadow]
    if not stages:
        return ()
    if len(mesh.trust_domains) > 1 or len(stages) > 1 or stages[0].effect is ir.Effect.DENY:
        return None
    rules = stages[0].rules
    if not rules or any(rule.condition != ir.ALWAYS or rule.principals.exclude for rule in rules):
        return None
    principals = [principal for rule in rules for principal in rule.principals.include]
    if any(isinstance(principal, ir.AnyPeer | ir.AnyIdentity) for principal in principals):
        return ()
    return _identity_matchers(principals)


def _identity_matchers(principals: list[ir.Principal]) -> tuple[Object, ...]:
    exact = sorted({principal.identity for principal in principals if isinstance(principal, ir.ExactIdentity)})
    prefixes = sorted({principal.prefix for principal in principals if isinstance(principal, ir.IdentityPrefix)})
    matchers: list[Object] = [{"exact": identity} for identity in exact]
    matchers += [{"prefix": prefix} for prefix in prefixes]
    return tuple(matchers)
