"""Check an emitted bootstrap for what Envoy accepts in silence and then does not enforce.

`envoy --mode validate` lets all of this pass. A violation is a fault of the emitter, never of a program, so it is an
InternalError. Source: the list of silently accepted configurations in Envoy 1.40, each seen on a real one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from meshc.errors import InternalError
from meshc.target import Json

_HTTP_RBAC: Final = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
_RBAC_OVERRIDE: Final = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
_MANAGER: Final = ".HttpConnectionManager"
_ROUTER: Final = ".router.v3.Router"
_LIMIT: Final = ".LocalRateLimit"
_SERVER_TLS: Final = ".DownstreamTlsContext"

Fields = Mapping[str, Json]


def check(bootstrap: Fields) -> None:
    """Raise InternalError for the first violation."""
    for violation in violations(bootstrap):
        raise InternalError(f"emitted an Envoy bootstrap that would not be enforced: {violation}")


def violations(bootstrap: Fields) -> Iterator[str]:
    """Everything wrong with a bootstrap, one line each."""
    resources = _fields(bootstrap.get("static_resources"))
    listeners = _items(resources.get("listeners"))
    clusters = _items(resources.get("clusters"))
    for kind, named in (("listener", listeners), ("cluster", clusters)):
        yield from _repeated(f"{kind} name", (str(one.get("name")) for one in named))
    yield from _repeated("address", (str(address) for one in listeners for address in _addresses(one)))
    known = {str(cluster.get("name")) for cluster in clusters}
    for node in _nodes(bootstrap):
        for weighted in _items(_fields(node.get("weighted_clusters")).get("clusters")):
            if weighted.get("name") not in known:
                yield f"no cluster is called `{weighted.get('name')}`"
        if "@type" in node:
            yield from _message(node)
        if "authenticated" in node or "san_type" in node:
            yield from _identity_prefix(node)
        if isinstance(cluster := node.get("cluster"), str) and "id" not in node and cluster not in known:
            yield f"no cluster is called `{cluster}`"
        if "lb_policy" in node and "load_balancing_policy" in node:
            yield f"cluster `{node.get('name')}` has two load balancing policies"


def _message(message: Fields) -> Iterator[str]:
    kind = str(message["@type"])
    if kind.endswith(_SERVER_TLS):
        yield from _server_tls(message)
    elif kind.endswith(_MANAGER):
        yield from _manager(message)
    elif kind.endswith(_LIMIT) and not {"filter_enabled", "filter_enforced"} <= message.keys():
        yield f"the rate limit `{message.get('stat_prefix')}` counts or enforces nothing"


def _server_tls(context: Fields) -> Iterator[str]:
    if context.get("require_client_certificate") is not True:
        yield "a TLS listener asks for no client certificate"
    common = _fields(context.get("common_tls_context"))
    direct = _fields(common.get("validation_context"))
    from_sds = _fields(common.get("combined_validation_context")).get("validation_context_sds_secret_config")
    if not ("trusted_ca" in direct or "custom_validator_config" in direct or from_sds):
        # Without a root of trust Envoy asks for no certificate at all.
        yield "a TLS listener has nothing to verify certificates with"


def _identity_prefix(node: Fields) -> Iterator[str]:
    prefix = _fields(_fields(node.get("authenticated")).get("principal_name")).get("prefix")
    if node.get("san_type") == "URI":
        prefix = _fields(node.get("matcher")).get("prefix")
    if isinstance(prefix, str) and not prefix.endswith("/"):
        yield f"the identity prefix `{prefix}` does not end in `/`"


def _manager(manager: Fields) -> Iterator[str]:
    if "internal_address_config" in manager:
        yield "`internal_address_config` makes peers trusted"
    filters = _items(manager.get("http_filters"))
    kinds = {str(one.get("name")): str(_fields(one.get("typed_config")).get("@type")) for one in filters}
    yield from _repeated("HTTP filter name", (str(one.get("name")) for one in filters))
    if not filters or not str(_fields(filters[-1].get("typed_config")).get("@type")).endswith(_ROUTER):
        yield "the last HTTP filter is not the router"
    hosts = _items(_fields(manager.get("route_config")).get("virtual_hosts"))
    yield from _repeated("virtual host name", (str(host.get("name")) for host in hosts))
    yield from _repeated("domain", (domain.lower() for host in hosts for domain in _texts(host.get("domains"))))
    for host in hosts:
        for domain in _texts(host.get("domains")):
            if "*" in domain[1:-1]:
                yield f"the wildcard in `{domain}` is none"
        yield from _overrides(host, kinds)
        for route in _items(host.get("routes")):
            yield from _overrides(route, kinds)
            for weighted in _items(_fields(_fields(route.get("route")).get("weighted_clusters")).get("clusters")):
                yield from _overrides(weighted, kinds)
            prefix = _fields(route.get("match")).get("prefix")
            if isinstance(prefix, str) and not prefix.startswith("/"):
                yield f"the route prefix `{prefix}` matches nothing"


def _overrides(owner: Fields, kinds: Mapping[str, str]) -> Iterator[str]:
    """A per-route configuration for a filter that is not in the chain, or of another type, is ignored."""
    for name, config in _fields(owner.get("typed_per_filter_config")).items():
        if name not in kinds:
            yield f"a route configures the filter `{name}`, which is not in the chain"
        elif _fields(config).get("@type") != (_RBAC_OVERRIDE if kinds[name] == _HTTP_RBAC else kinds[name]):
            yield f"a route configures the filter `{name}` with another filter's type"


def _addresses(listener: Fields) -> Iterator[Json]:
    yield listener.get("address")
    for additional in _items(listener.get("additional_addresses")):
        yield additional.get("address")


def _repeated(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"the {what} `{name}` stands {count} times"


_TELLING: Final = frozenset(
    {"weighted_clusters", "@type", "authenticated", "san_type", "cluster", "lb_policy", "load_balancing_policy"}
)


def _nodes(root: Fields) -> list[Fields]:
    """Every mapping inside a bootstrap that has a field to look at. Bootstraps are made of `dict` and `list` alone."""
    found: list[Fields] = []
    waiting: list[Json] = [root]
    while waiting:
        value = waiting.pop()
        if type(value) is dict:
            if not _TELLING.isdisjoint(value):
                found.append(value)
            waiting.extend([inner for inner in value.values() if type(inner) is dict or type(inner) is list])
        elif type(value) is list:
            waiting.extend([inner for inner in value if type(inner) is dict or type(inner) is list])
    return found


def _fields(value: Json) -> Fields:
    return value if type(value) is dict else {}


def _items(value: Json) -> list[Fields]:
    return [item for item in value if type(item) is dict] if type(value) is list else []


def _texts(value: Json) -> list[str]:
    return [item for item in value if type(item) is str] if type(value) is list else []
