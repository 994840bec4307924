"""The mesh as Envoy is to run it: the program without what sidecars cannot tell apart or do not hold.

- Headers whose lines Envoy joins are tested as one text wherever a match refuses (`meshc_envoy.joined_headers`).
- Routes and settings of a port are those of the callers that hold it; a port that nobody may reach has none. Who may
  enter a port and whose routes lead nowhere that it may reach is answered 404 by its own sidecar, as the table says.
- Rules of externals concern callers with a sidecar, each by its identity.
- What two spellings of the language share is spelled in one way: defaults, header changes, URLs of redirects.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from meshc import ir
from meshc.target import PortKey, TargetOptions
from meshc_envoy.directory import Directory
from meshc_envoy.joined_headers import close_joined
from meshc_envoy.reach import is_meant, route_destinations, visible_routes
from meshc_envoy.read.entering import fold_all
from meshc_envoy.read.folding import fold_access, fold_routes
from meshc_envoy.read.nearness import groups_for, settled

_CA_FILE: Final = "/etc/ssl/certs/ca-certificates.crt"
_CONNECT_MS: Final = 5000
_BACKOFF_MS: Final = (25, 250)
_CREATED: Final = 201


def expressed(mesh: ir.Mesh, options: TargetOptions) -> ir.Mesh:
    """What emission must read back as. No option changes that: nothing in Envoy's table may be left out."""
    del options
    directory = Directory.of(mesh)
    lists: dict[PortKey, dict[str, tuple[ir.Route, ...]]] = {}
    asked: dict[PortKey, set[str]] = {}
    used: dict[PortKey, set[tuple[str, str | None]]] = {}
    for identity in dict.fromkeys(one.identity for one in mesh.workloads):
        peers, externals = directory.reachable(identity)
        held: tuple[tuple[ir.Workload | ir.External, ir.PortPolicy], ...] = (*peers, *externals)
        for owner, port in held:
            routes = tuple(_route(one) for one in visible_routes(owner, port, identity))
            lists.setdefault((owner.namespace, owner.name, port.number), {})[identity] = routes
            for route in routes:
                for one in (*route_destinations(route), *(each.destination for each in route.settings.mirrors)):
                    key = (one.namespace, one.service, one.port)
                    used.setdefault(key, set()).add((identity, one.version))
                    asked.setdefault(key, set()).add(identity)
    identities = dict.fromkeys(one.identity for one in mesh.workloads)
    said = _Held(lists=lists, used=used, zones=_zones(mesh), identities=identities.keys())
    return replace(
        mesh,
        workloads=tuple(_workload(one, said) for one in mesh.workloads),
        externals=tuple(_external(one, lists, asked) for one in mesh.externals),
    )


