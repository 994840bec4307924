"""SARIF 2.1.0: the frame of a log, and places in it. What is reported is for others to say. Source: OASIS SARIF 2.1.0."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from meshc._version import __version__
from meshc.target import Json

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SarifRule:
    """A kind of result. `level` is `error`, `warning` or `note`, `help` where to read more, empty for nowhere."""

    name: str
    level: str
    text: str
    help: str = ""


def sarif_log(tool: str, rules: Sequence[SarifRule], results: Iterable[Json]) -> str:
    """A log of one run."""
    driver: Json = {
        "name": tool,
        "version": __version__,
        "informationUri": "https://meshc.dev/",
        "rules": [_rule(one) for one in rules],
    }
    run: Json = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": list(results)}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(rule: SarifRule) -> Json:
    more: dict[str, Json] = {"help": {"text": rule.help}} if rule.help else {}
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.text},
        "defaultConfiguration": {"level": rule.level},
        **more,
    }


def sarif_result(
    rule: SarifRule, number: int, text: str, locations: Sequence[Json], *, within: str = ""
) -> dict[str, Json]:
    """A result of the rule of this number. Its fingerprint is what it says, and the file that it is `within`, if that matters:
    so it survives edits elsewhere.
    """
    said = f"{rule.name} {text} {within}".rstrip()
    fingerprint = hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:32]
    found: dict[str, Json] = {
        "ruleId": rule.name,
        "ruleIndex": number,
        "level": rule.level,
        "message": {"text": text},
        "partialFingerprints": {"meaning/v1": fingerprint},
    }
    return found | {"locations": list(locations)} if locations else found


def sarif_location(path: str, region: Mapping[str, int]) -> dict[str, Json]:
    """A place: `region` has `startLine` and so on, counted from 1."""
    return {"physicalLocation": {"artifactLocation": sarif_artifact(path), "region": dict(region)}}


def sarif_artifact(path: str) -> Json:
    """A file."""
    return {"uri": quote(path, errors="surrogatepass")}
