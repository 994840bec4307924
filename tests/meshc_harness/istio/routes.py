"""The callers' side: the first route of a VirtualService that matches, and where it leads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import re2

from meshc_harness.istio.objects import Cluster, Object, require, shown
from meshc_harness.istio.requests import RawRequest

Backend = tuple[str, int, str | None]
"""Host, port and subset."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """Where a request goes, each destination with its share of 1; or the status that the caller's sidecar itself answers."""

    backends: Mapping[Backend, float]
    status: int | None = None
    timeout: str | None = None
    retries: int = 2
    route: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Routes:
    """The outbound sidecars of a cluster."""

    cluster: Cluster

    def send(self, host: str, port: int, request: RawRequest) -> Sent:
        """What a caller's sidecar does with a request to a host and port."""
        service = next((one for one in self.cluster.all("VirtualService") if host in one["spec"]["hosts"]), None)
        if service is None:
            return Sent(backends={(host, port, None): 1.0})
        for route in service["spec"].get("http", ()):
            matches = route.get("match")
            if matches is None or any(_matches(match, port, request) for match in matches):
                return self._sent(service, route)
        return Sent(backends={}, status=404)

    def _sent(self, service: Object, route: Object) -> Sent:
        if "redirect" in route:
            return Sent(backends={}, status=int(route["redirect"].get("redirectCode", 301)), route=route)
        if "directResponse" in route:
            return Sent(backends={}, status=int(route["directResponse"]["status"]), route=route)
        total = sum(one.get("weight", 1) for one in route["route"])
        shares: dict[Backend, float] = {}
        for one in route["route"]:
            target = one["destination"]
            self._check_subset(service, target)
            key = (target["host"], target["port"]["number"], target.get("subset"))
            shares[key] = shares.get(key, 0.0) + one.get("weight", 1) / total
        return Sent(backends=shares, timeout=route.get("timeout"), retries=route["retries"]["attempts"], route=route)

    def _check_subset(self, service: Object, target: Mapping[str, Any]) -> None:
        if "subset" in target:
            rules = [one for one in self.cluster.all("DestinationRule") if one["spec"]["host"] == target["host"]]
            names = {subset["name"] for one in rules for subset in one["spec"].get("subsets", ())}
            require(target["subset"] in names, f"{shown(service)}: no subset {target['subset']} of {target['host']}")


def _matches(match: Mapping[str, Any], port: int, request: RawRequest) -> bool:
    headers = {name: request.header(name) for name in (*match.get("headers", {}), *match.get("withoutHeaders", {}))}
    return (
        match.get("port", port) == port
        and _holds(match.get("uri"), request.path)
        and _holds(match.get("method"), request.method or "")
        and _holds(match.get("authority"), request.host)
        and all(any(_holds(test, text) for text in headers[name]) for name, test in match.get("headers", {}).items())
        and not any(
            any(_holds(test, text) for text in headers[name]) for name, test in match.get("withoutHeaders", {}).items()
        )
        and all(
            name in request.query and _holds(test, request.query[name])
            for name, test in match.get("queryParams", {}).items()
        )
        and match.get("sourceNamespace", request.namespace) == request.namespace
        and match.get("sourceLabels", {}).items() <= request.labels.items()
    )


def _holds(test: Mapping[str, str] | None, text: str) -> bool:
    """A test of a text; one without a form is a test for presence."""
    if not test:
        return True
    if "exact" in test:
        return text == test["exact"]
    if "prefix" in test:
        return text.startswith(test["prefix"])
    return re2.fullmatch(test["regex"], text) is not None
