"""What is emitted: known to the official protobuf classes, free of what is deprecated, accepted by Envoy, and stable."""

import asyncio
import importlib
import json
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2
from google.protobuf import descriptor_pool, json_format, symbol_database
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from envoy_lab import compile_mesh, shown
from meshc.engine.authority import Authority
from meshc.engine.processes import find_envoy, validate
from meshc.engine.tokens import TokenIssuer
from meshc.features import Feature
from meshc.target import Exactness, Json
from meshc.yaml_printer import print_yaml
from meshc_envoy import SUPPORT, TARGET, Certificates, EmitOptions, emit
from meshc_envoy.check import violations

# Importing a module registers its messages, without which a packed message cannot be read.
MODULES: Final = (
    "envoy.config.rbac.v3.rbac_pb2",
    "envoy.extensions.access_loggers.filters.cel.v3.cel_pb2",
    "envoy.extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2",
    "envoy.extensions.filters.http.dynamic_forward_proxy.v3.dynamic_forward_proxy_pb2",
    "envoy.extensions.filters.http.jwt_authn.v3.config_pb2",
    "envoy.extensions.filters.http.rbac.v3.rbac_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.filters.network.rbac.v3.rbac_pb2",
    "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.sni_dynamic_forward_proxy_pb2",
    "envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2",
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2",
    "envoy.extensions.matching.common_inputs.ssl.v3.ssl_inputs_pb2",
    "envoy.extensions.transport_sockets.tls.v3.tls_pb2",
    "envoy.extensions.transport_sockets.tls.v3.tls_spiffe_validator_config_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
)

# Limits of connections are the operator's; without `allow_custom_methods` Envoy refuses methods that the language allows.
KNOWN_WARNINGS: Final = ("active downstream connections", "allow_custom_methods")

EVERYTHING: Final = """
mesh shop { trust-domain "mesh.local" also "ops.example" trusted-hops 2 }
namespace shop
namespace bank { mtls permissive }
service gateway in shop
service cart in shop { port 80 http target 8080 port 81 http2 target 8081 port 90 grpc target 8090 port 5432 tcp }
service ledger in bank { port 80 http target 8080 port 5432 tcp endpoint "10.0.0.9:7000" endpoint "ledger.example:7001" }
service queue in bank { port 80 http discover eds }
service cache in bank { port 6379 tcp discover dns "cache.internal" }
authenticate cart {
  mtls strict
  jwt corp { issuer "https://corp" audiences "a", "b" jwks url "https://idp.example/keys" }
  jwt other { issuer "https://other" jwks file "/etc/keys.json" from-header "x-token" "" forward required }
}
authenticate queue { mtls off }
external stripe in shop { host "api.stripe.com", "*.stripe.com" port 443 https }
external plain in shop { host "plain.example", "*.plain.example" port 80 http }
external store in shop { host "db.example" port 5432 tcp }
access cart {
  allow namespace shop, namespace bank except ledger from 10.0.0.0/8, 2001:db8::/32
    to GET|HEAD /a/{id}, /b/{id}/x/**, /c/**, POST /d when (header "x-a" == "1" or not header "x-b" matches re"[a-z]+")
      and query "q" in ("1", "2") and query "r" matches re"a+" and host ends with ".shop" and remote ip in (192.168.0.0/16)
  shadow allow anyone to /shadow
  shadow deny anyone to /shadow/deny
  deny anyone to /e when claim "scope" has "x" or claim "a" "b" == "y" or header "x-c" is absent or query "n" is present
  allow identity "spiffe://ops.example/ns/ops/sa/*" to rpc a.B/*
}
access ledger { allow cart, gateway deny anyone from 10.66.0.0/16 }
access queue { allow anyone }
access cache { allow authenticated }
access stripe { allow cart to POST /v1/** deny anyone to /v1/secret when query "q" matches re"x+" }
access plain { allow namespace shop shadow deny gateway to GET }
access store { allow cart }
"""


def load_messages() -> None:
    for module in MODULES:
        importlib.import_module(module)


@pytest.fixture(scope="module")
def bootstraps() -> dict[str, dict[str, Json]]:
    emission = emit(compile_mesh(EVERYTHING))
    assert not [one for one in emission.diagnostics if one.severity.value == "error"]
    return {document.path: dict(document.resources[0]) for document in emission.documents}


def test_paths_are_those_of_the_workloads(bootstraps: dict[str, dict[str, Json]]) -> None:
    assert list(bootstraps) == [
        "bank/cache.yaml",
        "bank/ledger.yaml",
        "bank/queue.yaml",
        "shop/cart.yaml",
        "shop/gateway.yaml",
    ]


