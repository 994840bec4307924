"""A mesh of emitted documents: everything read, or refused, and the two sides that apply it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from meshc_harness.istio.actions import Target, read_retries
from meshc_harness.istio.attachment import Identity, read_identity
from meshc_harness.istio.authentication import (
    PeerAuthentication,
    RequestAuthentication,
    read_peer_authentication,
    read_request_authentication,
)
from meshc_harness.istio.authorization import AuthorizationPolicy, read_authorization
from meshc_harness.istio.caller import CallerSide
from meshc_harness.istio.calls import DEFAULT_RETRIES
from meshc_harness.istio.destination_rules import DestinationRule, read_destination_rule
from meshc_harness.istio.others import (
    ServiceEntry,
    Sidecar,
    check_envoy_filter,
    check_telemetry,
    read_service_entry,
    read_sidecar,
)
from meshc_harness.istio.reading import Fields, reject
from meshc_harness.istio.server import ServerSide
from meshc_harness.istio.virtual_services import Forward, VirtualService, read_virtual_service
from meshc_harness.istio.world import MeshSettings, Workload, read_settings

VERSIONS: Mapping[str, frozenset[str]] = {
    "security.istio.io/v1": frozenset({"AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"}),
    "networking.istio.io/v1": frozenset({"VirtualService", "DestinationRule", "ServiceEntry", "Sidecar"}),
    "telemetry.istio.io/v1": frozenset({"Telemetry"}),
    "networking.istio.io/v1alpha3": frozenset({"EnvoyFilter"}),
}

Read = (
    AuthorizationPolicy
    | PeerAuthentication
    | RequestAuthentication
    | VirtualService
    | DestinationRule
    | ServiceEntry
    | Sidecar
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IstioMesh:
    """`envoy_filters` and `telemetry` are recorded by name alone: they decide no request here."""

    settings: MeshSettings
    server: ServerSide
    caller: CallerSide
    envoy_filters: tuple[Identity, ...]
    telemetry: tuple[Identity, ...]

    @staticmethod
    def of(
        documents: Iterable[Mapping[str, object]],
        mesh_config: Mapping[str, object],
        workloads: Iterable[Workload],
        *,
        cluster_domain: str = "cluster.local",
        joins_lines: bool = True,
    ) -> "IstioMesh":
        """Raises RejectedError for what Istio would not take, or what is not known here."""
        settings = read_settings(mesh_config, cluster_domain=cluster_domain, joins_lines=joins_lines)
        by_host = {f"{one.namespace}.{one.name}": one for one in workloads}
        hosts = {full_name(one.name, one.namespace, settings): one for one in by_host.values()}
        found: list[Read] = []
        quiet: dict[str, list[Identity]] = {"EnvoyFilter": [], "Telemetry": []}
        seen: set[tuple[str, str, str]] = set()
        for document in documents:
            fields = Fields(document, str(document.get("kind")))
            identity = read_identity(fields)
            key = identity.kind, identity.namespace, identity.name
            if key in seen:
                reject(str(identity), "twice")
            seen.add(key)
            if identity.kind not in VERSIONS.get(str(document.get("apiVersion")), frozenset()):
                reject(str(identity), f"apiVersion {document.get('apiVersion')}")
            one = _read(identity, _spec(fields, identity), settings)
            if one is not None:
                found.append(one)
            elif identity.kind in quiet:
                quiet[identity.kind].append(identity)
        return IstioMesh(
            settings=settings,
            server=ServerSide(
                settings=settings,
                authorization=tuple(one for one in found if isinstance(one, AuthorizationPolicy)),
                peers=tuple(one for one in found if isinstance(one, PeerAuthentication)),
                tokens=tuple(one for one in found if isinstance(one, RequestAuthentication)),
            ),
            caller=CallerSide(
                settings=settings,
                workloads=hosts,
                virtual_services=tuple(one for one in found if isinstance(one, VirtualService)),
                destination_rules=tuple(one for one in found if isinstance(one, DestinationRule)),
                entries=tuple(one for one in found if isinstance(one, ServiceEntry)),
                sidecars=tuple(one for one in found if isinstance(one, Sidecar)),
                default_retries=read_retries(settings.default_retries, DEFAULT_RETRIES),
            ),
            envoy_filters=tuple(quiet["EnvoyFilter"]),
            telemetry=tuple(quiet["Telemetry"]),
        )


def full_name(host: str, namespace: str, settings: MeshSettings) -> str:
    """A host as Istio takes it: a name without dots is a service of the object's namespace, any other is full already."""
    return host if "." in host else f"{host}.{namespace}.svc.{settings.cluster_domain}"


def _spec(fields: Fields, identity: Identity) -> Fields:
    found = fields.fields("spec")
    fields.finish()
    if found is None:
        reject(str(identity), "no spec")
    return Fields(fields.value("spec"), str(identity))


def _read(identity: Identity, spec: Fields, settings: MeshSettings) -> Read | None:
    match identity.kind:
        case "AuthorizationPolicy":
            return read_authorization(identity, spec, settings)
        case "PeerAuthentication":
            return read_peer_authentication(identity, spec)
        case "RequestAuthentication":
            return read_request_authentication(identity, spec)
        case "VirtualService":
            default = read_retries(settings.default_retries, DEFAULT_RETRIES)
            found = read_virtual_service(identity, spec, default)
            return None if found is None else _with_full_names(found, settings)
        case "DestinationRule":
            host = full_name(spec.needed_text("host"), identity.namespace, settings)
            return read_destination_rule(identity, spec, host)
        case "ServiceEntry":
            return read_service_entry(identity, spec)
        case "Sidecar":
            return read_sidecar(identity, spec)
        case "Telemetry":
            check_telemetry(spec, settings.providers)
        case _:
            check_envoy_filter(spec)
    return None


def _with_full_names(service: VirtualService, settings: MeshSettings) -> VirtualService:
    namespace = service.identity.namespace

    def named(target: Target) -> Target:
        return replace(target, host=full_name(target.host, namespace, settings))

    http = []
    for route in service.http:
        action = route.action
        if isinstance(action, Forward):
            action = replace(
                action,
                targets=tuple((named(target), weight) for target, weight in action.targets),
                mirrors=tuple((named(target), percent) for target, percent in action.mirrors),
            )
        http.append(replace(route, action=action))
    return replace(
        service,
        hosts=tuple(full_name(host, namespace, settings) for host in service.hosts),
        http=tuple(http),
        l4=tuple(
            replace(route, targets=tuple((named(target), weight) for target, weight in route.targets))
            for route in service.l4
        ),
    )
