"""Telemetry as it is emitted, without running it: what appears where it is asked for, and what cannot be said."""

from pathlib import PurePosixPath
from typing import Final

import pytest

from envoy_lab import compile_mesh, shown
from meshc import ir
from meshc.source import BUILTIN
from meshc.target import Json
from meshc_envoy import EmitOptions, SocketAddress, emit
from meshc_envoy.access import http_filters, stage_rules
from meshc_envoy.access_logs import is_in_scope, without_claims
from meshc_envoy.log_fields import literal
from meshc_envoy.tracing import collector_clusters, trace_fields

BASE: Final = """
namespace shop
service web in shop
service cart in shop { port 80 http target 8080 port 5432 tcp }
access cart:80 { allow web allow web to /x deny web to /y }
access cart:5432 { allow web }
"""


def emitted(telemetry: str, options: EmitOptions | None = None) -> dict[str, dict[str, Json]]:
    emission = emit(compile_mesh(BASE + telemetry), options or EmitOptions())
    assert emission.documents, [shown(one) for one in emission.diagnostics]
    return {document.path.removesuffix(".yaml"): dict(document.resources[0]) for document in emission.documents}


def found(node: Json, name: str) -> list[Json]:
    """Every value of a field of this name, wherever it stands."""
    if isinstance(node, dict):
        own = [node[name]] if name in node else []
        return own + [value for inner in node.values() for value in found(inner, name)]
    return [value for inner in node for value in found(inner, name)] if isinstance(node, list) else []


def diagnostics(program: str) -> list[str]:
    return [f"{one.name}: {one.message}" for one in emit(compile_mesh(program)).diagnostics]


def test_nothing_is_there_unasked() -> None:
    for bootstrap in emitted("").values():
        for field in ("access_log", "tracing", "request_id_extension", "on_request_headers", "allow_paths"):
            assert found(bootstrap, field) == []
        assert "15090" not in str(bootstrap)


def test_a_workload_reports_what_its_scope_says() -> None:
    bootstraps = emitted('telemetry cart { access-log json metrics } telemetry web { trace 1% to otlp "c:4317" }')
    assert found(bootstraps["shop/cart"], "access_log")
    assert not found(bootstraps["shop/cart"], "tracing")
    assert not found(bootstraps["shop/web"], "access_log")
    assert found(bootstraps["shop/web"], "tracing")
    assert found(bootstraps["shop/web"], "service_name") == ["web.shop"]


def test_rules_are_named_one_by_one_where_they_are_logged() -> None:
    def names(bootstrap: Json) -> list[str]:
        policies = [one for one in found(bootstrap, "policies") if isinstance(one, dict)]
        return [name for one in policies for name in one if name.startswith("allow.")]

    plain = """
    namespace shop
    service a in shop
    service b in shop
    service cart in shop { port 80 http }
    access cart { allow a to /x allow b to /x }
    """
    assert [name.count(",") for name in names(dict(emit(compile_mesh(plain)).documents[2].resources[0]))] == [1]
    logged = emit(compile_mesh(plain + "telemetry cart { access-log json }")).documents[2].resources[0]
    assert [name.count(",") for name in names(dict(logged))] == [0, 0]


def test_where_lines_go() -> None:
    def loggers(options: EmitOptions) -> set[str]:
        bootstrap = emitted("telemetry mesh { access-log json access-log text }", options)["shop/cart"]
        logs = [log for logs in found(bootstrap, "access_log") if isinstance(logs, list) for log in logs]
        configs = [config for log in logs for config in found(log, "typed_config") if isinstance(config, dict)]
        kinds = [(str(config["@type"]).rpartition(".")[2], config.get("path")) for config in configs]
        return {f"{kind} {path}" for kind, path in kinds if kind.endswith("AccessLog")}

    assert loggers(EmitOptions()) == {"StdoutAccessLog None"}
    assert loggers(EmitOptions(access_log=PurePosixPath("/var/log/calls"))) == {"FileAccessLog /var/log/calls"}


def test_admin_stays_as_it_is() -> None:
    asked = "telemetry cart { metrics }"
    default = emitted(asked)
    assert default["shop/cart"]["admin"] == default["shop/web"]["admin"]
    assert found(default["shop/cart"]["admin"], "allow_paths") == []
    options = EmitOptions(admin=None, metrics_socket=PurePosixPath("/run/x.sock"))
    without = emitted(asked, options)
    assert "admin" not in without["shop/web"]
    assert found(without["shop/cart"]["admin"], "pipe") == [{"path": "/run/x.sock", "mode": 0o600}]
    single = EmitOptions(admin=None, admins={("shop", "cart"): SocketAddress(host="127.0.0.1", port=9)})
    assert found(emitted(asked, single)["shop/cart"]["admin"], "port_value") == [9]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("service a in shop { port 80 http target 15090 } telemetry a { metrics }", "port 15090 is that of"),
        ('service a in shop { port 80 http endpoint "a:15090" } telemetry a { metrics }', "port 15090 is that of"),
        (
            'service a in shop { port 80 http } telemetry a { access-log json when query "q" matches re"a+" }',
            "cannot test the query parameter `q` for a pattern",
        ),
        (
            'service a in shop { port 80 http } telemetry a { access-log json when host matches re"[A-Z]+" }',
            "because it names upper-case letters",
        ),
        (
            "service a in shop { port 443 tls } telemetry a { access-log json when "
            + " and ".join(f'(sni == "{number}.x" or source ip in (10.{number}.0.0/16))' for number in range(7))
            + " }",
            "a condition makes 128 policies",
        ),
    ],
)
def test_what_cannot_be_said(program: str, message: str) -> None:
    reported = diagnostics(f"namespace shop\n{program}\naccess namespace shop {{ allow anyone }}")
    assert any(message in one for one in reported), reported


