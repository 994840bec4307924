"""Output stays the same where the program does: names, bytes, and one changed file for one changed rule."""

import pytest

from istio_traffic_lab import mesh_of
from meshc.kubernetes import lay_out
from meshc.yaml_printer import print_documents
from meshc_istio.traffic import traffic_objects

PROGRAM = """
namespace shop
namespace bank
service web in shop
service jobs in bank
service cart in shop { port 80 http version v1 version v2 }
service ledger in bank { port 8080 http }
external api in bank { host "api.example" port 443 https }
access cart { allow web }
access ledger { allow web }
access api { allow web to GET /a/** }
traffic cart { timeout 2s split cart@v1 50%, cart@v2 50% }
traffic ledger { route /a by namespace shop { timeout 1s } }
"""


def files(program: str) -> dict[str, str]:
    return {one.path: print_documents(one.resources) for one in lay_out(traffic_objects(mesh_of(program)))}


def changed(before: str, after: str) -> set[str]:
    old, new = files(before), files(after)
    return {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}


def test_the_layout() -> None:
    assert list(files(PROGRAM)) == ["bank/api.yaml", "bank/ledger.yaml", "kustomization.yaml", "shop/cart.yaml"]


def test_emission_is_deterministic() -> None:
    assert files(PROGRAM) == files(PROGRAM)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("timeout 2s", "timeout 3s", {"shop/cart.yaml"}),
        ("timeout 1s", "timeout 4s", {"bank/ledger.yaml"}),
        ("allow web to GET /a/**", "allow web to GET /b/**", {"bank/api.yaml"}),
        ("access ledger { allow web }", "access ledger { allow web, jobs }", set()),
        ("service web in shop\n", "service web in shop\nservice more in shop\n", set()),
        ("service web in shop\n", "## A comment.\n\n\nservice web in shop\n", set()),
        (
            "namespace bank\n",
            "namespace bank\nnamespace zoo\nservice ape in zoo { port 1 tcp }\n",
            {"kustomization.yaml", "zoo/ape.yaml"},
        ),
    ],
)
def test_one_edit_changes_one_file(old: str, new: str, expected: set[str]) -> None:
    assert PROGRAM.count(old) == 1
    assert changed(PROGRAM, PROGRAM.replace(old, new)) == expected


def test_objects_say_where_they_come_from() -> None:
    text = files(PROGRAM)["bank/api.yaml"]
    assert "app.kubernetes.io/managed-by: meshc" in text
    assert "meshc.dev/source: 'policy.mesh#access-bank.api, policy.mesh#external-bank.api'" in text
