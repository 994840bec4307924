"""Rate limits: EnvoyFilters with local rate limits before the router -> limits of ports.

Source: Istio, Enabling Rate Limits using Envoy; Envoy, `LocalRateLimit`. A filter that is enabled for no requests, as one that does not say
is, does nothing. One behind the rules of access takes no token of what they refuse; one before them is not understood.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import items, mapping
from meshc_istio.read.account import Account
from meshc_istio.read.extensions import is_limit
from meshc_istio.read.fields import Fields, NotReadError
from meshc_istio.read.pod_labels import PodLabels

_MANAGER: Final = "envoy.filters.network.http_connection_manager"
_ROUTER: Final = "envoy.filters.http.router"
_SHARES: Final = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


class Limits:
    """The limits of a mesh, by the namespace and a label of the pods that they are for."""

    def __init__(self, objects: Iterable[ConfigObject], root: str, pods: PodLabels, account: Account) -> None:
        self._pods = pods
        self._root = root
        self._account = account
        self._by_label: dict[tuple[str, tuple[str, str] | None], list[tuple[ConfigObject, int]]] = {}
        for one in objects:
            labels = _labels(one)
            for number, patch in enumerate(items(mapping(one.data.get("spec")).get("configPatches"))):
                if is_limit(patch):
                    key = (one.namespace, min(labels.items()) if labels else None)
                    self._by_label.setdefault(key, []).append((one, number))

    def workload(self, workload: ir.Workload) -> ir.Workload:
        """The service with the limits of its ports."""
        found = list(self._of(workload))
        if not found:
            return workload
        return replace(workload, ports=tuple(self._port(workload, one, found) for one in workload.ports))

    def _of(self, workload: ir.Workload) -> Iterator[tuple[ConfigObject, int]]:
        carried = dict.fromkeys(label for pod in self._pods.variants(workload) for label in pod.items())
        for namespace in dict.fromkeys((self._root, workload.namespace)):
            for label in (None, *carried):
                for one, number in self._by_label.get((namespace, label), ()):
                    if self._pods.are_on_some(_labels(one), workload):
                        yield one, number

    def _port(self, workload: ir.Workload, port: ir.PortPolicy, found: list[tuple[ConfigObject, int]]) -> ir.PortPolicy:
        limits: list[ir.RateLimit] = []
        for one, number in found if port.protocol.is_http else ():
            steps = ("spec", "configPatches", number)
            try:
                patch = items(mapping(one.data.get("spec")).get("configPatches"))[number]
                is_partial = not self._pods.are_on_all(_labels(one), workload)
                limit = _limit(Fields(one, steps, patch), port, is_partial=is_partial)
            except NotReadError as error:
                key = (workload.namespace, workload.name, port.number)
                message = f"`{one.name}`: {error} cannot be said"
                self._account.not_understood(one, error.steps, message, (key,), Aspect.SETTINGS)
            else:
                limits += [] if limit is None else [limit]
        return replace(port, limits=tuple(limits))


def _labels(one: ConfigObject) -> dict[str, str]:
    selector = mapping(mapping(one.data.get("spec")).get("workloadSelector"))
    return {str(key): str(value) for key, value in mapping(selector.get("labels")).items()}


def _limit(patch: Fields, port: ir.PortPolicy, *, is_partial: bool) -> ir.RateLimit | None:
    """The limit that a patch puts on a port; None if it puts none there."""
    if is_partial:
        raise patch.error("a limit for some of the pods alone")
    match, change = patch.fields("match"), patch.fields("patch")
    patch.ignore("applyTo")
    patch.finish()
    if match is None or change is None or match.text("context") != "SIDECAR_INBOUND":
        raise patch.error("a limit of other proxies than the servers'")
    listener = match.fields("listener")
    match.finish()
    if listener is None:
        raise patch.error("a limit that stands before the rules of access")
    number = listener.whole("portNumber")
    if number not in {None, port.target}:
        return None
    _check_place(listener, change)
    value = change.fields("value")
    config = None if value is None else value.fields("typed_config")
    if value is None or config is None:
        raise change.error("a limit without a configuration")
    value.ignore("name")
    value.finish()
    return _bucket(config)


def _check_place(listener: Fields, change: Fields) -> None:
    chain = listener.fields("filterChain")
    listener.finish()
    outer = None if chain is None else chain.fields("filter")
    inner = None if outer is None else outer.fields("subFilter")
    if chain is None or outer is None or inner is None:
        raise listener.error("a limit that stands before the rules of access")
    chain.finish()
    if outer.text("name") != _MANAGER:
        raise outer.error("a limit for a filter that takes no requests, which is put nowhere", "name")
    outer.finish()
    if inner.text("name") != _ROUTER or change.text("operation") != "INSERT_BEFORE":
        raise inner.error("a limit that does not stand right before the router")
    inner.finish()


def _bucket(config: Fields) -> ir.RateLimit | None:
    config.ignore("@type", "stat_prefix")
    enabled, enforced = _is_on(config.fields("filter_enabled")), _is_on(config.fields("filter_enforced"))
    bucket = config.fields("token_bucket")
    config.finish()
    if bucket is None:
        raise config.error("a limit without tokens")
    most, tokens, interval = (
        bucket.whole("max_tokens"),
        bucket.whole("tokens_per_fill"),
        bucket.milliseconds("fill_interval"),
    )
    bucket.finish()
    if most is None or not interval:
        raise bucket.error("a limit without tokens or without time")
    if not (enabled and enforced):
        return None
    return ir.RateLimit(
        tokens=1 if tokens is None else tokens,
        per_ms=interval,
        burst=most,
        per=None,
        condition=ir.ALWAYS,
        span=config.where.span(*config.steps),
    )


def _is_on(share: Fields | None) -> bool:
    """Whether a filter is for all requests, or for none."""
    if share is None:
        return False
    share.ignore("runtime_key")
    value = share.fields("default_value")
    share.finish()
    if value is None:
        return False
    numerator, word = value.whole("numerator") or 0, value.text("denominator") or "HUNDRED"
    value.finish()
    if word not in _SHARES or numerator not in {0, _SHARES[word]}:
        raise value.error("a limit for a share of the requests")
    return numerator > 0
