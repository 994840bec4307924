"""Real manifests: every service, port, account, probe and version of two public applications, by tables written by hand."""

from collections.abc import Iterator
from datetime import date

import pytest

from corpus import corpus_file
from meshc import ast
from meshc.frontend import analyze
from meshc.inventory import Inventory, read_inventory
from meshc.parse import parse
from meshc.resolve import Module
from meshc.source import SourceFile

BOUTIQUE = "online-boutique/kubernetes-manifests.yaml"
BOOKINFO = "bookinfo/platform/kube/bookinfo.yaml"

TABLES = {
    BOUTIQUE: [
        # name, ports, account, app label, probes, versions
        ("frontend", "80 http 8080 http", "frontend", "frontend", "GET /_healthz 8080", ""),
        ("frontend-external", "80 http 8080 http", "frontend", "frontend", "GET /_healthz 8080", ""),
        ("adservice", "9555 grpc 9555 grpc", "adservice", "adservice", "GRPC 9555", ""),
        ("currencyservice", "7000 grpc 7000 grpc", "currencyservice", "currencyservice", "GRPC 7000", ""),
        ("cartservice", "7070 grpc 7070 grpc", "cartservice", "cartservice", "GRPC 7070", ""),
        ("redis-cart", "6379 tcp 6379 tcp-redis", "default", "redis-cart", "TCP 6379", ""),
        (
            "recommendationservice",
            "8080 grpc 8080 grpc",
            "recommendationservice",
            "recommendationservice",
            "GRPC 8080",
            "",
        ),
        ("checkoutservice", "5050 grpc 5050 grpc", "checkoutservice", "checkoutservice", "GRPC 5050", ""),
        ("emailservice", "5000 grpc 8080 grpc", "emailservice", "emailservice", "GRPC 8080", ""),
        ("paymentservice", "50051 grpc 50051 grpc", "paymentservice", "paymentservice", "GRPC 50051", ""),
        ("shippingservice", "50051 grpc 50051 grpc", "shippingservice", "shippingservice", "GRPC 50051", ""),
        (
            "productcatalogservice",
            "3550 grpc 3550 grpc",
            "productcatalogservice",
            "productcatalogservice",
            "GRPC 3550",
            "",
        ),
        ("loadgenerator", "", "loadgenerator", "loadgenerator", "", ""),
    ],
    BOOKINFO: [
        ("details", "9080 http - http", "bookinfo-details", "details", "", "v1"),
        ("ratings", "9080 http - http", "bookinfo-ratings", "ratings", "", "v1"),
        ("reviews", "9080 http - http", "bookinfo-reviews", "reviews", "", "v1 v2 v3"),
        ("productpage", "9080 http - http", "bookinfo-productpage", "productpage", "", "v1"),
    ],
}


def read(path: str) -> tuple[SourceFile, Inventory]:
    source = SourceFile(path, corpus_file(path).read_text(encoding="utf-8"))
    return source, read_inventory([source])


def row(service: ast.Service) -> tuple[str, ...]:
    ports: list[str] = []
    accounts: list[str] = []
    labels: list[str] = []
    probes: list[str] = []
    versions: list[str] = []
    for item in service.items:
        match item:
            case ast.Port(number=ast.Quantity(text=number), target=target, name=name):
                shown = target.text if isinstance(target, ast.Quantity) else "-"
                ports.append(f"{number} {item.protocol.text} {shown} {name.text if name else '-'}")
            case ast.ServiceAccount():
                accounts.append(item.name.text)
            case ast.Labels():
                labels.extend(
                    value.value for key, value in item.pairs if key.text == "app" and isinstance(value, ast.String)
                )
            case ast.Probe(port=ast.Quantity(text=number), path=path):
                probes.append(f"{item.method.text}{f' {path.text}' if isinstance(path, ast.Path) else ''} {number}")
            case ast.Version():
                versions.append(item.name.text)
            case _:
                pytest.fail(f"unexpected {item}")
    return service.name.text, *map(" ".join, (ports, accounts, labels, probes, versions))


@pytest.mark.parametrize("path", TABLES)
def test_every_service_is_read_as_it_is_written(path: str) -> None:
    _, inventory = read(path)
    services = [one for one in inventory.declarations if isinstance(one, ast.Service)]
    assert [row(one) for one in services] == TABLES[path]
    assert {one.namespace.text for one in services} == {"default"}
    assert [one.name.text for one in inventory.declarations if isinstance(one, ast.Namespace)] == ["default"]
    assert inventory.diagnostics == ()


@pytest.mark.parametrize("path", TABLES)
def test_names_and_numbers_are_found_at_their_places(path: str) -> None:
    source, inventory = read(path)
    for service in inventory.declarations:
        if isinstance(service, ast.Service):
            for text, start, end in leaves(service):
                assert source.text[start:end].strip("\"'") == text


def leaves(service: ast.Service) -> Iterator[tuple[str, int, int]]:
    yield service.name.text, service.name.span.start, service.name.span.end
    for item in service.items:
        match item:
            case ast.Port(number=ast.Quantity() as number, target=target):
                yield number.text, number.span.start, number.span.end
                if isinstance(target, ast.Quantity):
                    yield target.text, target.span.start, target.span.end
            case ast.Version():
                yield item.name.text, item.span.start, item.span.end
            case ast.Probe(path=ast.Path() as path):
                yield path.text, path.span.start, path.span.end
            case ast.ServiceAccount() if item.name.text != "default":
                yield item.name.text, item.span.start, item.span.end
            case _:
                pass


@pytest.mark.parametrize("path", TABLES)
def test_the_declarations_make_a_mesh(path: str) -> None:
    _, inventory = read(path)
    file = parse(SourceFile("shop.mesh", "mesh shop {}\naccess namespace default { allow anyone }\n"))
    analysis = analyze(
        {"shop.mesh": Module(file=file.file, imports={})},
        inventory.declarations,
        {},
        environment=None,
        today=date(2026, 1, 1),
        earlier=file.diagnostics,
    )
    assert analysis.mesh is not None, analysis.diagnostics
    assert sorted(workload.name for workload in analysis.mesh.workloads) == sorted(one[0] for one in TABLES[path])