def test_protobuf_knows_every_field(bootstraps: dict[str, dict[str, Json]]) -> None:
    """Unknown fields and types fail to parse; deprecated fields and values are found by walking the messages."""
    load_messages()
    for path, bootstrap in bootstraps.items():
        message = json_format.ParseDict(bootstrap, bootstrap_pb2.Bootstrap(), descriptor_pool=descriptor_pool.Default())
        assert list(deprecations(message, path)) == []


def deprecations(message: Message, place: str) -> list[str]:
    found: list[str] = []
    if isinstance(message, AnyMessage):
        name = message.type_url.rpartition("/")[2]
        inner = symbol_database.Default().GetSymbol(name)()
        assert message.Unpack(inner)
        return deprecations(inner, f"{place}<{name}>")
    for field, value in message.ListFields():
        here = f"{place}.{field.name}"
        if field.GetOptions().deprecated:
            found.append(here)
        values = value.values() if is_map(field) else value if field.is_repeated else [value]
        for one in values:
            if isinstance(one, Message):
                found += deprecations(one, here)
            elif is_deprecated_value(field, one):
                found.append(f"{here}={one}")
    return found


def is_deprecated_value(field: FieldDescriptor, value: int) -> bool:
    if field.enum_type is None or is_map(field):
        return False
    return bool(field.enum_type.values_by_number[value].GetOptions().deprecated)


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def test_envoy_accepts_everything(tmp_path: Path) -> None:
    """Every bootstrap, with certificates from files and from SDS; no warnings but the known ones."""
    mesh = compile_mesh(EVERYTHING.replace("/etc/keys.json", str(tmp_path / "keys.json")))
    (tmp_path / "keys.json").write_text(TokenIssuer.create().jwks, encoding="utf-8")
    (tmp_path / "ca.pem").write_bytes(Authority.create("outside").bundle)
    for domain in mesh.trust_domains:
        (tmp_path / f"{domain}.pem").write_bytes(Authority.create(domain).bundle)
    home = Authority.create(mesh.trust_domain)
    credentials = home.issue_workload(mesh.workloads[0].identity, tmp_path, "sidecar")
    credentials.chain.rename(tmp_path / "cert.pem")
    credentials.key.rename(tmp_path / "key.pem")
    files = []
    for certificates in Certificates:
        options = EmitOptions(
            certificates=certificates,
            tls_directory=PurePosixPath(tmp_path),
            ca_file=PurePosixPath(tmp_path / "ca.pem"),
        )
        for document in emit(mesh, options).documents:
            file = tmp_path / f"{certificates.value}-{document.path.replace('/', '-')}"
            file.write_text(print_yaml(document.resources[0]), encoding="utf-8")
            files.append(file)
    for validation in asyncio.run(validate(find_envoy(), files)):
        assert validation.error is None, validation
        assert [one for one in validation.warnings if not any(words in one for words in KNOWN_WARNINGS)] == []


def test_nothing_fails_open(bootstraps: dict[str, dict[str, Json]]) -> None:
    for bootstrap in bootstraps.values():
        assert list(violations(bootstrap)) == []


def test_emission_is_deterministic() -> None:
    """The same mesh, and the same program with its declarations turned round, give the same bytes."""
    once, again = (
        [print_yaml(document.resources[0]) for document in emit(compile_mesh(EVERYTHING)).documents] for _ in range(2)
    )
    assert once == again


def test_callers_hold_only_what_they_may_reach(bootstraps: dict[str, dict[str, Json]]) -> None:
    names = cluster_names(bootstraps["shop/gateway.yaml"])
    assert "bank/ledger:5432" in names
    assert "shop/cart:80" in names
    assert "shop/plain:80/plain.example" in names
    assert "shop/stripe:443/api.stripe.com" not in names
    assert "shop/store:5432/db.example" not in names
    assert "shop/cart:80" not in cluster_names(bootstraps["bank/ledger.yaml"])


def cluster_names(bootstrap: dict[str, Json]) -> list[str]:
    text = json.loads(json.dumps(bootstrap))
    return [cluster["name"] for cluster in text["static_resources"]["clusters"]]


def test_the_table_is_total() -> None:
    assert set(SUPPORT) == set(Feature)
    assert TARGET.support is SUPPORT
    for feature, support in SUPPORT.items():
        assert support.note or support.exactness is Exactness.EXACT, feature
        assert not support.may_omit, feature


