"""Lines of a sidecar's JSON access log, read back as requests.

The fields are those of `docs/language/limits-telemetry.md`. A line tells no headers and no token, so a request that is read from
it has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meshc.request import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """`request` is what `RequestReader.convert` takes; `outcome` what the line says became of it, in a few words."""

    request: dict[str, Claim]
    outcome: str


def is_log_line(value: Claim) -> bool:
    """Whether a JSON value is a line of an access log: requests know no direction."""
    return isinstance(value, dict) and value.get("direction") in ("inbound", "outbound") and "to" in value


def read_log_line(value: Mapping[str, Claim]) -> LogLine:
    """The request of a line for which `is_log_line` holds; what is missing in it is left out."""
    request: dict[str, Claim] = {"from": _source(value.get("from")), "to": value["to"]}
    fields = {"method": "method", "path": "path", "host": "host", "source_ip": "source_ip", "server_name": "sni"}
    for field, name in fields.items():
        found = value.get(field)
        # The caller's own sidecar sees its application, whose address says nothing at the server.
        is_local = field == "source_ip" and value.get("direction") == "outbound"
        if isinstance(found, str) and found and not is_local:
            request[name] = found
    return LogLine(request=request, outcome=_outcome(value))


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
