"""Matches of a port -> HTTPRoutes on its Server, within the sizes of the Gateway API."""

from collections.abc import Iterator, Sequence
from typing import Final

from meshc.kubernetes import metadata, object_name
from meshc_linkerd.authorizations import digest
from meshc_linkerd.clients import Clients
from meshc_linkerd.resources.gateway import HttpMatch, HttpRoute, HttpRouteSpec, HttpRule, ParentRef
from meshc_linkerd.resources.policy import GROUP
from meshc_linkerd.servers import PodPort

MATCHES_OF_RULE: Final = 8
"""The most of a rule in the definitions that Linkerd ships (Gateway API 1.1.1); later ones take 64."""
MATCHES_OF_ROUTE: Final = 15 * MATCHES_OF_RULE
"""16 rules are the most, and fewer than 128 matches in all."""


def inbound_routes(
    pod_port: PodPort,
    hostname: str | None,
    clients: tuple[Clients, ...],
    matches: Sequence[HttpMatch],
    anchors: tuple[str, ...],
) -> Iterator[HttpRoute]:
    """As many HTTPRoutes as the matches need. Their names follow from who is let in, not from how many there are."""
    parent = ParentRef(group=GROUP, kind="Server", name=pod_port.name)
    stem = f"{pod_port.name}-inbound-{digest(hostname or '', *map(_said, clients))}"
    for number, start in enumerate(range(0, len(matches), MATCHES_OF_ROUTE)):
        some = tuple(matches[start : start + MATCHES_OF_ROUTE])
        rules = (some[first : first + MATCHES_OF_RULE] for first in range(0, len(some), MATCHES_OF_RULE))
        spec = HttpRouteSpec(
            parent_refs=(parent,),
            hostnames=None if hostname is None else (hostname,),
            rules=tuple(HttpRule(matches=one) for one in rules),
        )
        name = object_name(stem) if number == 0 else object_name(stem, str(number + 1))
        yield HttpRoute(metadata=metadata(name, pod_port.workload.namespace, anchors), spec=spec)


def _said(clients: Clients) -> str:
    networks = [network.model_dump_json() for network in clients.networks or ()]
    return f"{clients.groups} {networks}"
