"""What Istio is to run of a mesh, by the support table and the options alone."""

from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.target import TargetOptions
from meshc_istio.directory import is_wildcard
from meshc_istio.expressed_routes import Budgets, budgets_of, expressed_routes
from meshc_istio.options import Dataplane, EmitOptions, read_options
from meshc_istio.read.refusals import as_access

_CONNECT_MS: Final = 10_000


def expressed(mesh: ir.Mesh, options: TargetOptions) -> ir.Mesh:
    """The mesh with Istio's differences.

    - Issuers have no names of their own, and a token that is required may be of any of them.
    - Rules of externals are routes of their callers, who are answered 403; no answer is delayed or aborted by a fault.
    - The longest wait between tries is ten times the shortest; one budget of retries holds for a destination.
    - Where nearness counts, the caller's own zone comes first.
    - What is left out on request is not there: limits that do not count all requests, logs with a condition, health checks.
    """
    chosen = read_options(options)
    budgets = budgets_of(mesh)
    workloads = tuple(_workload(one, mesh, budgets, chosen) for one in mesh.workloads)
    externals = tuple(_external(one, mesh, budgets) for one in mesh.externals)
    return replace(mesh, workloads=workloads, externals=externals)


def _workload(workload: ir.Workload, mesh: ir.Mesh, budgets: Budgets, options: EmitOptions) -> ir.Workload:
    logs = tuple(one for one in workload.telemetry.access_logs if one.condition == ir.ALWAYS)
    ports = tuple(_port(port, mesh, budgets) for port in workload.ports)
    if options.dataplane is Dataplane.AMBIENT:
        ports = tuple(replace(one, routes=(), settings=ir.Settings()) for one in ports)
    telemetry = replace(workload.telemetry, access_logs=logs, trace=_trace(workload.telemetry.trace, mesh))
    return replace(workload, ports=ports, telemetry=telemetry)


def _trace(trace: ir.Trace | None, mesh: ir.Mesh) -> ir.Trace | None:
    """The name of a collector with one dot is a Service's, which Istio wants in full."""
    if trace is None:
        return None
    host, _, port = trace.collector.rpartition(":")
    if host.count(".") != 1:
        return trace
    return replace(trace, collector=f"{host}.svc.{mesh.cluster_domain}:{port}")


def _port(port: ir.PortPolicy, mesh: ir.Mesh, budgets: Budgets) -> ir.PortPolicy:
    required = any(jwt.required for jwt in port.jwts)
    return replace(
        port,
        jwts=tuple(replace(jwt, name=jwt.issuer, required=required) for jwt in port.jwts),
        limits=tuple(one for one in port.limits if one.per is None and one.condition == ir.ALWAYS),
        routes=expressed_routes(port, mesh, budgets),
        settings=_connection(port.settings),
    )


def _external(external: ir.External, mesh: ir.Mesh, budgets: Budgets) -> ir.External:
    ports = []
    for port in external.ports:
        routes = expressed_routes(port, mesh, budgets)
        settings = _connection(port.settings)
        if settings.tls_sni is not None and external.hosts == (settings.tls_sni,):
            settings = replace(settings, tls_sni=None)
        if all(map(is_wildcard, external.hosts)):
            # Callers' proxies connect to wherever the application wanted to.
            settings = replace(settings, load_balance=None, locality=None)
        made = replace(port, mtls=ir.MtlsMode.PERMISSIVE, access=(), routes=routes, settings=settings)
        ports.append(as_access(external, made))
    return replace(external, ports=tuple(ports))


def _connection(settings: ir.Settings) -> ir.Settings:
    """The settings of connections and endpoints, each spelled in one way."""
    balance, bounds, outlier, near = (
        settings.load_balance,
        settings.circuit_breaker,
        settings.outlier_detection,
        settings.locality,
    )
    if balance is not None and balance.policy is ir.BalancePolicy.ROUND_ROBIN:
        balance = None
    if bounds is not None and (bounds.connections, bounds.pending, bounds.requests, bounds.retries) == (None,) * 4:
        bounds = None
    if outlier is not None:
        outlier = replace(outlier, max_ejected=float(int(outlier.max_ejected)))
    return ir.Settings(
        connect_timeout_ms=None if settings.connect_timeout_ms == _CONNECT_MS else settings.connect_timeout_ms,
        load_balance=balance,
        circuit_breaker=bounds,
        outlier_detection=outlier,
        locality=None if near is None or outlier is None else replace(near, prefer=True),
        tls_ca_file=settings.tls_ca_file,
        tls_sni=settings.tls_sni,
    )
