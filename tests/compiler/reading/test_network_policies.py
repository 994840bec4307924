"""NetworkPolicies as Kubernetes documents them: objects in, decisions of the model out."""

from dataclasses import replace

import pytest

from meshc.ir import Mesh
from meshc.reading import Reading, bare, objects_of_source
from meshc.reading.network_policies import read_network_policies
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text

PROGRAM = """
namespace shop
namespace bank
service web in shop
service mail in shop { labels app = "mail", tier = "back" }
service pay in bank
service cart in shop { port 80 tcp target 8080 as main port 90 tcp target 9090 }
"""
WEB, MAIL, PAY = (f"spiffe://cluster.local/ns/{one}" for one in ("shop/sa/web", "shop/sa/mail", "bank/sa/pay"))
CART = "podSelector: {matchLabels: {app: cart}}"


def _known() -> Mesh:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    return bare(mesh)


def _read(*specs: str, namespace: str = "shop") -> Reading:
    text = "".join(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
        f"metadata: {{name: p{number}, namespace: {namespace}}}\nspec: {{{spec}}}\n---\n"
        for number, spec in enumerate(specs)
    )
    objects, wrong = objects_of_source(SourceFile("np.yaml", text))
    assert not wrong
    return read_network_policies(objects, _known(), {})


CALL = Request(identity=WEB, namespace="shop", service="cart", port=80, source_ip="10.0.0.1")


def _allowed(reading: Reading, call: Request = CALL) -> bool | None:
    return Evaluator(reading.mesh).decide(call).allowed


@pytest.mark.parametrize(
    ("specs", "caller", "expected"),
    [
        ((f"{CART}",), WEB, False),
        ((f"{CART}, policyTypes: [Egress]",), WEB, True),
        ((f"{CART}, ingress: [{{}}]",), WEB, True),
        ((f"{CART}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: web}}}}}}]}}]",), WEB, True),
        ((f"{CART}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: web}}}}}}]}}]",), MAIL, False),
        ((f"{CART}, ingress: [{{from: [{{podSelector: {{}}}}]}}]",), MAIL, True),
        ((f"{CART}, ingress: [{{from: [{{podSelector: {{}}}}]}}]",), PAY, False),
        ((f"{CART}, ingress: [{{from: [{{namespaceSelector: {{}}}}]}}]",), PAY, True),
        (
            (f"{CART}, ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: bank}}}}, podSelector: {{matchLabels: {{app: pay}}}}}}]}}]",),
            PAY, True,
        ),
        ((f"{CART}, ingress: [{{from: [{{podSelector: {{matchExpressions: [{{key: tier, operator: In, values: [back]}}]}}}}]}}]",), MAIL, True),
        ((f"{CART}, ingress: [{{from: [{{podSelector: {{matchExpressions: [{{key: tier, operator: Exists}}]}}}}]}}]",), WEB, False),
        ((f"{CART}, ingress: [{{ports: [{{port: 8080}}]}}]",), WEB, True),
        ((f"{CART}, ingress: [{{ports: [{{port: 80}}]}}]",), WEB, False),
        ((f"{CART}, ingress: [{{ports: [{{port: main}}]}}]",), WEB, True),
        ((f"{CART}, ingress: [{{ports: [{{port: 8000, endPort: 8100}}]}}]",), WEB, True),
        ((f"{CART}, ingress: [{{ports: [{{port: 8080, protocol: UDP}}]}}]",), WEB, False),
        ((f"{CART}, ingress: [{{from: [{{ipBlock: {{cidr: 10.0.0.0/8, except: [10.0.0.1/32]}}}}]}}]",), WEB, False),
        ((f"{CART}, ingress: [{{from: [{{ipBlock: {{cidr: 10.0.0.0/8}}}}]}}]",), WEB, True),
        # A union: what one policy does not let through, another one does.
        ((f"{CART}", f"{CART}, ingress: [{{}}]"), WEB, True),
        # Both ends have a say.
        ((f"{CART}, ingress: [{{}}]", "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]"), WEB, False),
        ((f"{CART}, ingress: [{{}}]", "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]"), MAIL, True),
        (("podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]",), WEB, False),
        (("podSelector: {matchLabels: {app: web}}, egress: [{to: [{podSelector: {matchLabels: {app: cart}}}], ports: [{port: 9090}]}]",), WEB, False),
        (("podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: cart}}}], ports: [{port: 8080}]}]",), WEB, True),
        (("podSelector: {}, policyTypes: [Ingress, Egress]",), WEB, False),
    ],
)  # fmt: skip
def test_what_policies_let_through(specs: tuple[str, ...], caller: str, *, expected: bool) -> None:
    reading = _read(*specs)
    assert not reading.unknown, reading.unknown
    assert _allowed(reading, replace(CALL, identity=caller)) is expected


