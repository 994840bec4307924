"""Where a sidecar takes certificates, authorities, keys and endpoints from, and where it listens.

No rule says any of that, and yet all of them rest on it: who puts files of his own there is whoever he likes. Places that the
target's options say are taken as they are; every other is an assumption, which names the place.

Source: Envoy `CommonTlsContext`, `DataSource`, `SdsSecretConfig`, `JwtProvider`, `Bootstrap`.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc.reading import Aspect
from meshc.target import TargetOptions
from meshc_envoy.options import Certificates, EmitOptions
from meshc_envoy.read.bootstraps import Sidecar
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.notes import Notes
from meshc_envoy.read.process import is_anywhere
from meshc_envoy.tls import SDS_CLUSTER
from meshc_envoy.tokens import key_set_server

_DEFAULTS: Final = EmitOptions()
_FIXED: Final = frozenset({"STATIC", "STRICT_DNS", "LOGICAL_DNS"})
"""Types of clusters whose endpoints are those that are written."""
_PROTOCOLS: Final = frozenset({"h2", "http/1.1"})
_SDS: Final[Mapping[str, object]] = {"api_type": "GRPC", "transport_api_version": "V3"}
_REDACTED: Final = "[redacted]"
"""What a dump says of the place of a key."""
_SPIFFE: Final = "spiffe://"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """Where the certificates of a sidecar are by the options: in files of a folder (None: there are none), or at an agent."""

    folder: str | None
    identity: str
    domain: str

    @staticmethod
    def of(options: TargetOptions, identity: str) -> "_Expected":
        is_filed = options.get("certificates", Certificates.FILES.value) == Certificates.FILES.value
        folder = options.get("tls-directory", str(_DEFAULTS.tls_directory))
        domain = identity.removeprefix(_SPIFFE).partition("/")[0]
        return _Expected(folder=folder if is_filed else None, identity=identity, domain=domain)


def check_places(car: Sidecar, identity: str, addresses: frozenset[str], options: TargetOptions, notes: Notes) -> None:
    """Note the places of a sidecar that the options do not say; `addresses` are those that its service has."""
    expected = _Expected.of(options, identity)
    for holder in _with_sockets(car):
        try:
            _check_socket(holder, car, expected, notes)
        except NotUnderstoodError as error:
            notes.unknown(error, Aspect, None)
    for listener in car.listeners:
        _check_address(listener, addresses, notes)
        for provider in _providers(listener):
            _check_key_set(provider, car, notes)
    _check_management(car, notes)


def leads_to(name: str, place: str, car: Sidecar) -> bool:
    """Whether the cluster of this name is one server at this place: `host:port`, or the path of a socket."""
    cluster = car.clusters.get(name)
    return cluster is not None and cluster.text("type", "STATIC") in _FIXED and _servers(cluster) == [place]


# ---- certificates ---------------------------------------------------------------------------------------------------


def _with_sockets(car: Sidecar) -> Iterator[Message]:
    """All that holds a transport socket: filter chains, then clusters."""
    holders = [*(chain for one in car.listeners for chain in one.messages("filter_chains")), *car.clusters.values()]
    return (one for one in holders if one.has("transport_socket"))


def _check_socket(holder: Message, car: Sidecar, expected: _Expected, notes: Notes) -> None:
    _, context = holder.need("transport_socket").config()
    common = context.message("common_tls_context")
    if common is None:
        return
    unknown = frozenset(common.texts("alpn_protocols")) - _PROTOCOLS
    if unknown:
        raise common.error(f"the protocol `{min(unknown)}` is not understood", "alpn_protocols")
    for one in common.messages("tls_certificates"):
        _check_file(
            one.need("certificate_chain"), expected, "cert.pem", "the certificate in {} is the sidecar's", notes
        )
        _check_file(one.need("private_key"), expected, "key.pem", "the key in {} is the sidecar's", notes)
    for one in common.messages("tls_certificate_sds_secret_configs"):
        _check_secret(one, car, expected, frozenset({expected.identity}), notes)
    combined = common.message("combined_validation_context")
    if combined is not None:
        names = frozenset({"ALL", f"{_SPIFFE}{expected.domain}"})
        _check_secret(combined.need("validation_context_sds_secret_config"), car, expected, names, notes)
    validation = common.message("validation_context")
    if validation is not None:
        _check_bundles(validation, expected, notes)


def _check_bundles(validation: Message, expected: _Expected, notes: Notes) -> None:
    names = [one.text("san_type") for one in validation.messages("match_typed_subject_alt_names")]
    if validation.has("trusted_ca") and "URI" in names:
        # Else it is a server outside the mesh, whose authorities the program names.
        text = "the authorities in {} sign identities of the mesh alone"
        _check_file(validation.need("trusted_ca"), expected, None, text, notes)
    custom = validation.message("custom_validator_config")
    for one in custom.config()[1].messages("trust_domains") if custom is not None else ():
        domain = one.text("name")
        text = f"the authorities in {{}} are those of `{domain}`"
        _check_file(one.need("trust_bundle"), expected, f"{domain}.pem", text, notes)


def _check_file(source: Message, expected: _Expected, name: str | None, text: str, notes: Notes) -> None:
    """Assume of any other place than the expected one what `text` says of it."""
    path = source.text("filename")
    if path == _REDACTED:
        return  # Envoy takes no key but that of the certificate
    if expected.folder is None or name is None or path != posixpath.join(expected.folder, name):
        notes.assume(text.format(f"`{path}`" if path else "the configuration"), source.span)


def _check_secret(secret: Message, car: Sidecar, expected: _Expected, names: frozenset[str], notes: Notes) -> None:
    name, config = secret.text("name"), secret.message("sds_config")
    source = None if config is None else config.message("api_config_source")
    services = () if source is None else source.messages("grpc_services")
    agents = [one.need("envoy_grpc").text("cluster_name") for one in services if one.has("envoy_grpc")]
    is_usual = source is not None and all(source.data.get(field) == value for field, value in _SDS.items())
    is_there = agents == [SDS_CLUSTER] and leads_to(SDS_CLUSTER, str(_DEFAULTS.sds_socket), car)
    if expected.folder is not None or name not in names or not is_usual or not is_there:
        notes.assume(
            f"the secret `{name}` is what the sidecar is to have, from whom its configuration asks", secret.span
        )


# ---- addresses and servers ------------------------------------------------------------------------------------------


def _check_address(listener: Message, addresses: frozenset[str], notes: Notes) -> None:
    """Others reach a listener at the addresses of its service, or at any; its own application at loopback ones."""
    further = [one.need("address") for one in listener.messages("additional_addresses")]
    for one in (listener.need("address"), *further):
        socket = one.message("socket_address")
        host = "" if socket is None else socket.text("address")
        if host not in addresses | {"127.0.0.1", "::1"} and not is_anywhere(host):
            notes.assume(f"those who are to reach a listener reach it at `{host}`", one.span)


def _providers(listener: Message) -> Iterator[Message]:
    """The issuers of tokens of a listener."""
    for chain in listener.messages("filter_chains"):
        for one in chain.messages("filters"):
            for inner in one.config()[1].messages("http_filters"):
                for _, provider in inner.config()[1].entries("providers"):
                    yield provider


def _check_key_set(provider: Message, car: Sidecar, notes: Notes) -> None:
    """The cluster that fetches keys must lead to their URL's host, and verify who that is."""
    remote = provider.message("remote_jwks")
    if remote is None:
        return
    server = remote.need("http_uri")
    name, (scheme, host, port) = server.text("cluster"), key_set_server(server.text("uri"))
    cluster = car.clusters.get(name)
    is_there = cluster is not None and leads_to(name, f"{host}:{port}", car)
    if (
        cluster is None
        or not is_there
        or not (_is_verified(cluster, host) if scheme == "https" else _is_plain(cluster))
    ):
        notes.assume(f"what the cluster `{name}` gives are the keys of `{server.text('uri')}`", server.span)


