"""Files as people write them, imported: equal, or with the right reasons why not."""

from pathlib import Path
from typing import Final

import pytest

from meshc.cli import main

FILES: Final = Path(__file__).with_name("by_hand")
_BOUNDS: Final = "bounds of the application's own connections cannot be said"
_SETTINGS: Final = "opened,closed,changed,routing,settings"


def _import(names: tuple[str, ...], out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, list[str]]:
    """The exit status, the program's services, and the last part of each line about what is not in it."""
    status = main(["import", *(str(FILES / name) for name in names), "-o", str(out), "--from", "envoy"])
    lines = capsys.readouterr().err.splitlines()
    text = out / "policies" / "shop.mesh"
    named = [line.rpartition(", shop.")[2].partition(": ")[2] for line in lines if "not imported" in line]
    return status, text.read_text(encoding="utf-8") if text.exists() else "", named or lines


def test_a_caller_and_two_versions_are_equal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In YAML and JSON, with addresses for names, and nodes that only their clusters tell."""
    names = ("web.yaml", "cart.yaml", "cart-canary.json")
    status, text, _ = _import(names, tmp_path / "out", capsys)
    assert status == 0
    for line in (
        "  route /healthz {\n    respond 204\n",
        '  route re"/old/\\C*" {\n    redirect "/gone"\n',
        '  route /** when header "x-canary" == "always" -> cart-canary {\n    timeout 5s\n',
        "-> cart 100%, cart-canary 0% {\n    timeout 2s\n    retry 2 on 5xx, connect-failure { per-try 500ms }\n",
        "access cart {\n  allow web to GET|POST\n}",
    ):
        assert line in text
    files = tmp_path / "live"
    files.mkdir()
    for name in names:
        (files / name).write_text((FILES / name).read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["diff", str(tmp_path / "out"), str(files), "--fail-on", _SETTINGS]) == 0


def test_rules_of_several_filters_keep_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, named = _import(("orders.yaml",), tmp_path / "out", capsys)
    assert (status, named) == (1, [_BOUNDS])
    access = text[text.index("access orders {") :]
    assert access.index("deny anyone except") < access.index("deny anyone when") < access.index("allow identity")
    assert 'GET|HEAD re"/(orders|admin)/[0-9a-z]+"' in access
    assert access.count("allow ") == 3


def test_rules_of_connections_are_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, named = _import(("queue.yaml",), tmp_path / "out", capsys)
    assert (status, named) == (1, [_BOUNDS])
    assert "port 5671 tcp target 5672" in text
    assert "  deny anyone from 10.9.0.0/16\n" in text


def test_limits_that_a_program_does_not_have_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, named = _import(("reports.yaml",), tmp_path / "out", capsys)
    assert (status, named) == (1, ["a bucket of its own beside that of descriptors is not understood", _BOUNDS])
    assert "rate-limit" not in text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("edge.yaml", "whose sidecar `edge-7f9c` is, is not known"),
        ("nameless.yaml", "whose sidecar this is, without a node id, is not known"),
    ],
)
def test_what_is_no_sidecar_of_a_service_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    status, text, lines = _import((name,), tmp_path / "out", capsys)
    assert (status, text) == (2, "")
    assert message in lines[0]


def test_an_edge_that_calls_itself_a_service_is_no_sidecar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would lend its identity to whoever reaches it."""
    edge = tmp_path / "edge.yaml"
    edge.write_text(
        (FILES / "edge.yaml").read_text(encoding="utf-8").replace("id: edge-7f9c", "id: shop/edge"), encoding="utf-8"
    )
    main(["import", str(edge), "-o", str(tmp_path / "out"), "--from", "envoy"])
    assert "a listener that others reach lends them the caller's identity" in capsys.readouterr().err
