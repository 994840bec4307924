"""Services: the declarations of all layers merged into one `ServiceInfo` each.

A higher layer (an environment over the program over an inventory) replaces a port of the same number, a version of the same
name, the account, and the endpoints as a whole; labels and probes add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from meshc import ast, ir
from meshc.diagnostics import Label
from meshc.ir import Discovery, Protocol
from meshc.lower import values
from meshc.lower.context import Context
from meshc.lower.layers import Given, Layered
from meshc.lower.names import read_endpoint, read_label, read_zone
from meshc.path_patterns import PatternError, read_path_pattern
from meshc.resolve import BASE, Key, Placed
from meshc.source import Span

PROTOCOLS: Mapping[str, Protocol] = {p.value: p for p in Protocol if p is not Protocol.HTTPS}
DISCOVERIES: Mapping[str, Discovery] = {kind.value: kind for kind in Discovery}
ACCESS_DEFAULTS: Mapping[str, bool] = {"allow": True, "deny": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class PortInfo:
    """A service port; `target` is the workload's."""

    number: int
    protocol: Protocol
    target: int
    name: str | None
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceInfo:
    """A service, or with `hosts` an external. `default_access` is its own, or None to inherit."""

    key: Key
    hosts: tuple[str, ...] = ()
    service_account: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PortInfo, ...]
    versions: tuple[ir.Version, ...] = ()
    endpoints: tuple[ir.Endpoint, ...] = ()
    discovery: Discovery = Discovery.KUBERNETES
    dns_name: str | None = None
    probes: tuple[ir.Probe, ...] = ()
    default_access: Given[bool] | None = None
    doc: str | None
    span: Span

    @property
    def is_external(self) -> bool:
        """Whether it lies outside the mesh."""
        return bool(self.hosts)

    @property
    def shown(self) -> str:
        """The qualified name, as users write it."""
        return f"{self.key[0]}.{self.key[1]}"

    def version(self, name: str) -> ir.Version | None:
        """The version of this name, if it is declared."""
        return next((version for version in self.versions if version.name == name), None)


def merge_service(context: Context, key: Key, layers: Sequence[Placed[ast.Service]]) -> ServiceInfo:
    """Merge a service's layers, checking every literal on the way."""
    ordered = sorted(layers, key=lambda one: one.layer)
    shown = next((one for one in reversed(ordered) if one.layer <= BASE), ordered[0])
    merge = _Merge(context, key)
    for placed in ordered:
        for item in placed.node.items:
            merge.add(context.inside(placed.module), item, placed.layer)
    return merge.finish(shown.node)


