"""Marks: the metadata is there if the condition held, and only then; every request and connection passes."""

import asyncio
import json
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import pytest

from envoy_lab import Lab, RunLab
from meshc import ir
from meshc.engine.exchange import Answered, Http1Request, Peer, Plaintext
from meshc.engine.http_server import Headers
from meshc.engine.processes import Sidecar
from meshc.target import Json
from meshc_envoy.marks import HTTP_METADATA, NETWORK_METADATA, mark_filter, mark_key, network_mark_filter
from meshc_envoy.shapes import Object, extension, socket_address

ADDRESS: Final = "10.0.9.1"
NETWORK: Final = "envoy.extensions.filters.network"
NEAR: Final = ir.AddressIn(ir.AddressOf.PEER, (ip_network("10.1.0.0/16"),))
CONDITIONS: Final[dict[str, ir.Condition]] = {
    "always": ir.ALWAYS,
    "never": ir.AnyOf(()),
    "near": NEAR,
    "path": ir.PathIs(ir.ExactPath("/a")),
    "other-path": ir.Not(ir.PathIs(ir.ExactPath("/a"))),
    "both": ir.AllOf((ir.HeaderIs("x-a", ir.Equals("1")), ir.MethodIs(("GET",)))),
    "mixed": ir.AnyOf((ir.HeaderIs("x-a", ir.Equals("1")), NEAR)),
    "joined": ir.HeaderIs("origin", ir.Equals("x")),
    "not-joined": ir.Not(ir.HeaderIs("origin", ir.Equals("x"))),
}
CONNECTIONS: Final[dict[str, ir.Condition]] = {
    "always": ir.ALWAYS,
    "never": ir.AnyOf(()),
    "near": NEAR,
    "far": ir.Not(NEAR),
    "near-and-named": ir.AllOf((NEAR, ir.SniIs(ir.IsPresent()))),
    "near-or-named": ir.AnyOf((NEAR, ir.SniIs(ir.IsPresent()))),
}


def bootstrap() -> Object:
    """An Envoy whose answers tell the metadata of their request; and a listener that logs that of connections."""
    shown: Json = {"header": {"key": "x-metadata", "value": f"%DYNAMIC_METADATA({HTTP_METADATA})%"}}
    route: Json = {"match": {"prefix": "/"}, "direct_response": {"status": 200}, "response_headers_to_add": [shown]}
    manager = extension(
        "manager",
        f"{NETWORK}.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="marks",
        http_filters=[
            *(mark_filter(name, condition) for name, condition in CONDITIONS.items()),
            extension("router", "envoy.extensions.filters.http.router.v3.Router"),
        ],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    )
    line: Json = {"text_format_source": {"inline_string": f"%DYNAMIC_METADATA({NETWORK_METADATA})%\n"}}
    log = extension("log", "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", log_format=line)
    marks = [network_mark_filter(name, condition, f"marks.{name}") for name, condition in CONNECTIONS.items()]
    echo = extension("echo", f"{NETWORK}.echo.v3.Echo")
    requests: Object = {"name": "requests", "address": socket_address(ADDRESS, 80)}
    connections: Object = {"name": "connections", "address": socket_address(ADDRESS, 81), "access_log": [log]}
    return {
        "static_resources": {
            "listeners": [
                requests | {"filter_chains": [{"filters": [manager]}]},
                connections | {"filter_chains": [{"filters": [*marks, echo]}]},
            ]
        }
    }


def held(metadata: str | bytes, known: dict[str, ir.Condition]) -> set[str]:
    """The marks in the metadata; each filter says that it was asked, and nothing else is there."""
    found: dict[str, str] = json.loads(metadata)
    assert {key for key in found if key.endswith(".shadow_engine_result")} == {
        f"{name}.shadow_engine_result" for name in known
    }
    marks = {key for key in found if not key.endswith(".shadow_engine_result")}
    assert marks <= {mark_key(name) for name in known}
    return {name for name in known if mark_key(name) in marks}


async def requested(lab: Lab, path: str, *headers: tuple[bytes, bytes], source: str = "10.1.2.3") -> set[str]:
    lines: Headers = headers
    request = Http1Request(method=b"GET", path=path.encode(), host=b"a", headers=lines)
    peer = Peer(address=ADDRESS, port=80, source=source, security=Plaintext())
    answer = await lab.send(request, peer)
    assert isinstance(answer, Answered), answer
    assert answer.status == 200
    return held(answer.header(b"x-metadata") or b"", CONDITIONS)


def lines_of(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


async def connect(source: str) -> None:
    """A connection on which what is sent comes back."""
    reader, writer = await asyncio.open_connection(ADDRESS, 81, local_addr=(source, 0))
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    writer.close()
    await writer.wait_closed()


@pytest.mark.slow
def test_marks(run_lab: RunLab) -> None:
    async def scenario(lab: Lab) -> None:
        file = lab.directory / "marks.json"
        file.write_text(json.dumps(bootstrap()), encoding="utf-8")
        await lab.fleet.start([Sidecar(name="marks", bootstrap=file)])

        usual = {"always", "near", "mixed", "other-path", "not-joined"}
        assert await requested(lab, "/b") == usual
        assert await requested(lab, "/a?b") == usual - {"other-path"} | {"path"}
        assert await requested(lab, "/b", source="10.2.0.1") == usual - {"near", "mixed"}
        both = usual | {"both"}
        assert await requested(lab, "/b", (b"x-a", b"1")) == both
        assert await requested(lab, "/b", (b"X-A", b"2"), (b"x-a", b"1"), source="10.2.0.1") == both - {"near"}
        # A further line neither hides what is counted nor what a `not` counts.
        assert await requested(lab, "/b", (b"origin", b"x")) == usual - {"not-joined"} | {"joined"}
        assert await requested(lab, "/b", (b"origin", b"y"), (b"origin", b"x")) == usual | {"joined"}

        await connect("10.1.2.3")
        await connect("10.2.0.1")
        process = lab.fleet.processes["marks"]
        process.terminate()
        await process.wait()
        near, far = lines_of(process.access_log)
        assert held(near, CONNECTIONS) == {"always", "near", "near-or-named"}
        assert held(far, CONNECTIONS) == {"always", "far"}

    run_lab('mesh m { trust-domain "mesh.local" } namespace n service c in n', scenario)


def test_names() -> None:
    """Each mark has metadata of its own, and nothing of it is enforced."""
    first, second = (mark_filter(name, ir.PathIs(ir.ExactPath("/a"))) for name in ("log-1", "log-2"))
    assert (first["name"], second["name"]) == ("mark-log-1", "mark-log-2")
    config = first["typed_config"]
    assert isinstance(config, dict)
    assert config["shadow_rules_stat_prefix"] == "log-1."
    assert mark_key("log-1") == "log-1.shadow_effective_policy_id"
    assert "rules" not in config
