"""Telemetry of workloads: logs, traces and metrics, by the providers that MeshConfig names.

What is nearest to a workload holds, section by section: the mesh's, the namespace's, the workload's. A provider that MeshConfig does not name
is passed over, as Istio does. Source: Istio's API reference, Telemetry.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import items, mapping, texts
from meshc.source import Span
from meshc.target import Json
from meshc_istio.read.account import Account
from meshc_istio.read.attached import Attached, Level
from meshc_istio.read.fields import Fields, NotReadError

_SAMPLED: Final = 1.0
_SECTIONS: Final = ("accessLogging", "tracing", "metrics")


@dataclass(slots=True)
class Providers:
    """The `extensionProviders` of MeshConfig by name, and those that hold where an object names none."""

    by_name: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    defaults: Mapping[str, Json] = field(default_factory=dict)
    log: str | None = None
    """The format of the log that there is where no object says anything of logs."""

    @staticmethod
    def of(settings: Mapping[str, Json]) -> "Providers":
        """The providers of a MeshConfig."""
        listed = [mapping(one) for one in items(settings.get("extensionProviders"))]
        by_name = {str(one["name"]): one for one in listed if "name" in one}
        form = "json" if settings.get("accessLogEncoding") == "JSON" else "text"
        log = form if settings.get("accessLogFile") else None
        return Providers(by_name=by_name, defaults=mapping(settings.get("defaultProviders")), log=log)

    def named(self, entry: Fields, section: str) -> Iterator[Mapping[str, Json]]:
        """The providers of an entry that there are."""
        named = []
        for one in entry.items("providers"):
            named.append(one.text("name") or "")
            one.finish()
        for name in named or texts(self.defaults.get(section)):
            if name in self.by_name:
                yield self.by_name[name]


def telemetry_of(
    workload: ir.Workload, attached: Sequence[Attached], providers: Providers, account: Account
) -> ir.Telemetry:
    """What a workload's sidecar reports."""
    written = () if providers.log is None else (providers.log,)
    logs = tuple(ir.AccessLog(format=one, condition=ir.ALWAYS, span=workload.span) for one in written)
    found = ir.Telemetry(access_logs=logs)
    keys = tuple((workload.namespace, workload.name, port.number) for port in workload.ports)
    for section in _SECTIONS:
        one = _nearest(attached, section, workload, account)
        if one is None:
            continue
        try:
            spec = Fields(one, ("spec",), one.data.get("spec"))
            spec.ignore("selector", *_SECTIONS)
            spec.finish()
            found = _with(found, section, spec.items(section), providers, one.span("spec", section))
        except NotReadError as error:
            message = f"`{one.name}`: {error} cannot be said"
            account.not_understood(one, error.steps, message, keys, Aspect.SETTINGS)
    return found


def _nearest(
    attached: Sequence[Attached], section: str, workload: ir.Workload, account: Account
) -> ConfigObject | None:
    for level in reversed(Level):
        here = [one for one in attached if one.level is level and mapping(one.object.data.get("spec")).get(section)]
        if len(here) > 1 or any(one.is_partial for one in here):
            keys = tuple((workload.namespace, workload.name, port.number) for port in workload.ports)
            message = (
                f"which of several Telemetry objects holds for `{workload.namespace}.{workload.name}` cannot be said"
            )
            account.not_understood(here[0].object, ("spec", section), message, keys, Aspect.SETTINGS)
        if here:
            return here[0].object
    return None


def _with(
    telemetry: ir.Telemetry, section: str, entries: tuple[Fields, ...], providers: Providers, span: Span
) -> ir.Telemetry:
    match section:
        case "accessLogging":
            logs = tuple(log for one in entries for log in _logs(one, providers))
            return replace(telemetry, access_logs=logs)
        case "tracing":
            traces = [trace for one in entries for trace in _traces(one, providers)]
            return replace(telemetry, trace=traces[0] if traces else None)
        case _:
            shown = [_has_metrics(one, providers) for one in entries]
            has_metrics = any(shown)
            return replace(telemetry, metrics=has_metrics, metrics_span=span if has_metrics else None)


def _logs(entry: Fields, providers: Providers) -> Iterator[ir.AccessLog]:
    found = list(providers.named(entry, "accessLogging"))
    is_off = entry.flag("disabled")
    match = entry.fields("match")
    if match is not None and match.text("mode") not in {None, "CLIENT_AND_SERVER"}:
        raise match.error("logs of one side alone")
    entry.finish()
    for provider in () if is_off else found:
        if "envoyFileAccessLog" not in provider:
            raise entry.error(f"logs to the provider `{provider['name']}`")
        form = mapping(mapping(provider["envoyFileAccessLog"]).get("logFormat"))
        word = "json" if "labels" in form else "text"
        yield ir.AccessLog(format=word, condition=ir.ALWAYS, span=entry.where.span(*entry.steps))


def _traces(entry: Fields, providers: Providers) -> Iterator[ir.Trace]:
    found = list(providers.named(entry, "tracing"))
    share = entry.number("randomSamplingPercentage")
    is_off = entry.flag("disableSpanReporting")
    entry.finish()
    for provider in () if is_off else found:
        collector = mapping(provider.get("opentelemetry"))
        if not collector or set(collector) - {"service", "port", "maxTagLength"}:
            raise entry.error(f"traces to the provider `{provider['name']}`")
        yield ir.Trace(
            percent=_SAMPLED if share is None else float(share),
            collector=f"{collector.get('service')}:{collector.get('port')}",
            span=entry.where.span(*entry.steps),
        )


def _has_metrics(entry: Fields, providers: Providers) -> bool:
    found = list(providers.named(entry, "metrics"))
    entry.finish()
    strange = [one for one in found if "prometheus" not in one]
    if strange:
        raise entry.error(f"metrics of the provider `{strange[0]['name']}`")
    return bool(found)