@dataclass(slots=True)
class _Merge:
    context: Context
    key: Key
    accounts: Layered[str] = field(init=False)
    access: Layered[bool] = field(init=False)
    discoveries: Layered[tuple[Discovery, str | None]] = field(init=False)
    ports: Layered[PortInfo] = field(init=False)
    labels: Layered[str] = field(init=False)
    versions: Layered[ir.Version] = field(init=False)
    endpoints: list[Given[ir.Endpoint]] = field(default_factory=list)
    probes: dict[tuple[str, str | None, int | None], Span] = field(default_factory=dict)

    def __post_init__(self) -> None:
        report = self.context.report
        self.accounts, self.access, self.discoveries = Layered(report), Layered(report), Layered(report)
        self.ports, self.labels, self.versions = Layered(report), Layered(report), Layered(report)

    def add(self, context: Context, item: ast.ServiceItem, layer: int) -> None:
        match item:
            case ast.Port():
                self._port(context, item, layer)
            case ast.ServiceAccount():
                self.accounts.give("service-account", item.name.text, layer, item.span)
            case ast.Labels():
                for name, value, span in read_labels(context, item):
                    self.labels.give(f"labels {name}", value, layer, span)
            case ast.Version():
                self._version(context, item, layer)
            case ast.Endpoint():
                endpoint = self._endpoint(context, item)
                if endpoint is not None:
                    self.endpoints.append(Given(endpoint, layer, item.span))
            case ast.Discover():
                self._discover(context, item, layer)
            case ast.Probe():
                self._probe(context, item)
            case ast.DefaultAccess():
                allowed = context.word(item.access, ACCESS_DEFAULTS, "default access")
                if allowed is not None:
                    self.access.give("default access", allowed, layer, item.span)

    def _port(self, context: Context, item: ast.Port, layer: int) -> None:
        port = read_port(context, item, PROTOCOLS)
        if port is not None:
            self.ports.give(f"port {port.number}", port, layer, item.span)

    def _version(self, context: Context, item: ast.Version, layer: int) -> None:
        labels = {name: value for one in item.labels for name, value, _ in read_labels(context, one)}
        name = item.name.text
        version = ir.Version(name=name, labels=labels or {"version": name}, span=item.span)
        self.versions.give(f"version {name}", version, layer, item.span)

    def _endpoint(self, context: Context, item: ast.Endpoint) -> ir.Endpoint | None:
        address = read_endpoint(context, item.address)
        zone: str | None = None
        version: str | None = None
        weight = 1
        for part in item.items:
            match part:
                case ast.EndpointZone():
                    zone = read_zone(context, part.zone)
                case ast.EndpointVersion():
                    version = part.version.text
                case ast.EndpointWeight():
                    weight = values.integer(context, part.weight, "weight", least=1, most=2**20) or 1
        if address is None:
            return None
        return ir.Endpoint(host=address[0], port=address[1], zone=zone, version=version, weight=weight, span=item.span)

    def _discover(self, context: Context, item: ast.Discover, layer: int) -> None:
        kind = context.word(item.kind, DISCOVERIES, "kind of discovery")
        name = None if item.dns_name is None else values.text(context, item.dns_name, "the name to look up")
        if kind is None:
            return
        if (kind is Discovery.DNS) != (item.dns_name is not None):
            advice = 'write `discover dns "name"`' if kind is Discovery.DNS else f"write `discover {kind.value}`"
            context.report.add(
                "missing-setting", item.span, "`discover dns`, and it alone, takes a name", advice=advice
            )
            return
        self.discoveries.give("discover", (kind, name), layer, item.span)

    def _probe(self, context: Context, item: ast.Probe) -> None:
        method = item.method.text
        if method not in {"GET", "GRPC", "TCP"}:
            advice = "write `probe GET /path`, `probe GRPC` or `probe TCP`"
            context.report.add("invalid-method", item.method.span, f"probes do not use `{method}`", advice=advice)
            return
        path = _probe_path(context, item)
        if (method == "GET") == (path is None):
            return
        port = None if item.port is None else values.integer(context, item.port, "a probe's port", least=1, most=65535)
        self.probes[(method, path, port)] = item.span

    def finish(self, node: ast.Service) -> ServiceInfo:
        discovery, dns_name = self.discoveries.get("discover") or (None, None)
        top = max((one.layer for one in self.endpoints), default=0)
        endpoints = tuple(one.value for one in self.endpoints if one.layer == top)
        ports = tuple(sorted((one.value for one in self.ports.given.values()), key=lambda port: port.number))
        refuse_equal_names(self.context, ports)
        self._check_versions(endpoints)
        return ServiceInfo(
            key=self.key,
            service_account=self.accounts.get("service-account") or self.key[1],
            labels={k.removeprefix("labels "): v.value for k, v in self.labels.given.items()} or {"app": self.key[1]},
            ports=ports,
            versions=tuple(sorted((one.value for one in self.versions.given.values()), key=lambda v: v.name)),
            endpoints=endpoints,
            discovery=discovery or (Discovery.STATIC if endpoints else Discovery.KUBERNETES),
            dns_name=dns_name,
            probes=self._finish_probes(ports),
            default_access=self.access.given.get("default access"),
            doc=node.doc,
            span=node.name.span,
        )

    def _check_versions(self, endpoints: tuple[ir.Endpoint, ...]) -> None:
        served = {endpoint.version for endpoint in endpoints}
        for key, given in self.versions.given.items() if served - {None} else ():
            name = key.removeprefix("version ")
            if name not in served:
                message = f"no endpoint is one of version `{name}`, so what is sent to it is answered with 503"
                advice = f'add one: `endpoint "host:port" {{ version {name} }}`, or remove the version'
                self.context.report.add("empty-version", given.span, message, advice=advice)
        for endpoint in endpoints:
            if endpoint.version is not None and f"version {endpoint.version}" not in self.versions.given:
                self.context.report.add(
                    "unknown-version",
                    endpoint.span,
                    f"`{self.key[1]}` has no version `{endpoint.version}`",
                    advice=f"declare it: `version {endpoint.version}`",
                )

    def _finish_probes(self, ports: tuple[PortInfo, ...]) -> tuple[ir.Probe, ...]:
        probes = []
        for (method, path, port), span in self.probes.items():
            asked = port if port is not None else _probed(method, ports)
            if asked is None:
                advice = "say which: `probe … on 8080`"
                self.context.report.add(
                    "missing-port", span, "no port of the service answers such a probe", advice=advice
                )
                continue
            probes.append(ir.Probe(method=method, path=path, port=asked, span=span))
        return tuple(probes)