Lists = dict[PortKey, dict[str, tuple[ir.Route, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What callers hold of ports: their routes by identity, the ports that some route leads to, each with the
    callers and the versions that they use, and the zones of all callers.
    """

    lists: Lists
    used: Mapping[PortKey, set[tuple[str, str | None]]]
    zones: Mapping[str, set[str]]
    identities: Collection[str]


def _workload(workload: ir.Workload, held: _Held) -> ir.Workload:
    ports = tuple(_port(workload, one, held) for one in workload.ports)
    logs = tuple(
        replace(one, condition=close_joined(one.condition, refuses=True)) for one in workload.telemetry.access_logs
    )
    return replace(workload, ports=ports, telemetry=replace(workload.telemetry, access_logs=logs))


def _port(workload: ir.Workload, port: ir.PortPolicy, held: _Held) -> ir.PortPolicy:
    key = (workload.namespace, workload.name, port.number)
    required = any(one.required for one in port.jwts)
    return replace(
        port,
        mtls=ir.MtlsMode.PERMISSIVE if port.protocol is ir.Protocol.TLS else port.mtls,
        access=tuple(map(_stage, port.access)),
        jwts=tuple(_jwt(one, required=required) for one in port.jwts),
        limits=tuple(replace(one, condition=close_joined(one.condition, refuses=True)) for one in port.limits),
        routes=fold_all(port, key, held.lists.get(key, {}), held.identities),
        settings=_inside(workload, port.settings, held, key) if key in held.used else ir.Settings(),
    )


def _zones(mesh: ir.Mesh) -> Mapping[str, set[str]]:
    """The zones that callers of each identity run in; a caller of several zones is told them only where nearness counts."""
    counts = any(port.settings.locality is not None for one in mesh.workloads for port in one.ports)
    found: dict[str, set[str]] = {}
    for workload in mesh.workloads:
        zones = {endpoint.zone or "" for endpoint in workload.endpoints}
        if counts or len(zones) == 1:
            found.setdefault(workload.identity, set()).update(zones - {""})
    return found


def _inside(workload: ir.Workload, settings: ir.Settings, held: _Held, key: PortKey) -> ir.Settings:
    """The settings of a workload's port, with the wish for nearness as callers' priorities say it."""
    plain = _connection(settings)
    if settings.locality is None:
        return plain
    orders = {
        (caller, version): groups
        for identity, version in held.used[key]
        for caller in held.zones.get(identity, ())
        if (groups := groups_for(settings.locality, caller, _where(workload, version)))
    }
    return replace(plain, locality=settled(settings.locality, orders))


def _where(workload: ir.Workload, version: str | None) -> list[str]:
    """The zones of the endpoints of a version."""
    if workload.discovery is ir.Discovery.EDS:
        return []
    if not workload.endpoints:
        return [] if workload.discovery is ir.Discovery.STATIC else [""]
    return [one.zone or "" for one in workload.endpoints if version in {None, one.version}]


def _jwt(jwt: ir.Jwt, *, required: bool) -> ir.Jwt:
    names = tuple(dict.fromkeys(name.lower() for name, _ in jwt.from_headers))
    headers = tuple((name, prefix) for name in names for own, prefix in jwt.from_headers if own.lower() == name)
    return replace(jwt, required=required, from_headers=headers)


def _stage(stage: ir.Stage) -> ir.Stage:
    refuses = stage.effect is ir.Effect.DENY
    rules = tuple(replace(one, condition=close_joined(one.condition, refuses=refuses)) for one in stage.rules)
    return replace(stage, rules=rules)


def _external(external: ir.External, lists: Lists, asked: dict[PortKey, set[str]]) -> ir.External:
    return replace(external, ports=tuple(_outside(external, one, lists, asked) for one in external.ports))


def _outside(external: ir.External, port: ir.PortPolicy, lists: Lists, asked: dict[PortKey, set[str]]) -> ir.PortPolicy:
    key = (external.namespace, external.name, port.number)
    holders = {identity: _own_stages(port, identity) for identity in sorted(asked.get(key, ()))}
    settings = _connection(port.settings)
    if settings.tls_sni is not None and external.hosts == (settings.tls_sni,):
        settings = replace(settings, tls_sni=None)
    return replace(
        port,
        mtls=ir.MtlsMode.PERMISSIVE,
        access=fold_access(holders, port.span),
        routes=fold_routes(lists.get(key, {})),
        settings=settings if key in asked else ir.Settings(),
    )


def _own_stages(port: ir.PortPolicy, identity: str) -> dict[str, ir.Stage]:
    """The stages by the names of their filters, with the rules that mean this caller."""
    found: dict[str, ir.Stage] = {}
    for number, stage in enumerate(port.access, start=1):
        rules = tuple(one for one in _stage(stage).rules if is_meant(one.principals, identity))
        if rules or (stage.effect is ir.Effect.ALLOW and not stage.shadow):
            kind = f"shadow-{stage.effect.value}" if stage.shadow else stage.effect.value
            found[f"access-{number}-{kind}"] = replace(stage, rules=rules)
    return found


# ---- settings -------------------------------------------------------------------------------------------------------


def _connection(settings: ir.Settings) -> ir.Settings:
    """The settings of connections and endpoints."""
    bounds, outlier, balance = settings.circuit_breaker, settings.outlier_detection, settings.load_balance
    if bounds is not None and (bounds.connections, bounds.pending, bounds.requests, bounds.retries) == (None,) * 4:
        bounds = None
    if outlier is not None:
        outlier = replace(outlier, max_ejected=float(int(outlier.max_ejected)))
    if balance is not None and balance.policy is ir.BalancePolicy.ROUND_ROBIN:
        balance = None
    return ir.Settings(
        connect_timeout_ms=None if settings.connect_timeout_ms == _CONNECT_MS else settings.connect_timeout_ms,
        load_balance=balance,
        circuit_breaker=bounds,
        outlier_detection=outlier,
        health_check=settings.health_check,
        locality=settings.locality,
        tls_ca_file=None if settings.tls_ca_file == _CA_FILE else settings.tls_ca_file,
        tls_sni=settings.tls_sni,
    )


def _route(route: ir.Route) -> ir.Route:
    """A route as one caller's: with the settings of requests alone."""
    settings = route.settings
    action = route.action
    if isinstance(action, ir.Redirect):
        action = replace(action, target=_url(action.target))
    changes = settings.header_changes
    if isinstance(action, ir.Respond) and action.status == _CREATED:
        located = ir.HeaderChange(operation="remove", direction="response", name="location", span=route.span)
        changes = (located, *changes)
    kept = ir.Settings(
        timeout_ms=settings.timeout_ms,
        idle_timeout_ms=settings.idle_timeout_ms,
        retry=_retry(settings.retry),
        delays=settings.delays,
        aborts=settings.aborts,
        mirrors=settings.mirrors,
        header_changes=_changes(changes),
        rewrite_path=settings.rewrite_path,
        rewrite_host=settings.rewrite_host,
    )
    return replace(route, callers=None, action=action, settings=kept)


def _retry(retry: ir.Retry | None) -> ir.Retry | None:
    return retry if retry is None or retry.backoff_ms != _BACKOFF_MS else replace(retry, backoff_ms=None)


def _url(target: str) -> str:
    if target.startswith("/"):
        return target
    parts = urlsplit(target)
    host = parts.hostname or ""
    port = "" if parts.port is None else f":{parts.port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path or '/'}{query}"


def _changes(changes: tuple[ir.HeaderChange, ...]) -> tuple[ir.HeaderChange, ...]:
    """Changes header by header, what has no effect left out: a header is removed, or set, or added to."""
    found: dict[tuple[str, str], list[ir.HeaderChange]] = {}
    for one in changes:
        key = (one.direction, one.name)
        before = found.get(key, [])
        value = (one.value or "").strip(" \t")
        if one.operation == "add" and before:
            replaced = len(before) == 1 and before[0].operation == "remove"
            found[key] = (
                [replace(one, operation="set", value=value)] if replaced else [*before, replace(one, value=value)]
            )
        else:
            found[key] = [one if one.operation == "remove" else replace(one, value=value)]
    return tuple(each for some in found.values() for each in some)
