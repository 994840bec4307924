"""What is declared of the mesh, of services and of ports, compared field by field: all but access, routes and their settings."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from meshc.difference.model import SettingChange, Side
from meshc.ir import Endpoint, External, Jwt, Mesh, MtlsMode, PortPolicy, Probe, Protocol, Version, Workload
from meshc.semantics import wording
from meshc.semantics.show import show_text
from meshc.source import Span

_PASSED = "none, TLS is passed through"
_STRENGTH: Mapping[str, int] = {
    _PASSED: 0,
    MtlsMode.OFF.value: 0,
    MtlsMode.PERMISSIVE.value: 1,
    MtlsMode.STRICT.value: 2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The two programs, for the places of what changed."""

    old: Side
    new: Side

    def change(
        self, name: str, old: str, new: str, old_span: Span | None = None, new_span: Span | None = None
    ) -> SettingChange:
        """A change with its places."""
        return SettingChange(
            name=name, old=old, new=new, old_place=self.old.place(old_span), new_place=self.new.place(new_span)
        )


def mesh_changes(sides: Sides) -> tuple[SettingChange, ...]:
    """What is declared of the mesh as a whole. Its name means nothing to requests and is left out."""
    old, new = sides.old.mesh, sides.new.mesh
    fields: tuple[tuple[str, Callable[[Mesh], str]], ...] = (
        ("trust-domain", lambda mesh: show_text(mesh.trust_domain)),
        ("federated trust domains", lambda mesh: wording.listed(map(show_text, sorted(mesh.trust_domains[1:])))),
        ("cluster-domain", lambda mesh: show_text(mesh.cluster_domain)),
        ("trusted-hops", lambda mesh: str(mesh.trusted_hops)),
    )
    return tuple(
        sides.change(name, shown(old), shown(new), old.span, new.span)
        for name, shown in fields
        if shown(old) != shown(new)
    )


# ---- services -------------------------------------------------------------------------------------------------------


def service_changes(sides: Sides, old: Workload | External, new: Workload | External) -> tuple[SettingChange, ...]:
    """What is declared of a service that both sides have, but its ports. A doc comment is no change."""
    match old, new:
        case Workload(), Workload():
            return tuple(_workload_changes(sides, old, new))
        case External(), External():
            shown = wording.listed(map(show_text, sorted(old.hosts))), wording.listed(map(show_text, sorted(new.hosts)))
            return (sides.change("host", *shown, old.span, new.span),) if shown[0] != shown[1] else ()
        case _:
            kinds = [("service" if isinstance(one, Workload) else "external") for one in (old, new)]
            return (sides.change("kind", kinds[0], kinds[1], old.span, new.span),)


def _workload_changes(sides: Sides, old: Workload, new: Workload) -> Iterator[SettingChange]:
    fields: tuple[tuple[str, Callable[[Workload], str]], ...] = (
        ("identity", lambda one: show_text(one.identity)),
        ("labels", lambda one: _labels(one.labels)),
        ("discover", _discovery),
    )
    for name, shown in fields:
        if shown(old) != shown(new):
            yield sides.change(name, shown(old), shown(new), old.span, new.span)
    traces = old.telemetry.trace, new.telemetry.trace
    if traces[0] != traces[1]:
        spans = [None if one is None else one.span for one in traces]
        yield sides.change("trace", wording.trace(traces[0]), wording.trace(traces[1]), spans[0], spans[1])
    before, after = old.telemetry, new.telemetry
    if before.metrics != after.metrics:
        words = ["on" if one.metrics else "off" for one in (before, after)]
        yield sides.change("metrics", words[0], words[1], before.metrics_span, after.metrics_span)
    yield from _each(sides, "version", old.versions, new.versions, shown=_version, key=lambda one: one.name)
    yield from _each(sides, "endpoint", old.endpoints, new.endpoints, shown=wording.endpoint, key=_address)
    yield from _each(sides, "probe", old.probes, new.probes, shown=wording.probe, key=wording.probe)


def _labels(labels: Mapping[str, str]) -> str:
    return wording.listed(f"{key} = {show_text(value)}" for key, value in sorted(labels.items()))


def _discovery(workload: Workload) -> str:
    name = "" if workload.dns_name is None else f" {show_text(workload.dns_name)}"
    return f"{workload.discovery.value}{name}"


def _version(version: Version) -> str:
    return f"{version.name} {{ labels {_labels(version.labels)} }}" if version.labels else version.name


def _address(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.port}"


Spanned = TypeVar("Spanned", Version, Endpoint, Probe)


def _each(
    sides: Sides,
    name: str,
    old: Iterable[Spanned],
    new: Iterable[Spanned],
    *,
    shown: Callable[[Spanned], str],
    key: Callable[[Spanned], str],
) -> Iterator[SettingChange]:
    """Changes of what is declared several times, each known by a key; their order means nothing."""
    before, after = _by_key(old, key, shown), _by_key(new, key, shown)
    for found in sorted(before.keys() | after.keys()):
        one, other = before.get(found), after.get(found)
        texts = [wording.NONE if each is None else shown(each) for each in (one, other)]
        if texts[0] != texts[1]:
            spans = [None if each is None else each.span for each in (one, other)]
            yield sides.change(name, texts[0], texts[1], *spans)


