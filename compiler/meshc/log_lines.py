"""Lines of a sidecar's JSON access log, read back as requests.

The fields are those of `docs/language/limits-telemetry.md`. A line tells no headers and no token, so a request that is read from
it has none. Where it names no destination, as for a call to a host that the caller's sidecar does not know, the host that was
asked for may still tell which service was meant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshc.decisions_json import RequestError
from meshc.ir import External, Mesh, Workload
from meshc.request import Claim
from meshc.semantics.show import show_text


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """`request` is what `RequestReader.convert` takes; `outcome` what the line says became of it, in a few words."""

    request: dict[str, Claim]
    outcome: str


def is_log_line(value: Claim) -> bool:
    """Whether a JSON value is a line of an access log: requests know no direction."""
    return isinstance(value, dict) and value.get("direction") in ("inbound", "outbound") and "to" in value


def read_log_line(value: Mapping[str, Claim], mesh: Mesh) -> LogLine:
    """The request of a line for which `is_log_line` holds; what is missing in it is left out. Raises RequestError."""
    request: dict[str, Claim] = {"from": _source(value.get("from")), "to": value["to"] or _destination(value, mesh)}
    fields = {"method": "method", "path": "path", "host": "host", "source_ip": "source_ip", "server_name": "sni"}
    for field, name in fields.items():
        found = value.get(field)
        # The caller's own sidecar sees its application, whose address says nothing at the server.
        is_local = field == "source_ip" and value.get("direction") == "outbound"
        if isinstance(found, str) and found and not is_local:
            request[name] = found
    return LogLine(request=request, outcome=_outcome(value))


def _destination(value: Mapping[str, Claim], mesh: Mesh) -> str:
    """The service that a line without destination was meant for, by the host or server name that was asked for."""
    asked = next((one for name in ("host", "server_name") if isinstance(one := value.get(name), str) and one), None)
    if asked is None:
        raise RequestError(
            "the log line names neither a destination nor a host", 'add `"to": "namespace.service:port"` to it'
        )
    name, _, number = asked.partition(":")
    name = name.lower().rstrip(".")
    owners: tuple[Workload | External, ...] = (*mesh.workloads, *mesh.externals)
    found = [
        f"{owner.namespace}.{owner.name}:{port.number}"
        for owner in owners
        if name in _hosts(owner, mesh)
        for port in owner.ports
        if not number or str(port.number) == number
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RequestError(
            f"the log line names no destination, and the host {show_text(asked)} is nobody's in this program",
            'so the caller\'s sidecar knew no such service; declare it, or add `"to"` to the line',
        )
    raise RequestError(
        f"the log line names no destination, and the host {show_text(asked)} fits several ports",
        f'add `"to"` to it, with one of {", ".join(f"`{one}`" for one in found)}',
    )


def _hosts(owner: Workload | External, mesh: Mesh) -> Iterator[str]:
    """The names that callers know a service by."""
    match owner:
        case External(hosts=hosts):
            yield from hosts
        case Workload(namespace=namespace, name=name):
            yield from (name, f"{name}.{namespace}", f"{name}.{namespace}.svc")
            yield f"{name}.{namespace}.svc.{mesh.cluster_domain}"


def _source(found: Claim) -> Claim:
    if not isinstance(found, str) or not found:
        return None
    return {"identity": found} if found.startswith("spiffe://") else found


def _outcome(value: Mapping[str, Claim]) -> str:
    status, rule, details = value.get("status"), value.get("rule"), value.get("details")
    parts = [f"answered {status}"] if isinstance(status, int) and status else ["no answer"]
    parts += [f"by rule {rule}"] if isinstance(rule, str) and rule else []
    parts += [f"({details})"] if isinstance(details, str) and details else []
    return " ".join(parts)
