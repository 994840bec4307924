"""The callers' side: which route of a Service a request takes, and where it leads."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshc_harness.linkerd.matching import Precedence, RawRequest, best, matches_of
from meshc_harness.linkerd.objects import Cluster, Object, name_of, require, shown

Backend = tuple[str, str, int]
"""Namespace, name and port of a Service."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """Where a request goes, each backend with its share of 1; or the status that the caller's proxy itself answers."""

    backends: Mapping[Backend, float]
    status: int | None = None
    redirect: Mapping[str, object] | None = None
    timeout: str | None = None
    retries: int = 0
    retry_on: str = ""
    request_headers: Mapping[str, object] | None = None
    response_headers: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Outbound:
    """The outbound proxies of a cluster; routes of the Service's own namespace are for every caller."""

    cluster: Cluster
    order: Precedence

    def send(self, namespace: str, service: str, port: int, request: RawRequest) -> Sent:
        """What the caller's proxy does with an HTTP request to a port of a Service."""
        parent = {"group": "", "kind": "Service", "name": service, "port": port}
        listed = {kind: list(self.cluster.routes_of(kind, parent, namespace)) for kind in ("GRPCRoute", "HTTPRoute")}
        for route in (*listed["GRPCRoute"], *listed["HTTPRoute"]):
            require(name_of(route)[0] == namespace, f"{shown(route)}: only for callers of its own namespace")
        require(
            not (listed["GRPCRoute"] and listed["HTTPRoute"]), f"HTTP routes of {service} are ignored beside gRPC ones"
        )
        routes = listed["GRPCRoute"] or listed["HTTPRoute"]
        if not routes:
            return Sent(backends={(namespace, service, port): 1.0})
        winners = best(matches_of(routes, request, self.order))
        if not winners:
            return Sent(backends={}, status=404)
        found = [self._sent(match.route, match.rule) for match in winners]
        require(all(one == found[0] for one in found), f"{[shown(match.route) for match in winners]} tie")
        return found[0]

    def _sent(self, route: Object, rule: Object) -> Sent:
        filters = {one["type"]: one for one in rule.get("filters", ())}
        notes = route["metadata"].get("annotations", {})
        if redirect := filters.get("RequestRedirect"):
            fields = redirect["requestRedirect"]
            return Sent(backends={}, status=int(fields.get("statusCode", 302)), redirect=fields)
        request = filters.get("RequestHeaderModifier", {}).get("requestHeaderModifier")
        response = filters.get("ResponseHeaderModifier", {}).get("responseHeaderModifier")
        # Each family of routes reads its own conditions, and passes the other's over.
        words = "retry.linkerd.io/grpc" if route["kind"] == "GRPCRoute" else "retry.linkerd.io/http"
        on = notes.get(words, "")
        limit = int(notes.get("retry.linkerd.io/limit", 1 if on else 0))
        require(" " not in on, f"{shown(route)}: blanks in {on}")
        return Sent(
            backends=self._shares(route, rule),
            timeout=notes.get("timeout.linkerd.io/request") or rule.get("timeouts", {}).get("request"),
            retries=limit if on else 0,
            retry_on=on,
            request_headers=request,
            response_headers=response,
        )

    def _shares(self, route: Object, rule: Object) -> Mapping[Backend, float]:
        refs = rule.get("backendRefs") or ()
        require(refs, f"{shown(route)}: no backend")
        require(len(refs) == 1 or all(ref.get("weight", 1) > 0 for ref in refs), f"{shown(route)}: weight 0")
        require(len(refs) > 1 or refs[0].get("weight", 1) > 0, f"{shown(route)}: the weight of one backend is ignored")
        total = sum(ref.get("weight", 1) for ref in refs)
        shares: dict[Backend, float] = {}
        for ref in refs:
            key = (str(ref.get("namespace", name_of(route)[0])), str(ref["name"]), int(ref["port"]))
            shares[key] = shares.get(key, 0.0) + ref.get("weight", 1) / total
        return shares