def test_a_port_that_no_rule_names_stays_closed() -> None:
    reading = _read(f"{CART}, ingress: [{{ports: [{{port: 8080}}]}}]")
    assert _allowed(reading, replace(CALL, port=90)) is False


def test_a_policy_of_another_namespace_selects_nothing_here() -> None:
    assert _allowed(_read(CART, namespace="bank")) is True


def test_what_is_assumed_is_said() -> None:
    assert [one.text for one in _read(CART).assumptions] == [
        "a pod selector names one service account",
        "every caller that a pod selector names is in the mesh",
    ]
    assert not _read().assumptions


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (f"{CART}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: strange}}}}}}]}}]", "none of the known services"),
        (f"{CART}, ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{team: a}}}}}}]}}]", "namespaces by labels"),
        (f"{CART}, ingress: [{{from: [{{podSelector: {{matchExpressions: [{{key: a, operator: Near}}]}}}}]}}]", "`Near`"),
        (f"{CART}, ingress: [{{from: [{{ipBlock: {{cidr: nonsense}}}}]}}]", "nonsense"),
        ("podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]", "`ipBlock`"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said(spec: str, words: str) -> None:
    reading = _read(spec)
    assert reading.unknown
    assert all(words in one.message for one in reading.unknown), reading.unknown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metadata: {name: p}\nspec: {podSelector: {}}", "it names no namespace"),
        ("metadata: {name: p, namespace: shop}", "it has no spec"),
        (
            "metadata: {name: p, namespace: shop}\nspec: {podSelector: {}, ingres: []}",
            "the field `ingres` is not known",
        ),
        ("metadata: {name: p, namespace: shop}\nspec: {policyTypes: [ingress]}", "its `policyTypes` are not known"),
        ("metadata: {name: p, namespace: shop}\nspec: {ingress: {}}", "its `ingress` is no list"),
        ("metadata: {name: p, namespace: shop}\nspec: {ingress: [{form: []}]}", "a rule of its `ingress` is not known"),
        ("metadata: {name: p, namespace: shop}\nspec: {egress: [[]]}", "a rule of its `egress` is not known"),
        (
            "metadata: {name: p, namespace: shop}\nspec: {ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}",
            "which is refused",
        ),
    ],
)
def test_what_is_refused_as_a_whole_leaves_nothing_known(text: str, message: str) -> None:
    source = SourceFile("np.yaml", f"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n{text}\n")
    reading = read_network_policies(objects_of_source(source)[0], _known(), {})
    assert [(one.ports, message in one.message) for one in reading.unknown] == [(None, True)]


def test_of_two_policies_of_one_name_a_cluster_keeps_one() -> None:
    text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {ingress: [{}]}\n---\n"
    reading = read_network_policies(objects_of_source(SourceFile("np.yaml", text * 2))[0], _known(), {})
    assert ["given twice" in one.message for one in reading.unknown] == [True]


@pytest.mark.parametrize("port", ["[a]", "{a: b}", "~", "true", "1.5"])
def test_a_port_that_is_none_takes_no_port_or_all(port: str) -> None:
    assert _read(f"{CART}, ingress: [{{ports: [{{port: {port}}}]}}]").mesh.workloads
