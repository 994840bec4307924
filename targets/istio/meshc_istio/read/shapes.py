"""What the definitions of Istio's security objects take: the shape of each part of a `spec`.

A part of another shape makes the API server or Istio refuse the whole object, so that nothing of it holds, least of all what it denies.
Fields that a rule may have beyond these are for its reader to name.
Source: Istio's `customresourcedefinitions`, and `ValidateAuthorizationPolicy` and its like for texts that are empty.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc.reading import Step
from meshc.target import Json


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not empty."""


@dataclass(frozen=True, slots=True)
class Truth:
    """`true` or `false`."""


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of such items. `is_filled`: it has at least one."""

    item: "Shape"
    is_filled: bool = False


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping from any keys to such values."""

    value: "Shape"


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping with some fields. `is_open`: others are left to who reads it."""

    fields: Mapping[str, "Shape"]
    is_open: bool = False


Shape = Text | Truth | ListOf | MapOf | Fields

_TEXT: Final = Text()
_TEXTS: Final = ListOf(_TEXT)
_SELECTOR: Final = Fields({"matchLabels": MapOf(_TEXT)})
_REF: Final = Fields({"group": Text(), "kind": _TEXT, "name": _TEXT, "namespace": _TEXT})
_SOURCES: Final = (
    "principals", "notPrincipals", "requestPrincipals", "notRequestPrincipals", "namespaces", "notNamespaces", "serviceAccounts",
    "notServiceAccounts", "ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks",
)  # fmt: skip
_OPERATIONS: Final = ("hosts", "notHosts", "ports", "notPorts", "methods", "notMethods", "paths", "notPaths")
_RULE: Final = Fields(
    {
        "from": ListOf(Fields({"source": Fields(dict.fromkeys(_SOURCES, _TEXTS), is_open=True)})),
        "to": ListOf(Fields({"operation": Fields(dict.fromkeys(_OPERATIONS, _TEXTS), is_open=True)})),
        "when": ListOf(Fields({"key": _TEXT, "values": _TEXTS, "notValues": _TEXTS}, is_open=True)),
    },
    is_open=True,
)
_ATTACHED: Final[Mapping[str, Shape]] = {
    "selector": _SELECTOR,
    "targetRef": _REF,
    "targetRefs": ListOf(_REF, is_filled=True),
}
_MODE: Final = Fields({"mode": _TEXT})
_TOKEN_FIELDS: Final[Mapping[str, Shape]] = {
    "issuer": _TEXT,
    "audiences": _TEXTS,
    "jwksUri": _TEXT,
    "jwks": _TEXT,
    "timeout": _TEXT,
    "fromHeaders": ListOf(Fields({"name": _TEXT, "prefix": _TEXT})),
    "forwardOriginalToken": Truth(),
    "spaceDelimitedClaims": _TEXTS,
}

SPECS: Final[Mapping[str, Shape]] = {
    "AuthorizationPolicy": Fields(
        {**_ATTACHED, "action": _TEXT, "rules": ListOf(_RULE), "provider": Fields({"name": _TEXT})}, is_open=True
    ),
    "PeerAuthentication": Fields({"selector": _SELECTOR, "mtls": _MODE, "portLevelMtls": MapOf(_MODE)}),
    "RequestAuthentication": Fields({**_ATTACHED, "jwtRules": ListOf(Fields(_TOKEN_FIELDS, is_open=True))}),
}
"""The `spec` of each kind of the group `security.istio.io`."""


def misfits(value: Json, shape: Shape, steps: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    """The places where a value is not of a shape, with what is wrong there; `steps` lead to the value."""
    if not _fits(value, shape):
        yield from _misfits(value, shape, steps)


_MAPPING: Final = (dict, Mapping)


def _fits(value: Json, shape: Shape) -> bool:
    """Whether there is no misfit, which is what nearly all values have: without a word for any place."""
    match shape:
        case Text():
            return isinstance(value, str) and bool(value)
        case Truth():
            return isinstance(value, bool)
        case ListOf(item=item, is_filled=is_filled):
            return (
                isinstance(value, (list, tuple))
                and (bool(value) or not is_filled)
                and all(_fits(one, item) for one in value)
            )
        case MapOf(value=inner):
            return isinstance(value, _MAPPING) and all(_fits(one, inner) for one in value.values())
        case Fields(fields=fields, is_open=is_open):
            return isinstance(value, _MAPPING) and all(
                _fits(one, fields[key]) if key in fields else is_open for key, one in value.items()
            )


def _misfits(value: Json, shape: Shape, steps: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    match shape:
        case Text():
            if not isinstance(value, str):
                yield steps, f"{_said(steps)} is no text"
            elif not value:
                yield steps, f"{_said(steps)} is empty"
        case Truth():
            if not isinstance(value, bool):
                yield steps, f"{_said(steps)} is neither `true` nor `false`"
        case ListOf(item=item, is_filled=is_filled):
            if not isinstance(value, (list, tuple)):
                yield steps, f"{_said(steps)} is no list"
                return
            if is_filled and not value:
                yield steps, f"{_said(steps)} is empty"
            for number, one in enumerate(value):
                yield from _misfits(one, item, (*steps, number))
        case MapOf() | Fields():
            if not isinstance(value, Mapping):
                yield steps, f"{_said(steps)} is no mapping"
                return
            yield from _misfits_below(value, shape, steps)


def _misfits_below(
    value: Mapping[str, Json], shape: MapOf | Fields, steps: tuple[Step, ...]
) -> Iterator[tuple[tuple[Step, ...], str]]:
    for key, one in value.items():
        match shape:
            case MapOf(value=inner):
                yield from _misfits(one, inner, (*steps, key))
            case Fields(fields=fields, is_open=is_open):
                if key in fields:
                    yield from _misfits(one, fields[key], (*steps, key))
                elif not is_open:
                    yield (*steps, key), f"the field `{key}` of {_said(steps)} is not known"


def _said(steps: tuple[Step, ...]) -> str:
    """A place, as people call it: `spec.rules[0]`."""
    return "`" + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in steps).lstrip(".") + "`"
