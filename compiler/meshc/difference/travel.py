"""How one request travels: what its route does, with the settings that are in force, in a form that compares."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from meshc.difference.rewriting import Target, is_same
from meshc.ir import (
    ALWAYS,
    ANY_PATH,
    Destination,
    FaultAbort,
    FaultDelay,
    Forward,
    HeaderChange,
    Redirect,
    Respond,
    Route,
    Settings,
)
from meshc.semantics import wording
from meshc.semantics.show import show_destination, show_path, show_text
from meshc.source import BUILTIN, Span

NO_ROUTE: Final = "404: no route"


@dataclass(frozen=True, slots=True)
class Travel:
    """What is done with some requests. Two are equal only if they do the same; that some unequal ones do too, `differences` knows.

    `shown` is the action in words, and `action` the same without what `target` says, the target of a redirect. `rewrite` is
    what becomes of the path of what is sent on. `settings` are pairs of name and words.
    """

    shown: str
    action: str
    is_forward: bool
    target: Target | None
    rewrite: Target | None
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Differing:
    """One thing that two ways to travel differ in; `name` is None for where a request goes."""

    name: str | None
    old: str
    new: str


NOWHERE: Final = Travel(NO_ROUTE, NO_ROUTE, False, None, None, ())  # noqa: FBT003 -- the fields in their order


def travel_of(route: Route, faults: tuple[FaultDelay | FaultAbort, ...]) -> Travel:
    """How the requests of a route travel of which these faults strike a share."""
    shown_action, action, target = _action(route)
    is_forward = isinstance(route.action, Forward)
    rewrite = Target(route.settings.rewrite_path, route.path) if is_forward else None
    shown = {
        "fault": wording.listed(sorted(wording.delay(one) for one in faults if isinstance(one, FaultDelay))),
        "fault abort": wording.listed(wording.abort(one) for one in faults if isinstance(one, FaultAbort)),
        "headers": wording.listed(map(wording.header_change, _ordered(route.settings.header_changes))),
    }
    if is_forward:
        shown |= {name: words(route.settings) for name, words in _FORWARDED.items()}
    return Travel(shown_action, action, is_forward, target, rewrite, tuple(shown.items()))


def differences(old: Travel, new: Travel) -> tuple[Differing, ...]:
    """What two ways to travel differ in. Where one goes elsewhere, only what is set for both is compared."""
    found: list[Differing] = []
    if old.action != new.action:
        found.append(Differing(None, old.shown, new.shown))
    elif old.target is not None and new.target is not None and not is_same(old.target, new.target):
        found.append(Differing(None, *_told_apart(old.shown, new.shown, old.target, new.target)))
    before, after = dict(old.settings), dict(new.settings)
    found += (
        Differing(name, words, after[name]) for name, words in before.items() if name in after and words != after[name]
    )
    if old.rewrite is not None and new.rewrite is not None and not is_same(old.rewrite, new.rewrite):
        texts = (wording.text(old.rewrite.text), wording.text(new.rewrite.text))
        found.append(Differing("rewrite path", *_told_apart(*texts, old.rewrite, new.rewrite)))
    return tuple(found)


def _told_apart(old: str, new: str, before: Target, after: Target) -> tuple[str, str]:
    """Words for two targets; where they are spelled alike, with what they capture from."""
    if old != new:
        return old, new
    return f"{old} of {show_path(before.pattern)}", f"{new} of {show_path(after.pattern)}"


def _action(route: Route) -> tuple[str, str, Target | None]:
    """An action in words, the same without the target of a redirect, and that target."""
    match route.action:
        case Forward(destinations=destinations):
            shown = f"-> {_shown_destinations(destinations)}"
            return shown, shown, None
        case Redirect(target=target, status=status):
            return f"redirect {show_text(target)} status {status}", f"redirect {status}", Target(target, route.path)
        case Respond(status=status, body=body):
            shown = f"respond {status}{f' {show_text(body)}' if body else ''}"
            return shown, shown, None
        case _:
            assert_never(route.action)


def _shown_destinations(destinations: Iterable[Destination]) -> str:
    """Destinations in the order of their names; those that get nothing are left out."""
    ordered = sorted(destinations, key=lambda one: (one.namespace, one.service, one.port, one.version or ""))
    sent = [one for one in ordered if one.weight > 0]
    if len(sent) == 1:
        return show_destination(sent[0])
    return ", ".join(f"{show_destination(one)} {wording.percent(one.weight)}" for one in sent)


def _ordered(changes: tuple[HeaderChange, ...]) -> list[HeaderChange]:
    """Changes of different headers commute; those of one stay in their order."""
    return sorted(changes, key=lambda one: (one.direction, one.name))


_FORWARDED: Final[Mapping[str, Callable[[Settings], str]]] = {
    "timeout": lambda one: wording.duration(one.timeout_ms),
    "idle-timeout": lambda one: wording.duration(one.idle_timeout_ms),
    "retry": lambda one: wording.retry(one.retry),
    "mirror": lambda one: wording.listed(sorted(map(wording.mirror, one.mirrors))),
    "rewrite host": lambda one: wording.text(one.rewrite_host),
}


def span_of(name: str, route: Route) -> Span | None:
    """Where a setting of a route is written. Where it has no place of its own, that is the route, if it asks for anything.

    A setting that nothing says, and that is there all the same, is the route's own as well.
    """
    settings = route.settings
    written = dict(settings.spans)
    first: Mapping[str, tuple[Span, ...]] = {
        "retry": () if settings.retry is None else (settings.retry.span,),
        "fault": tuple(one.span for one in settings.delays),
        "fault abort": tuple(one.span for one in settings.aborts),
        "mirror": tuple(one.span for one in settings.mirrors),
        "headers": tuple(one.span for one in settings.header_changes),
        "timeout": tuple(filter(None, (written.get("timeout_ms"),))),
        "idle-timeout": tuple(filter(None, (written.get("idle_timeout_ms"),))),
        "rewrite path": tuple(filter(None, (written.get("rewrite_path"),))),
        "rewrite host": tuple(filter(None, (written.get("rewrite_host"),))),
    }
    asks = bool(route.methods) or route.path != ANY_PATH or route.condition != ALWAYS or route.callers is not None
    places = first[name]
    return next((one for one in places if one != BUILTIN), route.span if asks or places else None)
