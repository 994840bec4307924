"""Between the wire's bytes and the evaluator's texts: UTF-8, with every other byte kept as it is, both ways."""

from dataclasses import replace

from meshc.request import Request
from meshc.semantics.facts import Facts
from meshc_proxy.wire.events import RequestHead


def decoded(text: bytes) -> str:
    """The text of some bytes; `encoded` gives them back."""
    return text.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    """The bytes of some text."""
    return text.encode("utf-8", "surrogateescape")


def target_of(facts: Facts) -> bytes:
    """The normalized path with the query as it was sent."""
    query = "" if facts.query_text is None else f"?{facts.query_text}"
    return encoded((facts.path or "/") + query)


def with_head(request: Request, head: RequestHead) -> Request:
    """The request that this head makes of what is known of the connection."""
    return replace(
        request,
        method=decoded(head.method),
        path=decoded(head.path),
        headers=tuple((decoded(name), decoded(value)) for name, value in head.headers),
        host=decoded(head.authority),
    )
