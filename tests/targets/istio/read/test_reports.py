"""Rate limits and telemetry of Istio as people write them by hand."""

import json

import pytest

from meshc import ir
from meshc.reading import Aspect
from meshc_harness.istio_live import (
    CONFIG,
    port_of,
    read_live,
)
from meshc_istio.telemetry import LOG_FIELDS

LIMIT = """apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: limit, namespace: shop}
spec:
  workloadSelector: {labels: {app: cart}}
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener:
        portNumber: 8080
        filterChain:
          filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: envoy.filters.http.local_ratelimit
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
          stat_prefix: x
          token_bucket: {max_tokens: 4, tokens_per_fill: 2, fill_interval: 60s}
          filter_enabled: {default_value: {numerator: 100}}
          filter_enforced: {default_value: {numerator: 100, denominator: HUNDRED}}
"""


def test_a_local_rate_limit_before_the_router_is_a_limit_of_the_port() -> None:
    reading = read_live(LIMIT)
    assert not reading.unknown, reading.unknown
    (found,) = port_of(reading).limits
    assert (found.tokens, found.per_ms, found.burst, found.per) == (2, 60_000, 4, None)
    assert not port_of(reading, number=5432).limits


@pytest.mark.parametrize(
    ("old", "new", "is_known"),
    [
        ("portNumber: 8080", "portNumber: 9090", True),
        ("app: cart", "app: mail", True),
        ("filter_enforced", "x_enforced", False),
        (
            "filter_enabled: {default_value: {numerator: 100}}",
            "filter_enabled: {default_value: {numerator: 50}}",
            False,
        ),
        (", subFilter: {name: envoy.filters.http.router}", "", False),
        ("SIDECAR_INBOUND", "SIDECAR_OUTBOUND", False),
        ("max_tokens: 4", "max_tokens: many", False),
    ],
)
def test_limits_elsewhere_and_limits_of_another_kind(old: str, new: str, *, is_known: bool) -> None:
    reading = read_live(LIMIT.replace(old, new))
    assert not port_of(reading).limits
    assert bool(reading.unknown) is not is_known


PROVIDERS = CONFIG.replace(
    "---",
    "  extensionProviders:\n  - {name: log, envoyFileAccessLog: {path: /dev/stdout, logFormat: {labels: {a: b}}}}\n"
    "  - {name: spans, opentelemetry: {service: otel.ops.svc.cluster.local, port: 4317}}\n  - {name: prometheus, prometheus: {}}\n---",
)


def _telemetry(*specs: tuple[str, str]) -> ir.Telemetry:
    text = "".join(
        f"apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: t{number}, namespace: {namespace}}}\nspec: {spec}\n---\n"
        for number, (namespace, spec) in enumerate(specs)
    )
    reading = read_live(text, config=PROVIDERS)
    assert not reading.unknown, reading.unknown
    return next(one for one in reading.mesh.workloads if one.name == "cart").telemetry


def test_telemetry_is_inherited_section_by_section() -> None:
    logs, traces = (
        "accessLogging: [{providers: [{name: log}]}]",
        "tracing: [{providers: [{name: spans}], randomSamplingPercentage: 5}]",
    )
    found = _telemetry(("istio-system", f"{{{logs}, {traces}}}"), ("shop", "{accessLogging: [{disabled: true}]}"))
    assert found.access_logs == ()
    assert found.trace is not None
    assert (found.trace.percent, found.trace.collector) == (5.0, "otel.ops.svc.cluster.local:4317")
    selected = _telemetry(
        (
            "shop",
            f"{{selector: {{matchLabels: {{app: cart}}}}, {logs}, metrics: [{{providers: [{{name: prometheus}}]}}]}}",
        )
    )
    assert [one.format for one in selected.access_logs] == ["json"]
    assert selected.metrics


def test_a_provider_that_the_mesh_does_not_know_reports_nothing() -> None:
    assert _telemetry(("shop", "{accessLogging: [{providers: [{name: nobody}]}]}")).access_logs == ()