def _by_key(
    some: Iterable[Spanned], key: Callable[[Spanned], str], shown: Callable[[Spanned], str]
) -> dict[str, Spanned]:
    """By key, or by all that is said of them where a key comes twice."""
    listed = tuple(some)
    found = {key(one): one for one in listed}
    return found if len(found) == len(listed) else {shown(one): one for one in listed}


# ---- ports ----------------------------------------------------------------------------------------------------------


def port_changes(sides: Sides, old: PortPolicy, new: PortPolicy) -> tuple[SettingChange, ...]:
    """What is declared of a port: how it is reached, its mTLS mode, its issuers of tokens, how its endpoints are used."""
    return (
        *_port_fields(sides, old, new),
        *_mtls(sides, old, new),
        *_jwts(sides, old, new),
        *_endpoints(sides, old, new),
    )


def _port_fields(sides: Sides, old: PortPolicy, new: PortPolicy) -> Iterator[SettingChange]:
    fields: tuple[tuple[str, Callable[[PortPolicy], str]], ...] = (
        ("protocol", lambda port: port.protocol.value),
        ("target", lambda port: str(port.target)),
        ("name", lambda port: port.name or wording.NONE),
    )
    for name, shown in fields:
        if shown(old) != shown(new):
            yield sides.change(name, shown(old), shown(new), old.span, new.span)


def _mtls(sides: Sides, old: PortPolicy, new: PortPolicy) -> Iterator[SettingChange]:
    before, after = _mode(old), _mode(new)
    if before != after:
        change = sides.change("mtls", before, after, old.span, new.span)
        yield replace(change, weakens=_STRENGTH[after] < _STRENGTH[before])


def _mode(port: PortPolicy) -> str:
    return _PASSED if port.protocol is Protocol.TLS else port.mtls.value


def _jwts(sides: Sides, old: PortPolicy, new: PortPolicy) -> Iterator[SettingChange]:
    before, after = {one.name: one for one in old.jwts}, {one.name: one for one in new.jwts}
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        spans = (None if one is None else one.span, None if other is None else other.span)
        if one is None or other is None:
            shown = [wording.NONE if each is None else f"issuer {show_text(each.issuer)}" for each in (one, other)]
            yield sides.change(f"jwt {name}", shown[0], shown[1], *spans)
            continue
        for part, shown_part in _JWT_FIELDS:
            if shown_part(one) != shown_part(other):
                yield sides.change(f"jwt {name} {part}", shown_part(one), shown_part(other), *spans)


_JWT_FIELDS: tuple[tuple[str, Callable[[Jwt], str]], ...] = (
    ("issuer", lambda jwt: show_text(jwt.issuer)),
    ("audiences", lambda jwt: wording.listed(map(show_text, sorted(jwt.audiences)))),
    ("jwks", lambda jwt: f"{jwt.jwks_kind} {show_text(jwt.jwks)}"),
    ("from-header", lambda jwt: wording.listed(f"{show_text(a)} {show_text(b)}" for a, b in jwt.from_headers)),
    ("forward", lambda jwt: "yes" if jwt.forward else "no"),
    ("required", lambda jwt: "yes" if jwt.required else "no"),
)

_ENDPOINT_FIELDS: tuple[tuple[str, str, Callable[[PortPolicy], str]], ...] = (
    ("connect-timeout", "connect_timeout_ms", lambda port: wording.duration(port.settings.connect_timeout_ms)),
    ("load-balance", "load_balance", lambda port: wording.load_balance(port.settings.load_balance)),
    ("circuit-breaker", "circuit_breaker", lambda port: wording.circuit_breaker(port.settings.circuit_breaker)),
    ("outlier-detection", "outlier_detection", lambda port: wording.outlier_detection(port.settings.outlier_detection)),
    ("health-check", "health_check", lambda port: wording.health_check(port.settings.health_check)),
    ("locality", "locality", lambda port: wording.locality(port.settings.locality)),
    ("tls ca", "tls", lambda port: wording.text(port.settings.tls_ca_file)),
    ("tls sni", "tls", lambda port: wording.text(port.settings.tls_sni)),
)


def _endpoints(sides: Sides, old: PortPolicy, new: PortPolicy) -> Iterator[SettingChange]:
    for name, field, shown in _ENDPOINT_FIELDS:
        if shown(old) != shown(new):
            spans = setting_span(old, field), setting_span(new, field)
            yield sides.change(name, shown(old), shown(new), *spans)


def setting_span(port: PortPolicy, field: str) -> Span | None:
    """Where a setting of a port's connections is written; None where it is not."""
    settings = port.settings
    nodes = {
        "load_balance": settings.load_balance,
        "circuit_breaker": settings.circuit_breaker,
        "outlier_detection": settings.outlier_detection,
        "health_check": settings.health_check,
        "locality": settings.locality,
    }
    node = nodes.get(field)
    return dict(settings.spans).get(field) if node is None else node.span
