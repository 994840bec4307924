"""Explanations: what is said, and that it is said of the right rule."""

from dataclasses import replace

from meshc import ir
from meshc.explaining.as_json import explanation_to_json
from meshc.explaining.model import Remedies
from meshc.explaining.text import COLOURED, render_explanation
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc.semantics.explain import explain
from meshc_strategies.shop import CHECKOUT, FRONTEND, SHOP, at, port, route, to, workload

CHARGE = Request(identity=FRONTEND, namespace="bank", service="payments", port=8080, method="POST", path="/charge")


def text(request: Request, mesh: ir.Mesh = SHOP) -> str:
    return render_explanation(explain(Evaluator(mesh), request))


def test_an_allowed_request() -> None:
    assert (
        text(CHARGE)
        == """\
allowed (shop.mesh:30)
  shop.frontend -> bank.payments:8080  POST /charge
  judged as: from 127.0.0.1, host payments.bank
  travels
       timeout none
       retry never
  access to bank.payments:8080: allowed
       deny anyone from 10.66.0.0/16 because "quarantined"  shop.mesh:20
         address: wants 10.66.0.0/16; is 127.0.0.1
       deny anyone to /internal/**  shop.mesh:21
         path: wants /internal/**; is /charge
    => allow shop.frontend to POST /charge  shop.mesh:30
       allow shop.checkout to GET|HEAD /charge/{id} when header "x-region" == "eu"  shop.mesh:31
         source: wants shop.checkout; is shop.frontend (and it fails by method, path and condition)
     * shadow deny anyone to POST (logged, not enforced)  shop.mesh:40
"""
    )


def test_a_refused_request_names_the_nearest_rules() -> None:
    request = replace(CHARGE, identity=CHECKOUT, method="GET", path="/charge/7?a=b", headers=(("x-region", "us"),))
    explanation = explain(Evaluator(SHOP), request)
    nearest = explanation.destinations[0].nearest
    assert [(one.rule.span.line, [miss.clause for miss in one.misses]) for one in nearest] == [
        (31, ["condition"]),
        (30, ["source", "method", "path"]),
    ]
    assert 'condition: wants header "x-region" == "eu"; is header "x-region" "us"' in render_explanation(explanation)


def test_a_denying_rule_is_marked_and_later_stages_are_not_asked() -> None:
    shown = text(replace(CHARGE, source_ip="10.66.0.1"))
    assert '=> deny anyone from 10.66.0.0/16 because "quarantined"' in shown
    assert " * allow shop.frontend to POST /charge (not asked)" in shown
    assert "nearest" not in shown


def test_a_default() -> None:
    request = Request(identity=FRONTEND, namespace="bank", service="ledger", port=5432)
    shown = text(request)
    assert shown.startswith("denied: default access deny (shop.mesh:50)\n")
    assert "no allow rule, and access is denied by default  shop.mesh:50" in shown


def test_what_comes_before_rules() -> None:
    assert text(replace(CHARGE, identity=None)).startswith("denied: no verified identity\n")
    assert text(replace(CHARGE, path="/%2f")).startswith("denied 400: %2F in the path\n".replace("%2F", "%2f"))
    assert text(replace(CHARGE, service="nothing")).startswith("denied 404: unknown destination\n")
    assert text(replace(CHARGE, claims={"aud": "x"})).startswith("denied 401: token for another audience\n")


def test_routes_rewrites_and_mirrors() -> None:
    forward = ir.Forward(destinations=(to("payments", "v1", 95.0), to("payments", "v2", 5.0)))
    mirror = ir.Mirror(percent=10.0, destination=to("ledger", number=5432), span=at(1))
    retry = ir.Retry(attempts=2, conditions=("5xx",), statuses=(429,), span=at(1))
    delay = ir.FaultDelay(delay_ms=200, percent=1.0, condition=ir.ALWAYS, span=at(1))
    settings = ir.Settings(timeout_ms=5000, rewrite_path="/charge", mirrors=(mirror,), retry=retry, delays=(delay,))
    one = route(60, ir.ExactPath("/pay"), forward, methods=("GET",))
    two = route(61, ir.TemplatePath(("pay",), (), rest=True), forward, settings=settings)
    changed = workload("bank", "payments", port(8080, access=SHOP.workloads[1].ports[0].access, routes=(one, two)))
    mesh = replace(SHOP, workloads=(SHOP.workloads[0], changed, *SHOP.workloads[2:]))
    shown = text(replace(CHARGE, path="/pay/x"), mesh)
    assert shown.startswith("allowed (shop.mesh:30)\n")
    assert "  sent on as: path /charge, host payments.bank\n" in shown
    assert "       route GET /pay -> bank.payments:8080@v1 95%, bank.payments:8080@v2 5%  shop.mesh:60\n" in shown
    assert "         operation: wants GET /pay; is POST /pay/x\n" in shown
    assert "    => route /pay/** -> " in shown
    for line in (
        "timeout 5s\n",
        "retry 2 on 429, 5xx  shop.mesh:1\n",
        "fault delay 200ms for 1%  shop.mesh:1\n",
        "mirror 10% to bank.ledger:5432  shop.mesh:1\n",
        'rewrite path "/charge"\n',
    ):
        assert f"       {line}" in shown
    assert "  mirror 10% to bank.ledger:5432: refused there\n" in shown


def test_a_redirect() -> None:
    action = ir.Redirect(target="/charge", status=308, span=at(1))
    changed = workload("bank", "payments", port(8080, routes=(route(60, ir.ANY_PATH, action),)))
    mesh = replace(SHOP, workloads=(SHOP.workloads[0], changed, *SHOP.workloads[2:]))
    shown = text(CHARGE, mesh)
    assert shown.startswith("answered by the caller's proxy 308 to /charge: redirect\n")
    assert '=> route /** { redirect "/charge" status 308 }  shop.mesh:60' in shown


def test_terminal_codes_in_requests_are_escaped() -> None:
    shown = text(replace(CHARGE, headers=(("x-region", "\x9b31m\u202e"),), identity=CHECKOUT, path="/charge/\x1b"))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    shown = text(replace(CHARGE, headers=(("x-region", "\x9b31m\u202e"),), identity=CHECKOUT, path="/charge/1"))
    assert "\x9b" not in shown
    assert "\u202e" not in shown


def test_colour_is_optional_and_balanced() -> None:
    shown = render_explanation(explain(Evaluator(SHOP), CHARGE), style=COLOURED)
    assert shown.count("\x1b[0m") == shown.count("\x1b[") - shown.count("\x1b[0m")


def test_json() -> None:
    found = explanation_to_json(explain(Evaluator(SHOP), replace(CHARGE, method="PUT")), Remedies(), SHOP)
    assert found["caller"] == "shop.frontend"
    assert found["judged"] == {"method": "PUT", "path": "/charge", "host": "payments.bank", "source_ip": "127.0.0.1"}
    (destination,) = found["destinations"]
    assert destination["nearest"][0]["misses"] == [{"clause": "method", "wanted": "POST", "actual": "PUT"}]
    assert [stage["decided"] for stage in destination["stages"]] == [False, True, False]
