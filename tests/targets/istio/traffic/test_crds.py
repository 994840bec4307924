"""Every object is one that the API server takes: the real CRDs, with fields that it would drop counted as errors."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from definitions import problems
from istio_traffic_lab import objects
from meshc.yaml_printer import print_documents

EVERYTHING = """
mesh shop { trust-domain "shop.example" also "ops.example" }
namespace shop
namespace bank
service web in shop
service jobs in shop { labels team = "night", app = "jobs" }
service cart in shop {
  port 80 http target 8080
  port 81 http2 target 8081
  port 90 grpc target 9090
  port 5432 tcp
  port 6443 tls
  version v1
  version v2 { labels release = "two" }
}
service ledger in bank { port 8080 http version v1 version v2 port 5432 tcp }
external stripe in bank { host "api.stripe.com", "files.stripe.com" port 443 https port 80 http }
external mail in bank { host "mail.example" port 465 tls port 2525 tcp }
external cdn in shop { host "*.cdn.example" port 8080 http port 993 tls }
access cart { allow web, jobs }
access ledger { allow namespace shop }
access stripe {
  allow web to POST /v1/**, GET /v1/{id}
  allow namespace bank except ledger to GET when header "x-team" in ("a", "b") and query "dry" is absent
  deny anyone to /v1/secret/**
}
access mail { allow jobs }
access cdn { allow anyone }
traffic cart:80 {
  timeout 1500ms
  connect-timeout 2s
  retry 3 on 5xx, gateway-error, reset, connect-failure, refused-stream, retriable-4xx, 429 {
    per-try 500ms backoff 25ms..250ms budget 12.5% unsafe
  }
  load-balance maglev by cookie "session"
  circuit-breaker { connections 1 pending 2 requests 3 }
  outlier-detection { consecutive-5xx 5 consecutive-gateway-errors 3 interval 1s ejection 5s max-ejected 50% }
  locality prefer
  locality failover "a" -> "b"
  split cart@v1 99.75%, cart@v2 0.25%
  mirror 1.5% to cart@v2
  set request header "x-set" "50% off"
  add response header "x-add" "b"
  remove response header "x-gone"
  route GET|HEAD /a, /a/{id}, /b/**, re"/c[0-9]+" when header "x-b" != "" and query "q" != "1" by web, namespace bank
    -> cart@v2 {
      rewrite path "/z"
      rewrite host "other.example"
      fault delay 3s for 5% when header "x-a" == "1"
      fault abort 503 for 100% when host == "beta.example"
    }
  route /old/** when host ends with ".old.example" { redirect "https://new.example:8443/**" status 308 }
  route /gone { respond 410 "gone" }
}
traffic cart:81 { load-balance ring-hash by header "x-user" }
traffic cart:90 { retry 1 on unavailable, cancelled, deadline-exceeded, internal, resource-exhausted }
traffic cart:5432 { split cart@v1 50%, cart@v2 50% load-balance ring-hash by source ip idle-timeout 1h }
traffic ledger:8080 { split ledger@v1 50%, cart:80 50% load-balance random circuit-breaker { retries 4 } }
traffic stripe:443 { connect-timeout 1s tls { ca file "/etc/ca.pem" sni "stripe.com" } timeout 10s }
"""


@pytest.mark.slow
def test_every_object_is_valid() -> None:
    printed = {name: yaml.safe_load(print_documents((one,))) for name, one in objects(EVERYTHING).items()}
    assert {one["kind"] for one in printed.values()} == {"VirtualService", "DestinationRule", "ServiceEntry"}
    assert problems("istio", printed.values()) == []


def _durations(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in {
                "timeout",
                "perTryTimeout",
                "backoff",
                "fixedDelay",
                "interval",
                "baseEjectionTime",
                "connectTimeout",
            }:
                yield inner
            else:
                yield from _durations(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _durations(inner)


def test_durations_are_whole_milliseconds_above_none() -> None:
    found = [text for one in objects(EVERYTHING).values() for text in _durations(one["spec"])]
    assert {"1500ms", "2s", "500ms", "25ms", "3s", "5s", "1s", "10s"} <= set(found)
    assert all(text.removesuffix("s").removesuffix("m").isdigit() for text in found)
