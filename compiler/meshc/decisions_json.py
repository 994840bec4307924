"""Requests and decisions as JSON Lines: what `meshc decide` reads and writes, and `meshc explain` accepts.

The formats are those of `schemas/request.schema.json` and `schemas/decision.schema.json`. Names of services are looked up
in the mesh, so a request that comes out of here always has a destination.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from math import isinf
from typing import Generic, TypeVar

from meshc.ir import Destination, External, FaultAbort, FaultDelay, Mesh, Mirror, PortPolicy, Workload
from meshc.request import DEFAULT_SOURCE_IP, Claim, Decision, Request
from meshc.suggest import closest
from meshc.target import Json

_FIELDS = ("from", "to", "method", "path", "headers", "host", "query", "claims", "source_ip", "sni")
_HTTP_FIELDS = ("method", "path", "headers", "host", "query", "claims")
_MAX_SHOWN = 60


class RequestError(ValueError):
    """A request that cannot be understood. `message` is one line, `advice` says how to mend it or is empty."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


# ---- reading --------------------------------------------------------------------------------------------------------


def read_request(line: str, mesh: Mesh) -> Request:
    """A request from one JSON object. Raises RequestError."""
    return RequestReader(mesh).read(line)


class RequestReader:
    """Reads many requests to one mesh."""

    def __init__(self, mesh: Mesh) -> None:
        self._workloads = _Names({(one.namespace, one.name): one for one in mesh.workloads})
        self._externals = _Names({(one.namespace, one.name): one for one in mesh.externals})
        everything: dict[tuple[str, str], Workload | External] = {**self._workloads.entries, **self._externals.entries}
        self._all = _Names(everything)

    def read(self, line: str) -> Request:
        """A request from the text of one JSON object. Raises RequestError."""
        return self.convert(parse_json(line))

    def convert(self, value: Claim) -> Request:
        """A request from a parsed JSON object. Raises RequestError."""
        if not isinstance(value, dict):
            raise RequestError("a request is a JSON object", 'write `{"from": …, "to": …, "method": …, "path": …}`')
        _check_fields(value)
        service, port = self._destination(value["to"])
        method, path = _operation(value, port, f"{service.namespace}.{service.name}:{port.number}")
        return Request(
            identity=self._identity(value["from"]),
            namespace=service.namespace,
            service=service.name,
            port=port.number,
            method=method,
            path=path,
            headers=_pairs(value, "headers"),
            host=_optional_text(value, "host"),
            query=_pairs(value, "query"),
            claims=_claims(value),
            source_ip=_source_ip(value),
            sni=_optional_text(value, "sni"),
        )

    def _identity(self, value: Claim) -> str | None:
        match value:
            case None:
                return None
            case {"identity": str(identity), **others} if not others:
                domain = identity.removeprefix("spiffe://").partition("/")[0]
                if domain == identity or not domain:
                    raise RequestError(f"`{_cut(identity)}` is not a SPIFFE id", "write `spiffe://<trust domain>/…`")
                return identity
            case str(name) if name.startswith("spiffe://"):
                raise RequestError(
                    "an identity stands where a service's name is expected", f'write {{"identity": "{name}"}}'
                )
            case str(name):
                return self._caller(name)
            case _:
                raise RequestError("`from` is the name of a service, an identity, or null", _FROM_ADVICE)

    def _caller(self, name: str) -> str:
        if ":" in name:
            raise RequestError(
                f"`{_cut(name)}` names a port, and callers have none", f"write `{name.partition(':')[0]}`"
            )
        if name in self._externals and name not in self._workloads:
            raise RequestError(f"`{name}` lies outside the mesh and calls nobody in it")
        return self._workloads.find(name).identity

    def _destination(self, value: Claim) -> tuple[Workload | External, PortPolicy]:
        if not isinstance(value, str):
            raise RequestError(
                "`to` is the name of a service, and of its port if it has several", 'write `"shop.cart:8080"`'
            )
        name, colon, port = value.partition(":")
        service = self._all.find(name)
        return service, _find_port(service, port if colon else None)


_FROM_ADVICE = 'write `"shop.frontend"`, `{"identity": "spiffe://…"}`, or null for a caller without verified identity'


Service = TypeVar("Service", Workload, External, Workload | External)


