"""What the tests of the real engine share: a sidecar's bootstrap by hand, and a network of a test's own."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from forked import run_forked
from meshc.engine.authority import Authority, Credentials
from meshc.engine.network import Network
from meshc.engine.processes import Envoy, find_envoy

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

IDENTITIES = "spiffe://mesh.local/"


@pytest.fixture(scope="session")
def envoy() -> Envoy:
    """The real one; without it tests fail, they are not skipped."""
    return find_envoy()


@pytest.fixture
def authority() -> Authority:
    return Authority.create("mesh.local")


@pytest.fixture
def run_isolated(tmp_path: Path) -> Callable[[Callable[[Network], Awaitable[None]]], None]:
    """Run a coroutine in a child process with a network of its own; what it raises fails the test, traceback and all."""

    def run(scenario: Callable[[Network], Awaitable[None]]) -> None:
        run_forked(lambda network: asyncio.run(_call(scenario, network)), tmp_path / "failure.txt")

    return run


async def _call(scenario: Callable[[Network], Awaitable[None]], network: Network) -> None:
    await scenario(network)


@pytest.fixture
def write_bootstrap(tmp_path: Path) -> Callable[..., Path]:
    """A sidecar of one hardened inbound listener: `(name, credentials, (address, port), application_port, protocol)`.

    The protocol is `http` (to the application in HTTP/1.1), `http2` or `tcp`; the admin interface clashes on purpose.
    """

    def write(
        name: str, credentials: Credentials, inbound: tuple[str, int], application_port: int, protocol: str = "http"
    ) -> Path:
        network_filter = _tcp_proxy() if protocol == "tcp" else _http_connection_manager()
        listener: Json = {
            "name": "inbound",
            "address": _socket_address(*inbound),
            "filter_chains": [
                {
                    "transport_socket": {"name": "tls", "typed_config": _downstream_tls(credentials)},
                    "filters": [{"name": "inbound", "typed_config": network_filter}],
                }
            ],
        }
        bootstrap: Json = {
            "node": {"id": name, "cluster": name},
            "admin": {"address": _socket_address("127.0.0.1", 15000)},
            "static_resources": {
                "clusters": [_application(application_port, is_http2=protocol == "http2")],
                "listeners": [listener],
            },
        }
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(bootstrap), encoding="utf-8")
        return path

    return write


def _typed(name: str, **fields: Json) -> Json:
    return {"@type": f"type.googleapis.com/envoy.{name}", **fields}


def _socket_address(address: str, port: int) -> Json:
    return {"socket_address": {"address": address, "port_value": port}}


def _downstream_tls(credentials: Credentials) -> Json:
    return _typed(
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        require_client_certificate=True,
        common_tls_context={
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(credentials.chain)},
                    "private_key": {"filename": str(credentials.key)},
                }
            ],
            "validation_context": {
                "trusted_ca": {"filename": str(credentials.bundle)},
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"prefix": IDENTITIES}}],
            },
        },
    )


def _http_connection_manager() -> Json:
    route: Json = {"match": {"prefix": "/"}, "route": {"cluster": "application", "timeout": "0s"}}
    denied: Json = {"permissions": [{"url_path": {"path": {"prefix": "/admin"}}}], "principals": [{"any": True}]}
    return _typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="inbound",
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        strip_any_host_port=True,
        strip_trailing_host_dot=True,
        use_remote_address=True,
        forward_client_cert_details="SANITIZE_SET",
        set_current_client_cert_details={"uri": True},
        common_http_protocol_options={"headers_with_underscores_action": "REJECT_REQUEST"},
        upgrade_configs=[{"upgrade_type": "websocket"}],
        http_filters=[
            {
                "name": "deny",
                "typed_config": _typed(
                    "extensions.filters.http.rbac.v3.RBAC", rules={"action": "DENY", "policies": {"admin": denied}}
                ),
            },
            {"name": "router", "typed_config": _typed("extensions.filters.http.router.v3.Router")},
        ],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    )


def _tcp_proxy() -> Json:
    # By default tcp_proxy connects to the application before the handshake is done, even for clients that it refuses.
    return _typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="inbound",
        cluster="application",
        upstream_connect_mode="ON_DOWNSTREAM_TLS_HANDSHAKE",
        max_early_data_bytes=0,
    )


def _application(port: int, *, is_http2: bool) -> Json:
    endpoint: Json = {"endpoint": {"address": _socket_address("127.0.0.1", port)}}
    http2: Json = {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _typed(
                "extensions.upstreams.http.v3.HttpProtocolOptions",
                explicit_http_config={"http2_protocol_options": {}},
            )
        }
    }
    assert isinstance(http2, Mapping)
    return {
        "name": "application",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "application", "endpoints": [{"lb_endpoints": [endpoint]}]},
        **(http2 if is_http2 else {}),
    }
