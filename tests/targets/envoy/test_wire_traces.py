"""Traces on real Envoys, with a stub collector that speaks OTLP over gRPC."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from envoy_lab import Lab, RunLab, seen_headers, status
from meshc.engine.http_server import Headers, HttpRequest, HttpResponse, serve_http

pytestmark = pytest.mark.slow

COLLECTOR: Final = ("10.0.5.1", 4317)
BATCH: Final = 5
"""How many spans Envoy sends at once; fewer wait for some seconds."""

PROGRAM: Final = """
mesh shop { trust-domain "mesh.local" }
namespace shop
service web in shop
service cart in shop { port 80 http target 8080 }
service quiet in shop { port 80 http target 8081 }
service part in shop { port 80 http target 8082 }
service lost in shop { port 80 http target 8083 }
access namespace shop { allow authenticated }
access cart { deny anyone to /no }
telemetry mesh { trace 100% to otlp "10.0.5.1:4317" }
telemetry quiet { trace 0% to otlp "10.0.5.1:4317" }
telemetry part { trace 12.5% to otlp "10.0.5.1:4317" }
telemetry lost { trace 100% to otlp "10.0.5.9:4317" }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    service: str
    name: str
    kind: int
    trace: str
    own: str
    parent: str
    path: str
    status: str


SERVER, CLIENT = 2, 3


def decoded(body: bytes) -> list[Span]:
    """The spans of one request to a collector. The field that holds them was renamed, and kept its number."""
    message = trace_service_pb2.ExportTraceServiceRequest()
    message.ParseFromString(body[5:])
    found = []
    for resource in message.resource_spans:
        service = next(one.value.string_value for one in resource.resource.attributes if one.key == "service.name")
        for scope in getattr(resource, resource.DESCRIPTOR.fields_by_number[2].name):
            for span in scope.spans:
                tags = {one.key: one.value.string_value for one in span.attributes}
                found.append(
                    Span(
                        service=service,
                        name=span.name,
                        kind=span.kind,
                        trace=span.trace_id.hex(),
                        own=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        path=tags["http.url"].partition("://")[2],
                        status=tags["http.status_code"],
                    )
                )
    return found


@asynccontextmanager
async def collector() -> AsyncIterator[list[Span]]:
    """A collector; the list grows as spans arrive."""
    spans: list[Span] = []

    async def answer(request: HttpRequest) -> HttpResponse:
        assert request.path == b"/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        spans.extend(decoded(request.body))
        headers: Headers = ((b"content-type", b"application/grpc"),)
        return HttpResponse(status=200, headers=headers, body=b"\0\0\0\0\0", trailers=((b"grpc-status", b"0"),))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_http(reader, writer, answer)

    server = await asyncio.start_server(serve, *COLLECTOR)
    try:
        yield spans
    finally:
        server.close()


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(8):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def parent(trace: str, *, sampled: bool) -> Headers:
    return ((b"traceparent", f"00-{trace}-b7ad6b7169203331-{int(sampled):02}".encode()),)


def test_spans(run_lab: RunLab) -> None:
    """The caller's span is the parent of the server's; what a collector does not take harms nobody."""

    async def scenario(lab: Lab) -> None:
        async with collector() as spans:
            answers = [await lab.get(lab.outbound("web"), f"/{number}", host="cart") for number in range(BATCH - 1)]
            refused = await lab.get(lab.outbound("web"), "/no", host="cart")
            assert (status(refused), {status(one) for one in answers}) == (403, {200})
            await until(lambda: len(spans) == 2 * BATCH)
            clients = {span.own: span for span in spans if span.kind == CLIENT}
            servers = [span for span in spans if span.kind == SERVER]
            assert (len(clients), len(servers)) == (BATCH, BATCH)
            assert {(span.service, span.name) for span in clients.values()} == {("web.shop", "shop.cart:80")}
            assert {(span.service, span.name) for span in servers} == {("cart.shop", "shop.cart:80")}
            for span in servers:
                calling = clients[span.parent]
                assert (calling.trace, calling.path, calling.status) == (span.trace, span.path, span.status)
                assert not calling.parent
            seen = [seen_headers(one)["traceparent"].split("-") for one in answers]
            by_own = {span.own: span for span in servers}
            assert all(by_own[own].trace == trace and flags == "01" for _, trace, own, flags in seen)
            assert sorted(span.status for span in servers) == ["200"] * (BATCH - 1) + ["403"]

            for _ in range(BATCH + 1):
                answer = await lab.get(lab.inbound("lost", 80, caller="web"), "/")
                assert seen_headers(answer)["traceparent"].endswith("-01")
        for _ in range(BATCH + 1):
            assert status(await lab.get(lab.outbound("web"), "/", host="cart")) == 200

    run_lab(PROGRAM, scenario)


def test_sampling(run_lab: RunLab) -> None:
    """The share is exact, nobody can force a trace but by beginning one, and those who began it decide for all."""

    async def scenario(lab: Lab) -> None:
        quiet, cart = lab.inbound("quiet", 80, caller="web"), lab.inbound("cart", 80, caller="web")
        async with collector() as spans:
            for headers in (
                (),
                ((b"x-request-id", b"6ae2445f-6fe1-9ac7-94c9-42f8656fd2dd"),),
                ((b"x-request-id", b"6ae2445f-6fe1-aac7-94c9-42f8656fd2dd"),),
                ((b"x-request-id", b"00000000-0000-4000-8000-000000000000"),),
                ((b"x-envoy-force-trace", b"true"),),
                ((b"x-client-trace-id", b"abc"), (b"x-request-id", b"6ae2445f-6fe1-4ac7-94c9-42f8656fd2dd")),
                ((b"x-b3-sampled", b"1"), (b"x-b3-flags", b"1")),
                parent("1" * 32, sampled=False),
            ):
                seen = seen_headers(await lab.get(quiet, "/", headers=headers))
                assert seen["traceparent"].endswith("-00"), headers
                given = dict(headers).get(b"x-request-id")
                assert given is None or seen["x-request-id"] == given.decode()
            for _ in range(BATCH):
                seen = seen_headers(await lab.get(quiet, "/", headers=parent("2" * 32, sampled=True)))
                assert seen["traceparent"].startswith("00-" + "2" * 32)
                assert seen["traceparent"].endswith("-01")
                await lab.get(cart, "/", headers=parent("3" * 32, sampled=False))
            await until(lambda: len(spans) >= BATCH)
            assert {span.trace for span in spans} == {"2" * 32}

            peer = lab.inbound("part", 80, caller="web")
            flags = [seen_headers(await lab.get(peer, "/"))["traceparent"][-2:] for _ in range(400)]
            # Six standard deviations to either side.
            assert 10 <= flags.count("01") <= 90

    run_lab(PROGRAM, scenario)