def _is_plain(cluster: Message) -> bool:
    return not cluster.has("transport_socket")


def _is_verified(cluster: Message, host: str) -> bool:
    socket = cluster.message("transport_socket")
    context = None if socket is None else socket.config()[1]
    common = None if context is None else context.message("common_tls_context")
    validation = None if common is None else common.message("validation_context")
    if context is None or validation is None or not validation.has("trusted_ca"):
        return False
    names = [
        (one.text("san_type"), dict(one.need("matcher").data))
        for one in validation.messages("match_typed_subject_alt_names")
    ]
    is_trusted = validation.need("trusted_ca").text("filename") == str(_DEFAULTS.ca_file)
    is_open = validation.data.keys() - {"trusted_ca", "match_typed_subject_alt_names"}
    return context.text("sni") == host and names == [("DNS", {"exact": host})] and is_trusted and not is_open


def _servers(cluster: Message) -> list[str]:
    assignment = cluster.message("load_assignment")
    found: list[str] = []
    for group in assignment.messages("endpoints") if assignment is not None else ():
        for one in group.messages("lb_endpoints"):
            address = one.need("endpoint").need("address")
            pipe = address.message("pipe")
            socket = address.message("socket_address")
            at = "" if socket is None else f"{socket.text('address')}:{socket.whole('port_value')}"
            found.append(at if pipe is None else pipe.text("path"))
    return found


def _check_management(car: Sidecar, notes: Notes) -> None:
    """A management server gives endpoints; calls may be made from another address than those of the machine."""
    if car.process is None:
        return
    dynamic = car.process.message("dynamic_resources")
    asked = None if dynamic is None else dynamic.message("ads_config")
    for name, cluster in car.clusters.items():
        source = cluster.message("eds_cluster_config")
        told = None if source is None else source.message("eds_config")
        if source is not None and (told is None or not told.has("ads") or asked is None):
            notes.assume(f"who is asked for the endpoints of `{name}` tells them", source.span)
    if asked is not None:
        services = asked.messages("grpc_services")
        names = [one.need("envoy_grpc").text("cluster_name") for one in services if one.has("envoy_grpc")]
        place = f"{_DEFAULTS.xds.host}:{_DEFAULTS.xds.port}"
        if len(names) != 1 or not leads_to(names[0], place, car):
            notes.assume("the management server that is asked tells the endpoints of services", asked.span)
    manager = car.process.message("cluster_manager")
    if manager is not None and manager.has("upstream_bind_config"):
        notes.assume("others know the sidecar by the address that it calls from", manager.span)
