"""Matches of a port -> HTTPRoutes on its Server, within the sizes of the Gateway API."""

from collections.abc import Iterator, Sequence

from meshc.kubernetes import metadata, object_name
from meshc_linkerd.authorizations import digest
from meshc_linkerd.clients import Clients
from meshc_linkerd.resources.gateway import (
    MATCHES_OF_RULE,
    RULES_OF_ROUTE,
    HttpMatch,
    HttpRoute,
    HttpRouteSpec,
    HttpRule,
    ParentRef,
)
from meshc_linkerd.resources.policy import GROUP
from meshc_linkerd.servers import PodPort

_MATCHES_OF_ROUTE = (RULES_OF_ROUTE - 1) * MATCHES_OF_RULE


def inbound_routes(
    pod_port: PodPort,
    hostname: str | None,
    clients: tuple[Clients, ...],
    matches: Sequence[HttpMatch],
    anchors: tuple[str, ...],
) -> Iterator[HttpRoute]:
    """As many HTTPRoutes as the matches need. Their names follow from who is let in, not from how many there are."""
    parent = ParentRef(group=GROUP, kind="Server", name=pod_port.name)
    said = (hostname or "", *map(_said, clients))
    stem = f"{pod_port.name}-inbound-{digest(*said) if any(said) else 'nobody'}"
    for number, start in enumerate(range(0, len(matches), _MATCHES_OF_ROUTE)):
        some = tuple(matches[start : start + _MATCHES_OF_ROUTE])
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