@pytest.mark.parametrize(
    "entry",
    [
        "accessLogging: [{providers: [{name: log}], filter: {expression: 'true'}}]",
        "accessLogging: [{providers: [{name: log}], match: {mode: SERVER}}]",
        "metrics: [{providers: [{name: prometheus}], overrides: [{}]}]",
        "tracing: [{providers: [{name: log}]}]",
    ],
)
def test_reports_that_cannot_be_said_are_unknown(entry: str) -> None:
    text = f"apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: t, namespace: shop}}\nspec: {{{entry}}}\n"
    reading = read_live(text, config=PROVIDERS)
    assert reading.unknown
    assert all(one.aspects == {Aspect.SETTINGS} for one in reading.unknown)


# ---- where logs go --------------------------------------------------------------------------------------------------


def _with(settings: str) -> str:
    return CONFIG.replace("---", f"  {settings}\n---")


def _logged(text: str, config: str) -> tuple[list[str], list[str], set[str]]:
    """The formats of the cart's logs, what is unknown of settings, and what is assumed of logs."""
    reading = read_live(text, config=config)
    assert all(one.aspects == {Aspect.SETTINGS} for one in reading.unknown)
    cart = next(one for one in reading.mesh.workloads if one.name == "cart")
    messages = [one.message for one in reading.unknown if ("shop", "cart", 80) in (one.ports or ())]
    return (
        [one.format for one in cart.telemetry.access_logs],
        messages,
        {one.text for one in reading.assumptions if "log" in one.text},
    )


LINES = {"what a line of a log holds makes no difference"}
ENVOY = (
    "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: t, namespace: istio-system}\n"
    "spec: {accessLogging: [{providers: [{name: envoy}]}]}\n"
)


@pytest.mark.parametrize(
    ("text", "settings", "formats", "message", "assumed"),
    [
        ("", "accessLogFile: /dev/stdout", ["text"], "", LINES),
        ("", "accessLogFile: /dev/stdout\n  accessLogEncoding: JSON", ["json"], "", LINES),
        ("", "accessLogFile: ''", [], "", set()),
        ("", "accessLogEncoding: JSON", [], "", set()),
        ("", "accessLogFile: /var/log/a", [], "a log that goes to `/var/log/a`", set()),
        # Every mesh has a provider of this name.
        (ENVOY, "connectTimeout: null", ["text"], "", LINES),
        (ENVOY, "accessLogFile: /var/log/a", ["text"], "", LINES),
        (ENVOY, "extensionProviders: [{name: envoy, envoyFileAccessLog: {path: /var/log/a}}]", [], "logs to `/var/log/a`", set()),
        (ENVOY, "extensionProviders: [{name: envoy, envoyFileAccessLog: {path: /dev/stdout, surprise: 1}}]", [], "`envoy`", set()),
        (ENVOY, "extensionProviders: [{name: envoy, envoyOtelAls: {service: a, port: 1}}]", [], "logs to the provider `envoy`", set()),
    ],
)  # fmt: skip
def test_where_logs_go(text: str, settings: str, formats: list[str], message: str, assumed: set[str]) -> None:
    config = CONFIG if settings.startswith("connect") else _with(settings)
    found, unknown, taken = _logged(text, config)
    assert (found, taken) == (formats, assumed)
    assert [message in one for one in unknown] == ([True] if message else [])


def test_lines_of_the_language_s_own_need_no_assumption() -> None:
    own = {"labels": dict(LOG_FIELDS)}
    config = _with(
        f"extensionProviders: [{{name: envoy, envoyFileAccessLog: {{path: /dev/stdout, logFormat: {json.dumps(own)}}}}}]"
    )
    assert _logged(ENVOY, config) == (["json"], [], set())
    assert _logged(ENVOY, config.replace("%DURATION%", "%X%")) == (["json"], [], LINES)


def test_a_provider_that_only_a_mesh_config_would_know() -> None:
    text = ENVOY.replace("name: envoy", "name: ours")
    assumed = "providers that Telemetry names and no MeshConfig here does report nothing"
    reading = read_live(text, config="")
    assert not reading.unknown
    assert assumed in {one.text for one in reading.assumptions}
    assert assumed not in {one.text for one in read_live(text).assumptions}, (
        "one that a MeshConfig does not name is not there"
    )
    assert _logged(ENVOY, "") == (["text"], [], LINES)


def test_a_log_of_all_sidecars_is_named_once() -> None:
    reading = read_live("", config=_with("accessLogFile: /var/log/a"))
    (found,) = reading.unknown
    assert set(found.ports or ()) == {
        ("shop", "cart", 80),
        ("shop", "cart", 5432),
        ("shop", "web", 80),
        ("bank", "pay", 80),
    }
