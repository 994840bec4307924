"""Policies and routes as the tasks of Istio's documentation have people write them: what `meshc import` makes of each.

A sample is equal to its program, or what of it is left out is named with the right reason; and the program is as a person would have
written it.
"""

from pathlib import Path
from typing import Final

import pytest

from meshc.cli import main

SAMPLES: Final = Path(__file__).parent / "samples"
AROUND: Final = ("services.yaml", "mesh-config.yaml")
ASSUMED: Final = {
    "servers' sidecars do not retry by themselves",
    "what a line of a log holds makes no difference",
    "nothing answers with statuses of gRPC on a port that is not `grpc`",
}
"""What of this mesh is taken for granted in every sample."""

HEADERS: Final = "no header that is tested comes in several lines"
SUBJECTS: Final = "every token has a subject"


def imported(name: str, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The status, the messages, and the program, each block on a line."""
    files = [str(SAMPLES / one) for one in (*AROUND, f"{name}.yaml")]
    capsys.readouterr()
    status = main(["import", *files, "--from", "istio", "-o", str(out)])
    written = sorted((out / "policies").glob("*.mesh"))
    lines = "\n".join(one.read_text(encoding="utf-8") for one in written).splitlines()
    plain = " ".join(line.strip() for line in lines if not line.startswith(("#", "##")))
    captured = capsys.readouterr()
    return status, captured.out + captured.err, " ".join(plain.split())


@pytest.mark.parametrize(
    ("name", "blocks", "assumed"),
    [
        (
            "authz-http",
            [
                "access productpage { allow anyone to GET }",
                "access reviews { allow productpage to GET }",
                "access ratings { allow reviews to GET }",
                "namespace foo { default access allow }",
            ],
            set(),
        ),
        ("authz-tcp", ["access tcp-echo { allow anyone }"], set()),
        ("authz-http-on-tcp", ["access tcp-echo:9001 { deny anyone }"], set()),
        (
            "authz-callers",
            [
                'access httpbin { allow curl, namespace shop to GET re"/info.*", POST /data when header "version" in ("v1", "v2") }',
            ],
            {HEADERS, "every identity is that of a service account"},
        ),
        (
            "authz-jwt",
            [
                'access httpbin { allow anyone when issuer == "staff@id.example" and subject == "staff@id.example" and claim "groups" == "group1" }',
                'authenticate httpbin { jwt issuer-1 { issuer "staff@id.example" jwks url "https://id.example/keys" } }',
            ],
            {SUBJECTS, "claims that are tested are single texts, and not empty"},
        ),
        ("authz-jwt-any", ["access httpbin { allow anyone to /headers when issuer is present }"], {SUBJECTS}),
        (
            "authz-deny",
            ['access httpbin { deny anyone to GET when header "x-token" != "admin" allow anyone to /ip }'],
            {HEADERS},
        ),
        ("authz-ingress", ["default access allow"], set()),
        ("peer", ["authenticate httpbin { mtls permissive }"], set()),
        (
            "routing",
            ['{ split reviews@v1 route /** when header "end-user" == "jason" -> reviews@v2 }'],
            set(),
        ),
        (
            "fault",
            [
                'split ratings@v1 route /** when header "end-user" == "jason" { fault delay 7s for 100% }',
                "{ fault abort 500 for 100% }",
            ],
            set(),
        ),
        ("shifting", ["{ split reviews@v1 50%, reviews@v3 50% }"], set()),
        (
            "tcp-shifting",
            ["traffic tcp-echo:9000 { load-balance least-request split tcp-echo@v1 80%, tcp-echo@v2 20% }"],
            set(),
        ),
        ("timeouts", ["timeout 5s retry 3 on 503, connect-failure, refused-stream { per-try 1s } split reviews@v2"], set()),
        ("mirroring", ["{ mirror 100% to reviews@v2 split reviews@v1 }"], set()),
        (
            "locality",
            [
                "circuit-breaker { requests 10 } outlier-detection { consecutive-5xx 1 interval 1s ejection 1m }",
                'locality prefer locality failover "region1" -> "region2"',
            ],
            set(),
        ),
        (
            "egress",
            [
                'external search in foo { host "search.example" port 443 tls }',
                'external httpbin-ext in foo { host "api.example" port 80 http }',
                "traffic httpbin-ext uses mesh-defaults { timeout 3s }",
            ],
            {"no path that leaves the mesh holds `%00`, `%2F` or `%5C`"},
        ),
        ("telemetry", ["telemetry mesh { access-log text }"], set()),
    ],
)  # fmt: skip
def test_equal(
    name: str, blocks: list[str], assumed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said, program = imported(name, tmp_path / "out", capsys)
    assert status == 0, said
    verdict = next(line for line in said.splitlines() if line.startswith("equal"))
    assert set(verdict.removeprefix("equal, assuming that ").split(" and ")) == _split(ASSUMED | assumed)
    for block in blocks:
        assert block in program, program


def _split(clauses: set[str]) -> set[str]:
    """Clauses, cut where they hold an `and` themselves."""
    return {part for one in clauses for part in one.split(" and ")}


@pytest.mark.parametrize(
    ("name", "reasons", "blocks"),
    [
        ("timeouts-upside-down", ["the per-try timeout of 2000 ms is longer than the timeout of 500 ms"], ["split reviews@v2"]),
        (
            "breaking",
            ["foo.httpbin:8000: `httpbin`: the field `maxRequestsPerConnection` cannot be said"],
            [
                "circuit-breaker { connections 1 pending 1 }",
                "outlier-detection { consecutive-5xx 1 interval 1s ejection 3m max-ejected 100% }",
            ],
        ),
        (
            "tls-origination",
            ["no port that is known: port 443 of `news.example`, which is none of the ports of `news`, cannot be said"],
            ['external news in foo { host "news.example" port 443 https }'],
        ),
        (
            "egress-wild",
            ["foo.wiki:443: `wiki`: the destination `istio-egressgateway.istio-system.svc.cluster.local`, which is none of the known"],
            ['external wiki in foo { host "*.wiki.example" port 443 tls }'],
        ),
        (
            "path-routing",
            [
                "`/newcatalog` in the place of a prefix that ends within a segment cannot be said",
                "a redirect to another scheme, host or port without the others cannot be said",
            ],
            ["traffic httpbin uses mesh-defaults {}"],
        ),
        ("gateway", ["no port that is known: `bookinfo`: routes of gateways cannot be said"], ["default access allow"]),
        (
            "sidecar",
            [
                "foo.curl:80, foo.httpbin:8000, foo.tcp-echo:9000, foo.tcp-echo:9001: the Sidecar `default` hides",
                *(f"foo.{one}: closed, since not all that decides is known" for one in ("curl:80", "httpbin:8000", "tcp-echo:9000", "tcp-echo:9001")),
            ],
            [],
        ),
    ],
)  # fmt: skip
def test_named(
    name: str, reasons: list[str], blocks: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said, program = imported(name, tmp_path / "out", capsys)
    assert status == 1
    left_out = [line for line in said.splitlines() if "not imported" in line]
    assert [reason for reason, line in zip(reasons, left_out, strict=True) if reason not in line] == [], left_out
    for block in blocks:
        assert block in program, program


def test_every_sample_is_judged() -> None:
    judged = {
        mark.args[1][number][0]
        for test in (test_equal, test_named)
        for mark in test.pytestmark
        for number in range(len(mark.args[1]))
    }
    assert judged == {one.stem for one in SAMPLES.glob("*.yaml")} - {one.removesuffix(".yaml") for one in AROUND}