def _probed(method: str, ports: tuple[PortInfo, ...]) -> int | None:
    """The workload port that a probe asks which names none: the lowest that speaks its protocol."""
    for port in ports:
        speaks = {"GET": port.protocol.is_http, "GRPC": port.protocol in {Protocol.GRPC, Protocol.HTTP2}, "TCP": True}
        if speaks[method]:
            return port.target
    return None


def _probe_path(context: Context, item: ast.Probe) -> str | None:
    if item.path is None:
        if item.method.text == "GET":
            context.report.add(
                "invalid-path", item.span, "the probe names no path", advice="write `probe GET /healthz`"
            )
        return None
    if item.method.text != "GET":
        context.report.add("invalid-path", item.path.span, f"`probe {item.method.text}` takes no path")
        return ""
    if isinstance(item.path, ast.Path):
        try:
            pattern = read_path_pattern(item.path.text.partition("?")[0])
        except PatternError as error:
            context.report.add("invalid-path", item.path.span, error.message, advice=error.advice)
            return None
        if isinstance(pattern, ir.ExactPath):
            return item.path.text
    context.report.add(
        "invalid-path", item.path.span, "a probe asks one exact path", advice="write it without captures"
    )
    return None


def read_labels(context: Context, item: ast.Labels) -> list[tuple[str, str, Span]]:
    """Checked pairs of label key and value."""
    pairs = []
    for name, literal in item.pairs:
        value = read_label(context, name, literal)
        if value is not None:
            pairs.append((name.text, value, name.span))
    return pairs


def read_port(context: Context, item: ast.Port, protocols: Mapping[str, Protocol]) -> PortInfo | None:
    """A port with its protocol; None after a report."""
    number = values.integer(context, item.number, "a port", least=1, most=65535)
    protocol = context.word(item.protocol, protocols, "protocol")
    target = number
    if item.target is not None:
        target = values.integer(context, item.target, "a target port", least=1, most=65535)
    if number is None or protocol is None or target is None:
        return None
    name = None if item.name is None else item.name.text
    return PortInfo(number=number, protocol=protocol, target=target, name=name, span=item.span)


def refuse_equal_names(context: Context, ports: tuple[PortInfo, ...]) -> None:
    """Report two ports of one service with one name."""
    seen: dict[str, PortInfo] = {}
    for port in ports:
        if port.name is None:
            continue
        if port.name in seen:
            context.report.add(
                "duplicate-declaration",
                port.span,
                f"two ports are named `{port.name}`",
                labels=(Label(span=seen[port.name].span, text="the other one"),),
            )
        seen[port.name] = port
