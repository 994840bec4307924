"""Sayable: what of a request a `test` block has words for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from meshc.ir import Mesh
from meshc.request import Claim, Request
from meshc.semantics.identities import trust_domain_of

_METHOD: Final = re.compile(r"[A-Z][A-Z0-9_-]*")
_NOT_METHODS: Final = frozenset({"GRPC", "TCP"})
_FILLER: Final = "note"


@dataclass(frozen=True, slots=True)
class Unsayable:
    """No test can say a request; `reason` says why, in a few words."""

    reason: str


def sayable(request: Request, mesh: Mesh) -> Request | Unsayable:
    """The request, or one that no rule tells from it, as a test can say it."""
    if request.identity is not None and trust_domain_of(request.identity) not in mesh.trust_domains:
        return Unsayable("a test has no callers of unknown trust domains")
    if request.method is not None and (not _METHOD.fullmatch(request.method) or request.method in _NOT_METHODS):
        return Unsayable(f"a test has no word for the method `{request.method}`")
    if any(not _is_unicode(text) for text in _texts(request)):
        return Unsayable("a test is written in Unicode, and the request has other bytes")
    if request.claims is None:
        return request
    claims = _object(request.claims)
    return claims if isinstance(claims, Unsayable) else replace(request, claims=claims)


def _texts(request: Request) -> tuple[str, ...]:
    parts = (request.path, request.host, request.sni, request.identity)
    pairs = (*request.headers, *request.query)
    return (*(part for part in parts if part is not None), *(text for pair in pairs for text in pair))


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _object(claims: Mapping[str, Claim]) -> dict[str, Claim] | Unsayable:
    """Claims as tests write them: texts within objects. An object that is empty gets a claim that nothing looks at."""
    found: dict[str, Claim] = {}
    for name, value in claims.items():
        match value:
            case str() if not (_is_unicode(name) and _is_unicode(value)):
                return Unsayable("a test is written in Unicode, and a claim has other characters")
            case str():
                found[name] = value
            case dict():
                inner = _object(value)
                if isinstance(inner, Unsayable):
                    return inner
                found[name] = inner
            case list():
                return Unsayable("a test has no claims that are lists")
            case _:
                found[name] = {_FILLER: "-"}  # a value that no test of it holds for, and so is an object
    return found or {_FILLER: "-"}