def test_ports_are_free_where_metrics_are_not_asked_for() -> None:
    assert (
        diagnostics("namespace shop\nservice a in shop { port 80 http target 15090 }\naccess a { allow anyone }") == []
    )


def workload_tracing(percent: float, collector: str) -> ir.Workload:
    workload = next(one for one in compile_mesh(BASE).workloads if one.name == "cart")
    trace = ir.Trace(percent=percent, collector=collector, span=BUILTIN)
    return ir.Workload(
        namespace=workload.namespace,
        name=workload.name,
        service_account=workload.service_account,
        identity=workload.identity,
        labels=workload.labels,
        discovery=workload.discovery,
        telemetry=ir.Telemetry(trace=trace),
        span=workload.span,
    )


@pytest.mark.parametrize(
    ("percent", "numerator", "denominator"),
    [(0.0, 0, "HUNDRED"), (100.0, 100, "HUNDRED"), (12.5, 1250, "TEN_THOUSAND"), (0.0001, 1, "MILLION")],
)
def test_shares_are_kept(percent: float, numerator: int, denominator: str) -> None:
    fields = trace_fields(workload_tracing(percent, "c:4317"), "x")
    assert found(fields, "sampling_percentage") == [{"numerator": numerator, "denominator": denominator}]
    assert found(fields, "client_sampling") == [{"value": 0.0}]


def test_collectors_have_names_or_addresses() -> None:
    for collector, host, kind in (("c.ops:4317", "c.ops", "STRICT_DNS"), ("2001:db8::7:4317", "2001:db8::7", "STATIC")):
        (cluster,) = collector_clusters(workload_tracing(1, collector))
        assert cluster["type"] == kind
        assert found(cluster, "socket_address") == [{"address": host, "port_value": 4317}]


def test_which_logs_connections_have() -> None:
    bootstrap = emitted('telemetry cart { access-log json when header "x" is absent }')["shop/cart"]
    proxies = [
        one for one in found(bootstrap, "typed_config") if isinstance(one, dict) and "TcpProxy" in str(one["@type"])
    ]
    assert [proxy for proxy in proxies if "access_log" in proxy] == []
    assert is_in_scope(ir.ALWAYS)
    assert not is_in_scope(ir.Not(ir.ClaimIs(("a",), ir.IsPresent())))


def test_a_request_without_a_token_has_no_claims() -> None:
    claim, method = ir.ClaimIs(("a",), ir.Equals("b")), ir.MethodIs(("GET",))
    condition = ir.AnyOf((ir.AllOf((claim, method)), ir.Not(claim)))
    assert without_claims(condition) == ir.AnyOf((ir.AllOf((ir.AnyOf(()), method)), ir.Not(ir.AnyOf(()))))


def test_a_literal_is_no_operator() -> None:
    assert literal("spiffe://x/100%REQ(a)%") == "spiffe://x/100%%REQ(a)%%"


def test_only_the_stages_that_decide_name_their_rule() -> None:
    """Of several allow stages the last one does; those that observe come first, and overwrite nothing."""

    def stage(effect: ir.Effect, name: str, *, shadow: bool = False) -> ir.Stage:
        rule = ir.Rule(
            identifier=name, principals=ir.Principals(include=(ir.AnyPeer(),)), condition=ir.ALWAYS, span=BUILTIN
        )
        return ir.Stage(effect=effect, rules=(rule,), shadow=shadow, span=BUILTIN)

    stages = [
        stage(ir.Effect.ALLOW, "a1"),
        stage(ir.Effect.DENY, "d1"),
        stage(ir.Effect.ALLOW, "a2"),
        stage(ir.Effect.DENY, "s1", shadow=True),
    ]
    rules = stage_rules(stages, has_identities=True)
    assert [(one.label, one.prefix) for one in rules] == [
        ("access-4-shadow-deny", "shadow-deny."),
        ("access-1-allow", "access-1-allow."),
        ("access-2-deny", ""),
        ("access-3-allow", ""),
    ]
    filters: list[Json] = http_filters(rules)
    assert found(filters, "shadow_rules_stat_prefix") == ["shadow-deny."]
    assert found(filters, "rules_stat_prefix") == ["access-1-allow."]
