"""Names, labels and annotations of emitted objects: stable under edits elsewhere, and traceable to the program."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from meshc.ir import Rule
from meshc.kubernetes.models import Metadata
from meshc.source import BUILTIN, Span

MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "meshc"}
SOURCE: Final = "meshc.dev/source"
_LONGEST: Final = 63
_NOT_SAFE: Final = re.compile(r"[^a-z0-9-]+")


def object_name(*parts: str) -> str:
    """A DNS label made of the parts, joined by hyphens; one that would be longer than 63 ends in a hash of the whole."""
    whole = "-".join(parts)
    safe = _NOT_SAFE.sub("-", whole.lower()).strip("-")
    if safe == whole and len(safe) <= _LONGEST:
        return safe
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{safe[: _LONGEST - 9].rstrip('-')}-{digest}".lstrip("-")


def span_anchor(span: Span, block: str) -> str:
    """The place of a block without its line, which every edit shifts: `policies/shop.mesh#traffic-payments`."""
    return f"{span.path}#{block}"


def rule_anchor(rule: Rule) -> str:
    """The place of the block that an access rule stands in: `policies/shop.mesh#access-bank.payments`."""
    scope = rule.identifier.partition(".")[2].rpartition(".")[0]
    return span_anchor(rule.span, f"access-{scope}")


def metadata(
    name: str, namespace: str, anchors: Iterable[str], annotations: Mapping[str, str] | None = None
) -> Metadata:
    """Metadata with meshc's label, and an annotation of where in the program the object comes from."""
    places = ", ".join(sorted({one for one in anchors if not one.startswith(f"{BUILTIN.path}#")}))
    sources = {SOURCE: places} if places else {}
    noted = {**(annotations or {}), **sources}
    return Metadata(
        name=name,
        namespace=namespace,
        labels=MANAGED_BY,
        annotations=dict(sorted(noted.items())) or None,
    )
