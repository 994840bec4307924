"""What a rule of a Service's route does with calls: where they go, what changes, and how long they may take.

A filter that Linkerd does not know makes it drop the whole route, and a bad backend answers 500: neither is said here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc_linkerd.read.authorities import GROUP
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.notes import Notes, duration_ms
from meshc_linkerd.read.services import Services

_CODES: Final = (301, 302, 303, 307, 308)
_FOUND: Final = 302
_ALL: Final = 100.0
_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What becomes of the calls that a rule takes."""

    action: ir.Forward | ir.Redirect
    settings: ir.Settings


def read_action(rule: Fields, services: Services, notes: Notes) -> Action:
    """The action of a rule, all of its fields but `matches`; `notes` are those that count for it. Raises NotUnderstoodError."""
    rule.ignore("name")
    changes: list[ir.HeaderChange] = []
    redirect: ir.Redirect | None = None
    for one in rule.each("filters"):
        match one.text("type"):
            case "RequestHeaderModifier":
                changes += _changes(one.fields("requestHeaderModifier"), "request")
            case "ResponseHeaderModifier" if rule.source.group != GROUP:
                changes += _changes(one.fields("responseHeaderModifier"), "response")
            case "RequestRedirect":
                redirect = _redirect(one.fields("requestRedirect"))
            case other:
                raise one.error(f"Linkerd drops a route with the filter `{other}`", "type")
        one.finish()
    settings = _settings(rule, notes, tuple(changes))
    backends = list(rule.each("backendRefs"))
    rule.finish()
    if redirect is not None:
        if backends:
            raise rule.error("a redirect has no backends", "backendRefs")
        return Action(action=redirect, settings=ir.Settings(header_changes=tuple(changes)))
    return Action(action=ir.Forward(destinations=_destinations(rule, backends, services)), settings=settings)


def _settings(rule: Fields, notes: Notes, changes: tuple[ir.HeaderChange, ...]) -> ir.Settings:
    """A rule's own timeout counts only where no annotation has one for requests."""
    times = rule.fields("timeouts")
    times.ignore("backendRequest")
    own = times.text("request")
    times.finish()
    # Linkerd takes one number with one unit, and passes over whatever else the schema lets through.
    written = duration_ms(own) if own else None
    timeout = notes.request_ms if notes.request_ms is not None else written
    return ir.Settings(
        timeout_ms=timeout or None, idle_timeout_ms=notes.idle_ms, retry=notes.retry, header_changes=changes
    )


# ---- backends -------------------------------------------------------------------------------------------------------


def _destinations(rule: Fields, backends: list[Fields], services: Services) -> tuple[ir.Destination, ...]:
    if not backends:
        raise rule.error("what becomes of calls without a backend cannot be said", "backendRefs")
    found = [_backend(one, services) for one in backends]
    if len(found) == 1:
        return (_weighed(found[0][0], _ALL),)
    total = sum(weight for _, weight in found)
    if not total:
        raise rule.error("no backend has a weight, which Linkerd answers with an error", "backendRefs")
    return tuple(_weighed(one, round(_ALL * weight / total, _DIGITS)) for one, weight in found if weight)


def _weighed(one: ir.Destination, weight: float) -> ir.Destination:
    return ir.Destination(
        namespace=one.namespace, service=one.service, port=one.port, version=one.version, weight=weight
    )


def _backend(one: Fields, services: Services) -> tuple[ir.Destination, int]:
    group, kind = one.text("group"), one.text("kind", "Service")
    name, namespace = one.text("name"), one.text("namespace", one.source.namespace)
    port, weight = one.number("port"), one.number("weight")
    if list(one.each("filters")):
        raise one.error("filters of a backend cannot be said", "filters")
    one.finish()
    if group not in {"", "core"} or kind != "Service":
        raise one.error(f"a backend of the kind `{kind}` cannot be said", "kind")
    found = services.find(namespace, name)
    if found is None:
        raise one.error(f"the backend `{name}` is none of the known services", "name")
    workload, version = found
    if port is None or all(known.number != port for known in workload.ports):
        raise one.error(f"port {port} of `{name}` is none of its ports", "port")
    made = ir.Destination(namespace=workload.namespace, service=workload.name, port=port, version=version)
    return made, 1 if weight is None else weight


# ---- filters --------------------------------------------------------------------------------------------------------


def _changes(modifier: Fields, direction: str) -> Iterator[ir.HeaderChange]:
    """Headers are added, then set, then removed."""
    for verb in ("add", "set"):
        for one in modifier.each(verb):
            name, value = one.text("name").lower(), one.text("value")
            one.finish()
            yield ir.HeaderChange(
                operation=verb, direction=direction, name=name, value=value, span=one.source.span(*one.steps)
            )
    for name in modifier.texts("remove"):
        span = modifier.source.span(*modifier.steps, "remove")
        yield ir.HeaderChange(operation="remove", direction=direction, name=name.lower(), span=span)
    modifier.finish()


def _redirect(one: Fields) -> ir.Redirect:
    scheme, host, port = one.text("scheme"), one.text("hostname"), one.number("port")
    status = one.number("statusCode") or _FOUND
    path = one.fields("path")
    kind, full = path.text("type"), path.text("replaceFullPath")
    path.finish()
    one.finish()
    if status not in _CODES:
        raise one.error(f"Linkerd redirects with no status {status}", "statusCode")
    if kind != "ReplaceFullPath" or not full.startswith("/"):
        raise one.error("a redirect that keeps a part of the path cannot be said", "path")
    if not host and not scheme and port is None:
        target = full
    elif not host or not scheme:
        raise one.error("a redirect to a URL of which the call says a part cannot be said", "hostname")
    else:
        is_usual = port is None or (scheme, port) in {("http", 80), ("https", 443)}
        target = f"{scheme}://{host}{'' if is_usual else f':{port}'}{full}"
    return ir.Redirect(target=target, status=status, span=one.source.span(*one.steps))
