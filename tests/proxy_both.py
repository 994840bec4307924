"""Run a table of cases on one engine, and say what was seen of each: answers, what applications got, and log lines."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from meshc.engine.exchange import Answered, Broken, Greeted, Http1Request, Outcome, Peer, Refused, StreamReset
from meshc.engine.http_server import Headers
from meshc.engine.stubs import SERVED_BY, Reply, SeenRequest
from meshc.ir import Mesh
from meshc_proxy.io.logs import Names, line_of
from meshc_proxy.io.records import Record
from proxy_cases import Case, h1
from proxy_lab import Lab, run_lab

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Seen: TypeAlias = dict[str, Json]

_MARKER: Final = "/marker-"
_SETTLED_S: Final = 0.02
_VOLATILE: Final = frozenset({"date", "x-meshc-served-by"})
_LOGGED: Final = (
    "direction",
    "from",
    "to",
    "status",
    "grpc_status",
    "rule",
    "shadow_deny",
    "shadow_allow",
    "flags",
    "details",
)
_LOGGED_TOO: Final = ("sent_to", "protocol", "method", "host", "path", "route")


async def run_cases(program: str, cases: Sequence[Case], directory: Path, engine: str) -> dict[str, Seen]:
    """What was seen of each case, by its name."""
    seen: dict[str, Seen] = {}
    told: list[Record] = []
    meshes: list[Mesh] = []

    async def scenario(lab: Lab) -> None:
        meshes.append(lab.mesh)
        for number, case in enumerate(cases):
            seen[case.name] = await _run(lab, case)
            await asyncio.sleep(_SETTLED_S)
            # Logs are written late: a denied request after each case, to the same sidecars, tells them apart.
            marked = replace(case, by=None) if case.to == "plain" else case
            await lab.send(h1(f"{_MARKER}{number}", host=f"{case.to}.shop"), _peer(lab, marked))
        await asyncio.sleep(_SETTLED_S)
        told.extend(lab.records)

    await run_lab(program, scenario, directory, engine)
    if engine == "proxy":
        names = Names(meshes[0])
        sidecars: list[list[dict[str, Json]]] = [[dict(line_of(one, names)) for one in told]]
    else:
        files = sorted((directory / "logs").glob("*.access.log"))
        sidecars = [[*filter(_is_told, map(json.loads, file.read_text().splitlines()))] for file in files]
    for case, logged in zip(cases, _by_case(sidecars, len(cases)), strict=True):
        seen[case.name]["log"] = [*sorted((_logged(one) for one in logged), key=lambda one: str(one["direction"]))]
    return seen


def _is_told(line: Mapping[str, Json]) -> bool:
    """Handshakes that fail have lines in Envoy's log; the reference proxy counts them."""
    return not str(line.get("details")).startswith("TLS_error")


def _by_case(sidecars: list[list[dict[str, Json]]], count: int) -> list[list[dict[str, Json]]]:
    """The lines of each case: those before its marker."""
    found: list[list[dict[str, Json]]] = [[] for _ in range(count)]
    for lines in sidecars:
        waiting: list[dict[str, Json]] = []
        for line in lines:
            path = str(line.get("path"))
            if path.startswith(_MARKER):
                found[int(path.removeprefix(_MARKER))] += waiting
                waiting = []
            else:
                waiting.append(line)
    return found


def _peer(lab: Lab, case: Case) -> Peer:
    return lab.outbound("web") if case.out else lab.inbound(case.to, case.by)


async def _run(lab: Lab, case: Case) -> Seen:
    stub = lab.stubs[case.to]
    stub.requests.clear()
    stub.reply = lambda _: case.reply
    message = case.message
    if case.claims is not None and isinstance(message, Http1Request):
        token = lab.scene.placed.issuer.sign(dict(case.claims))
        message = replace(message, headers=(*message.headers, (b"authorization", f"Bearer {token}".encode())))
    outcome = await lab.send(message, _peer(lab, case))
    got = [_got(one) for one in stub.requests]
    stub.reply = lambda _: Reply()
    return {**_came(outcome), "got": got}


def _came(outcome: Outcome) -> Seen:
    match outcome:
        case Answered():
            own = outcome.served_by is None
            return {
                "status": outcome.status,
                "headers": [*_shown(outcome.headers)],
                "trailers": [*_shown(outcome.trailers)],
                "body": outcome.body.decode("latin-1") if own else None,
            }
        case Refused():
            return {"closed": "before an answer"}
        case StreamReset():
            return {"closed": "stream"}
        case Broken():
            return {"closed": "within the answer"}
        case Greeted():
            return {"served_by": outcome.served_by}
        case _:
            return {"closed": "never"}


def _got(seen: SeenRequest) -> Json:
    request = seen.request
    fields = tuple(one for one in request.headers if one[0].lower() != b"date")
    return {
        "protocol": request.protocol,
        "method": request.method.decode("latin-1"),
        "path": request.path.decode("latin-1"),
        "headers": [*_shown(fields)],
        "body": request.body.decode("latin-1"),
    }


def _shown(headers: Headers) -> Iterator[Json]:
    """Header lines in a fixed order, those of one name in theirs; without what never is the same twice."""
    is_stub = any(name == SERVED_BY for name, _ in headers)
    for name, value in sorted(headers, key=lambda one: one[0].lower()):
        shown = name.decode("latin-1").lower()
        if shown in _VOLATILE or (shown == "content-length" and is_stub):
            continue
        yield f"{shown}: {_stable(shown, value.decode('latin-1'))}"


def _stable(name: str, value: str) -> str:
    if name == "x-request-id" and len(value) == 36:
        return "<made>"
    if name == "authorization":
        return "<token>"
    if name == "x-forwarded-client-cert":
        return ";".join(part for part in value.split(";") if not part.startswith("Hash="))
    return value


def _logged(line: Mapping[str, Json]) -> Seen:
    return {name: line.get(name) for name in (*_LOGGED, *_LOGGED_TOO)}


def differing(ours: Seen, theirs: Seen) -> frozenset[str]:
    """What the engines did not do alike: names as `status`, `got.headers`, `log.flags`."""
    found: set[str] = set()
    for name in ours.keys() | theirs.keys():
        one, other = ours.get(name), theirs.get(name)
        if one == other:
            continue
        if (
            name not in {"got", "log"}
            or not isinstance(one, list)
            or not isinstance(other, list)
            or len(one) != len(other)
        ):
            found.add(name)
            continue
        for left, right in zip(one, other, strict=True):
            assert isinstance(left, dict)
            assert isinstance(right, dict)
            found |= {f"{name}.{key}" for key in left if left[key] != right[key] and not _own_words(key, left, right)}
    return frozenset(found)


def _own_words(key: str, left: Seen, right: Seen) -> bool:
    """Why bytes are no request is said in words of our own."""
    return key == "details" and left["flags"] == "DPE" and right["flags"] in {"DPE", "-"}
