"""Telemetry of workloads: logs, traces and metrics, by the providers that MeshConfig names.

What is nearest to a workload holds, section by section: the mesh's, the namespace's, the workload's. A provider that MeshConfig does not name
is passed over, as Istio does. Source: Istio's API reference, Telemetry.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject, Step
from meshc.reading.plain import items, mapping, texts
from meshc.source import Span
from meshc.target import Json
from meshc_istio.read.account import LOG_LINES, PROVIDERS, Account, PortKey
from meshc_istio.read.attached import Attached, Level
from meshc_istio.read.fields import Fields, NotReadError
from meshc_istio.telemetry import LOG_FIELDS, LOG_FILE, log_text

_SAMPLED: Final = 1.0
_SECTIONS: Final = ("accessLogging", "tracing", "metrics")


_BUILT_IN: Final[Mapping[str, Mapping[str, Json]]] = {
    "envoy": {"envoyFileAccessLog": {"path": LOG_FILE}},
    "prometheus": {"prometheus": {}},
}
"""Providers that a mesh has even if its MeshConfig does not name them. Source: `pkg/config/mesh/mesh.go`."""

_LINES: Final = ({"labels": LOG_FIELDS}, {"text": log_text(LOG_FIELDS.values())})
"""Formats that are the language's own."""


@dataclass(slots=True)
class Providers:
    """The `extensionProviders` of MeshConfig by name, and what holds where an object names none; `config` is MeshConfig, if given."""

    config: ConfigObject | None
    account: Account
    by_name: dict[str, tuple[Mapping[str, Json], tuple[Step, ...]]] = field(default_factory=dict)
    defaults: Mapping[str, Json] = field(default_factory=dict)
    unread: dict[str, list[PortKey]] = field(default_factory=dict)
    """Where the log of all sidecars goes that cannot be said, and the ports that it is of."""

    @staticmethod
    def of(config: ConfigObject | None, account: Account) -> "Providers":
        """The providers of a MeshConfig."""
        found: dict[str, tuple[Mapping[str, Json], tuple[Step, ...]]] = {
            name: (one, ()) for name, one in _BUILT_IN.items()
        }
        settings = _settings(config)
        for number, one in enumerate(items(settings.get("extensionProviders"))):
            fields = mapping(one)
            if "name" in fields:
                found[str(fields["name"])] = (fields, ("meshConfig", "extensionProviders", number))
        return Providers(
            config=config, account=account, by_name=found, defaults=mapping(settings.get("defaultProviders"))
        )

    def named(self, entry: Fields, section: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
        """The providers of an entry that there are; without a MeshConfig, those that every mesh has."""
        named = []
        for one in entry.items("providers"):
            named.append(one.text("name") or "")
            one.finish()
        for name in named or texts(self.defaults.get(section)):
            if name in self.by_name:
                yield name, self.by_name[name][0]
            elif self.config is None:
                self.account.taken_for_granted(PROVIDERS, entry.where, *entry.steps)

    def usual_log(self, ports: Iterable[PortKey]) -> str | None:
        """The format of the log that there is where no object says anything of logs; `ports` are those that it would be of."""
        settings = _settings(self.config)
        path = settings.get("accessLogFile")
        if self.config is None or not path:
            return None
        if path != LOG_FILE:
            self.unread.setdefault(str(path), []).extend(ports)
            return None
        self.account.taken_for_granted(LOG_LINES, self.config, "meshConfig", "accessLogFile")
        return "json" if settings.get("accessLogEncoding") == "JSON" else "text"

    def finish(self) -> None:
        """Say what of MeshConfig was not understood, once for all workloads."""
        if self.config is None:
            return
        for path, ports in self.unread.items():
            message = f"a log that goes to `{path}` cannot be said"
            self.account.not_understood(self.config, ("meshConfig", "accessLogFile"), message, ports, Aspect.SETTINGS)

    def log(self, name: str, at: Fields) -> str:
        """The format of a log. Raises NotReadError."""
        provider, steps = self.by_name[name]
        if "envoyFileAccessLog" not in provider:
            raise at.error(f"logs to the provider `{name}`")
        said = mapping(provider["envoyFileAccessLog"])
        if said.get("path", LOG_FILE) != LOG_FILE or set(said) - {"path", "logFormat"}:
            raise NotReadError(f"logs to `{said.get('path')}` by the provider `{name}`", steps, self.config)
        form = mapping(said.get("logFormat"))
        if form not in _LINES:
            where = at.where if self.config is None else self.config
            self.account.taken_for_granted(LOG_LINES, where, *steps)
        return "json" if "labels" in form else "text"


def _settings(config: ConfigObject | None) -> Mapping[str, Json]:
    return mapping(None if config is None else config.data.get("meshConfig"))


def telemetry_of(
    workload: ir.Workload, attached: Sequence[Attached], providers: Providers, account: Account
) -> ir.Telemetry:
    """What a workload's sidecar reports."""
    keys = tuple((workload.namespace, workload.name, port.number) for port in workload.ports)
    usual = providers.usual_log(keys) if _nearest(attached, "accessLogging", workload, Account()) is None else None
    written = () if usual is None else (usual,)
    found = ir.Telemetry(
        access_logs=tuple(ir.AccessLog(format=one, condition=ir.ALWAYS, span=workload.span) for one in written)
    )
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
            account.not_understood(error.where or one, error.steps, message, keys, Aspect.SETTINGS)
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
    for name, _ in () if is_off else found:
        form = providers.log(name, entry)
        yield ir.AccessLog(format=form, condition=ir.ALWAYS, span=entry.where.span(*entry.steps))


def _traces(entry: Fields, providers: Providers) -> Iterator[ir.Trace]:
    found = list(providers.named(entry, "tracing"))
    share = entry.number("randomSamplingPercentage")
    is_off = entry.flag("disableSpanReporting")
    entry.finish()
    for name, provider in () if is_off else found:
        collector = mapping(provider.get("opentelemetry"))
        if not collector or set(collector) - {"service", "port", "maxTagLength"}:
            raise entry.error(f"traces to the provider `{name}`")
        yield ir.Trace(
            percent=_SAMPLED if share is None else float(share),
            collector=f"{collector.get('service')}:{collector.get('port')}",
            span=entry.where.span(*entry.steps),
        )


def _has_metrics(entry: Fields, providers: Providers) -> bool:
    found = list(providers.named(entry, "metrics"))
    entry.finish()
    strange = [name for name, one in found if "prometheus" not in one]
    if strange:
        raise entry.error(f"metrics of the provider `{strange[0]}`")
    return bool(found)