@dataclass(frozen=True, slots=True)
class _Names(Generic[Service]):
    """Services by namespace and name."""

    entries: Mapping[tuple[str, str], Service]

    def __contains__(self, name: str) -> bool:
        return bool(self._candidates(name))

    def find(self, name: str) -> Service:
        found = self._candidates(name)
        if len(found) == 1:
            return found[0]
        if found:
            shown = ", ".join(f"`{one.namespace}.{one.name}`" for one in found)
            raise RequestError(f"`{name}` fits several services", f"write one of {shown}")
        raise RequestError(f"no service is called `{_cut(name)}`", self._advice(name))

    def _candidates(self, name: str) -> list[Service]:
        namespace, dot, bare = name.rpartition(".")
        if dot:
            exact = self.entries.get((namespace, bare))
            return [] if exact is None else [exact]
        return [one for (_, known), one in sorted(self.entries.items(), key=lambda item: item[0]) if known == name]

    def _advice(self, name: str) -> str:
        qualified = "." in name
        known = {f"{namespace}.{bare}" if qualified else bare for namespace, bare in self.entries}
        close = closest(name, known)
        return "" if close is None else f"did you mean `{close}`?"


def parse_json(text: str) -> Claim:
    """One JSON value. Raises RequestError, also for repeated keys, NaN, and text that is no Unicode."""
    try:
        value: Claim = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()
    except RequestError:
        raise
    except UnicodeEncodeError:
        raise RequestError("a string holds half of a surrogate pair", "write the whole character") from None
    except json.JSONDecodeError as error:
        raise RequestError(f"not JSON: {error.msg[:1].lower()}{error.msg[1:]} at column {error.colno}") from None
    except (ValueError, RecursionError):
        raise RequestError("not JSON that can be read: a number is too long, or values are nested too deeply") from None
    return value


def _unique(pairs: list[tuple[str, Claim]]) -> dict[str, Claim]:
    found: dict[str, Claim] = {}
    for key, value in pairs:
        if key in found:
            raise RequestError(
                f"`{_cut(key)}` stands twice in one object", "several values of one header go into a list"
            )
        found[key] = value
    return found


def _finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise RequestError(f"`{_cut(text)}` is too large a number")
    return number


def _no_constant(name: str) -> Claim:
    raise RequestError(f"`{name}` is no JSON value")


def _check_fields(value: Mapping[str, Claim]) -> None:
    for name in value:
        if name not in _FIELDS:
            close = closest(name, _FIELDS)
            advice = f"the fields are {', '.join(_FIELDS)}" if close is None else f"did you mean `{close}`?"
            raise RequestError(f"a request has no field `{_cut(name)}`", advice)
    for name in ("from", "to"):
        if name not in value:
            raise RequestError(
                f"`{name}` is missing", _FROM_ADVICE if name == "from" else 'write `"to": "shop.cart:8080"`'
            )


def _find_port(service: Workload | External, port: str | None) -> PortPolicy:
    shown = f"`{service.namespace}.{service.name}`"
    listed = ", ".join(_port_name(one) for one in service.ports)
    if not service.ports:
        raise RequestError(f"{shown} has no ports", "nothing can call it")
    if port is None:
        if len(service.ports) == 1:
            return service.ports[0]
        raise RequestError(
            f"{shown} has several ports", f"add one of {listed}: `{service.name}:{service.ports[0].number}`"
        )
    for one in service.ports:
        if port in {str(one.number), one.name}:
            return one
    raise RequestError(f"{shown} has no port `{_cut(port)}`", f"it has {listed}")


def _port_name(port: PortPolicy) -> str:
    return f"`{port.number}`" if port.name is None else f"`{port.number}` (`{port.name}`)"


def _operation(value: Mapping[str, Claim], port: PortPolicy, shown: str) -> tuple[str | None, str | None]:
    if not port.protocol.is_http:
        for name in _HTTP_FIELDS:
            if name in value:
                message = f"`{name}` makes no sense on `{shown}`, a {port.protocol.value} port, which sees no requests"
                raise RequestError(message, "leave it out")
        return None, None
    method, path = _optional_text(value, "method"), _optional_text(value, "path")
    if method is None or path is None:
        missing = "method" if method is None else "path"
        raise RequestError(f"`{missing}` is missing, and `{shown}` is a port of requests", f'write `"{missing}": …`')
    if method == "GRPC":
        raise RequestError("`GRPC` is no HTTP method", "a gRPC call is a POST to `/package.Service/Method`")
    return method, path


