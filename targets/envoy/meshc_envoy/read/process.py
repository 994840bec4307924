"""What of a sidecar stands around its listeners and may still decide for them: runtime, the admin interface, extensions, addresses.

Source: Envoy `Bootstrap`, `Runtime`, "Administration interface"; `envoy.reloadable_features.*` switch what filters do.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final

from meshc_envoy.read.messages import Message
from meshc_envoy.read.notes import Notes

_ADMIN: Final = "nobody but its operators reaches Envoy's admin interface"
_INNOCENT: Final = frozenset({"envoy.bootstrap.internal_listener"})
_REGULAR: Final = frozenset({"re2.max_program_size.error_level", "re2.max_program_size.warn_level"})
_TLS_INSPECTOR: Final = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
_INSPECTED: Final = frozenset({"transport_protocol", "server_names", "application_protocols"})
"""What a filter chain may ask of a connection that is found out of its first bytes."""
_LISTENER_FILTERS: Final = frozenset(
    {
        _TLS_INSPECTOR,
        "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
    }
)
"""Those that only look. Others may say where a connection comes from, or where it was to go."""


def check_process(bootstrap: Message, notes: Notes) -> None:
    """Raises NotUnderstoodError for what may change listeners; what may only be abused is an assumption."""
    runtime = bootstrap.message("layered_runtime")
    for layer in runtime.messages("layers") if runtime is not None else ():
        layer.ignore("name")
        static = layer.message("static_layer")
        if static is not None and not _keys(static) <= _REGULAR:
            raise static.error("what a runtime setting changes is not understood")
        layer.finish()
    if runtime is not None:
        runtime.finish()
    for one in bootstrap.messages("bootstrap_extensions"):
        if one.text("name") not in _INNOCENT:
            raise one.error("what an extension of the process does is not understood")
    admin = bootstrap.message("admin")
    address = None if admin is None else admin.message("address")
    if admin is not None and address is not None and not (address.has("pipe") or is_local(address)):
        notes.assume(_ADMIN, admin.span)


def check_listener_filters(listener: Message) -> None:
    """Raises NotUnderstoodError for a listener filter that does more than to look."""
    for one in listener.messages("listener_filters"):
        kind, _ = one.config()
        if kind not in _LISTENER_FILTERS:
            raise one.error(f"the listener filter `{kind}` is not understood")
        one.finish()


def check_inspection(listener: Message) -> None:
    """Raises NotUnderstoodError if chains are chosen by what nobody looks at: then no connection finds one."""
    kinds = {one.config()[0] for one in listener.messages("listener_filters")}
    matches = [one.message("filter_chain_match") for one in listener.messages("filter_chains")]
    asks = any(one is not None and one.data.keys() & _INSPECTED for one in matches)
    if asks and _TLS_INSPECTOR not in kinds:
        raise listener.error("filter chains are chosen by what no listener filter looks at")


def is_local(address: Message) -> bool:
    """Whether an address is one that this machine alone reaches."""
    host = address.need("socket_address").text("address")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_taken(host: str, port: int, places: Iterable[Message]) -> bool:
    """Whether something that is bound to one of these addresses answers at a host and port of this machine."""
    for place in places:
        socket = place.message("socket_address")
        if socket is None or socket.whole("port_value") != port:
            continue
        bound = socket.text("address")
        if bound in {host, "localhost"} or is_anywhere(bound):
            return True
    return False


def is_anywhere(host: str) -> bool:
    """Whether what is bound to a host is reached at every address of its machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _keys(values: Message, prefix: str = "") -> set[str]:
    """The keys of a runtime layer, nested ones joined by dots."""
    found: set[str] = set()
    for name in values.data:
        is_inner = isinstance(values.data[name], dict | Mapping)
        found |= _keys(values.need(name), f"{prefix}{name}.") if is_inner else {f"{prefix}{name}"}
    return found