@pytest.mark.parametrize(
    ("addition", "name"),
    [
        ("traffic cart:80 { fault delay 1s for 5% when source ip in (10.0.0.0/8) }", "unsupported-by-target"),
        ('traffic cart:80 { fault delay 1s for 5% when not query "q" matches re"a+" }', "unsupported-by-target"),
        ('traffic cart:80 { route GET /a/{b} { redirect "https://{b}.example/" } }', "unsupported-by-target"),
        (
            "traffic cart:80 { circuit-breaker { retries 1 } retry 1 on reset { budget 5% unsafe } }",
            "unsupported-by-target",
        ),
        ("traffic cart:80 { locality prefer }", "unsupported-by-target"),
        ("traffic stripe { locality prefer }", "unsupported-by-target"),
        ('access cart:80 { allow gateway to /x when host matches re"[A-Z]+" }', "unsupported-by-target"),
        ('external wild in shop { host "*.db" port 5432 tcp }', "unsupported-by-target"),
        ("access plain { allow gateway from 10.0.0.0/8 }", "unsupported-by-target"),
        ('traffic cart:80 { route /a { redirect "https://shop.example/#top" } }', "unsupported-by-target"),
        ('traffic cart:80 { route /a { redirect "/b#top" } }', "unsupported-by-target"),
        ('traffic cart:80 { route /a -> stripe { rewrite host "other.stripe.com" } }', "unsupported-by-target"),
        ('traffic plain { rewrite host "elsewhere.example" }', "unsupported-by-target"),
    ],
)
def test_what_cannot_be_expressed_is_an_error(addition: str, name: str) -> None:
    emission = emit(compile_mesh(EVERYTHING + addition))
    assert emission.documents == ()
    assert name in {one.name for one in emission.diagnostics}, [shown(one) for one in emission.diagnostics]
    assert all(one.span.line > EVERYTHING.count("\n") - 60 for one in emission.diagnostics)


MANY: Final = " ".join(f'set request header "x{number}" ""' for number in range(1001))
UNLIKE: Final = ", ".join(f'"{sha256(b"%d" % number).hexdigest()}"' for number in range(200))
"""Values that have nothing in common, so that an expression for any of them is as long as they are together."""

TOO_LARGE: Final = {
    "header": f'set response header "x" "{"a" * 16_385}"',
    "percent signs": f'set response header "x" "{"%" * 8_193}"',
    "headers": MANY,
    "path": f"route /{{id}}/{'a' * 10_000} {{ timeout 1s }}",
    "rewrite": f'route /{"a" * 9_995}/{{id}} {{ rewrite path "/{{id}}" }}',
    "list": f'route /a when header "x" in ({UNLIKE}) {{ timeout 1s }}',
}


@pytest.mark.parametrize("line", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_what_envoy_would_refuse_for_its_size(line: str) -> None:
    emission = emit(compile_mesh(f"{EVERYTHING}traffic cart:80 {{ {line} }}"))
    assert emission.documents == ()
    assert {one.name for one in emission.diagnostics if one.severity.value == "error"} <= {
        "unsupported-by-target",
        "regex-too-large",
    }


def test_what_envoy_just_takes() -> None:
    values = UNLIKE[: len(UNLIKE) // 4].rpartition(",")[0]
    largest = f'set response header "x" "{"a" * 16_384}" route /a when header "x" in ({values}) {{ timeout 1s }}'
    assert emit(compile_mesh(f"{EVERYTHING}traffic cart:80 {{ {largest} }}")).documents


@pytest.mark.parametrize(
    ("host", "elsewhere"),
    [
        ("ledger.bank", "the service `bank.ledger`"),
        ("plain.example", "the external `shop.plain`"),
        ("new.example", "the service `bank.ledger`"),
        ("own.example", None),
        ("cart", None),
    ],
)
def test_a_host_that_leads_elsewhere_is_told(host: str, elsewhere: str | None) -> None:
    """The one outbound listener chooses by the host, and the first to have it keeps it."""
    routes = f"""traffic ledger:80 {{ route /a when host == "new.example" {{ timeout 1s }} }}
    traffic queue {{ route /b when host == "{host}" {{ timeout 1s }} }}"""
    if host in {"own.example", "cart"}:
        routes = f'traffic cart:80 {{ route /b when host == "{host}" {{ timeout 1s }} }}'
    found = [one.message for one in emit(compile_mesh(EVERYTHING + routes)).diagnostics if "leads to" in one.message]
    expected = f"on envoy the host `{host}` leads to {elsewhere}, where that may be reached, and not here"
    assert found == ([] if elsewhere is None else [expected])