def _optional_text(value: Mapping[str, Claim], name: str) -> str | None:
    found = value.get(name)
    if found is not None and not isinstance(found, str):
        raise RequestError(f"`{name}` is a string, not {_kind(found)}")
    return found


def _pairs(value: Mapping[str, Claim], name: str) -> tuple[tuple[str, str], ...]:
    found = value.get(name)
    if found is None:
        return ()
    if not isinstance(found, dict):
        raise RequestError(f"`{name}` is an object of strings, not {_kind(found)}", f'write `"{name}": {{"x": "y"}}`')
    return tuple((key, text) for key, item in found.items() for text in _texts(name, key, item))


def _texts(name: str, key: str, item: Claim) -> Iterable[str]:
    for text in item if isinstance(item, list) else [item]:
        if not isinstance(text, str):
            raise RequestError(f"`{_cut(key)}` in `{name}` is a string or a list of strings, not {_kind(text)}")
        yield text


def _claims(value: Mapping[str, Claim]) -> Mapping[str, Claim] | None:
    found = value.get("claims")
    if found is not None and not isinstance(found, dict):
        raise RequestError(f"`claims` is an object, not {_kind(found)}", 'write `"claims": {"scope": "read"}`')
    return found


def _source_ip(value: Mapping[str, Claim]) -> str:
    text = _optional_text(value, "source_ip")
    if text is None:
        return DEFAULT_SOURCE_IP
    try:
        return str(ip_address(text))
    except ValueError:
        raise RequestError(f"`{_cut(text)}` is no IP address", 'write one such as `"10.1.2.3"`') from None


def _kind(value: Claim) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


# ---- writing --------------------------------------------------------------------------------------------------------


def request_to_json(request: Request, mesh: Mesh) -> Mapping[str, Json]:
    """A request as `RequestReader` reads it back; what has its default is left out."""
    shown: dict[str, Json] = {
        "from": _caller_to_json(request.identity, mesh),
        "to": f"{request.namespace}.{request.service}:{request.port}",
    }
    optional: dict[str, Json] = {
        "method": request.method,
        "path": request.path,
        "headers": _grouped(request.headers) or None,
        "host": request.host,
        "query": _grouped(request.query) or None,
        "claims": request.claims,
        "source_ip": None if request.source_ip == DEFAULT_SOURCE_IP else request.source_ip,
        "sni": request.sni,
    }
    shown.update((name, value) for name, value in optional.items() if value is not None)
    return shown


def _caller_to_json(identity: str | None, mesh: Mesh) -> Json:
    if identity is None:
        return None
    owners = [one for one in mesh.workloads if one.identity == identity]
    return f"{owners[0].namespace}.{owners[0].name}" if owners else {"identity": identity}


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, Json]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in values.items()}


def decision_to_json(decision: Decision) -> Mapping[str, Json]:
    """A decision as plain data, every field of the schema included, in its order."""
    return {
        "access": {True: "allow", False: "deny", None: None}[decision.allowed],
        "status": decision.status,
        "reason": decision.reason,
        "rule": None if decision.rule is None else str(decision.rule),
        "route": None if decision.route is None else str(decision.route),
        "destinations": [{**_destination(one), "weight": one.weight} for one in decision.destinations],
        "timeout_ms": decision.timeout_ms,
        "retries": decision.retries,
        "mirror": [_mirror(one) for one in decision.mirrors],
        "fault": _faults(decision.faults),
        "redirect": decision.redirect,
        "shadow": [str(one) for one in decision.shadow],
    }


def write_decision(decision: Decision) -> str:
    """A decision as one line of JSON, without a line end."""
    return json.dumps(decision_to_json(decision), ensure_ascii=True)


def _destination(one: Destination) -> dict[str, Json]:
    return {"to": f"{one.namespace}.{one.service}", "port": one.port, "version": one.version}


def _mirror(one: Mirror) -> Json:
    return {**_destination(one.destination), "percent": one.percent}


def _faults(faults: Iterable[FaultDelay | FaultAbort]) -> Json:
    delays: list[Json] = []
    aborts: list[Json] = []
    for one in faults:
        if isinstance(one, FaultDelay):
            delays.append({"delay_ms": one.delay_ms, "percent": one.percent})
        else:
            aborts.append({"status": one.status, "percent": one.percent})
    return {"delays": delays, "aborts": aborts} if delays or aborts else None
