"""`meshc.yaml`: what it means, and what is said about everything that it may not say."""

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from meshc.config import Config, EnvoyConfig, config_schema, read_config
from meshc.source import SourceFile


def source(text: str) -> SourceFile:
    return SourceFile("meshc.yaml", text)


def findings(text: str) -> list[str]:
    """Each as `line:column message | help`."""
    config, found = read_config(source(text))
    assert found
    assert config == Config()
    assert {one.name for one in found} == {"invalid-config"}
    return [f"{one.span.line}:{one.span.column} {one.message} | {' '.join(one.help)}" for one in found]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeff", "{}\n"])
def test_an_empty_file_means_the_defaults(text: str) -> None:
    assert read_config(source(text)) == (Config(), ())


def test_every_setting() -> None:
    text = (
        "policies: mesh/shop.mesh\ntargets: [envoy, istio]\nout: ../deploy\nenvironments:\n  - staging\n  - prod\n"
        "unsupported: warn\nenvoy:\n  certificates: sds\n  tls-directory: /run/tls\n"
    )
    config, found = read_config(source(text))
    assert found == ()
    assert config == Config(
        policies="mesh/shop.mesh",
        targets=("envoy", "istio"),
        out="../deploy",
        environments=("staging", "prod"),
        unsupported="warn",
        envoy=EnvoyConfig(certificates="sds", tls_directory="/run/tls"),
    )
    written = {path: text[span.start : span.end] for path, span in config.places.items()}
    assert written["targets.1"] == "istio"
    assert written["environments"].splitlines()[-1] == "  - prod"
    assert written["envoy.certificates"] == "sds"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("polices: x", ["1:1 `polices` is no setting of `meshc.yaml` | did you mean `policies`?"]),
        (
            "envoy: {port: 1}",
            ["1:9 `port` is no setting of `envoy` | known are `certificates`, `tls-directory`"],
        ),
        (
            "envoy:\n  tls_directory: /x",
            ["2:3 `tls_directory` is no setting of `envoy` | did you mean `tls-directory`?"],
        ),
        ("targets: envoy", ["1:10 `targets` must be a list, found `envoy` | write it like `targets: [envoy]`"]),
        (
            "targets: [envoy, a, envoy]",
            ["1:21 `envoy` is listed twice | remove one of them"],
        ),
        (
            "environments: [no]",
            [
                (
                    "1:16 `environments` must be a list of names in lower case, found `no`, which YAML takes for `true` or"
                    " `false` | write it like `environments: [staging, prod]`"
                )
            ],
        ),
        (
            "unsupported: warm",
            ["1:14 `unsupported` must be `error` or `warn`, found `warm` | did you mean `warn`?"],
        ),
        (
            "unsupported: [error]",
            ["1:14 `unsupported` must be `error` or `warn`, found a list | write it like `unsupported: error`"],
        ),
        (
            "envoy: sds",
            ["1:8 `envoy` must be a mapping, found `sds` | write it like `envoy: {certificates: files}`"],
        ),
        (
            "envoy: {tls-directory: tls}",
            [
                (
                    "1:24 `envoy.tls-directory` must be an absolute path, with forward slashes, found `tls` | "
                    "write it like `tls-directory: /etc/meshc/tls`"
                )
            ],
        ),
        ("out:", ["1:5 `out` must be a path, with forward slashes, found nothing | write it like `out: deploy/`"]),
        (
            "out: 2026-11-23",
            [
                (
                    "1:6 `out` must be a path, with forward slashes, found `2026-11-23`, which YAML takes for a date or "
                    "another special value | write it like `out: deploy/`"
                )
            ],
        ),
        ("- a", ["1:1 `meshc.yaml` must be a mapping of settings, found a list | write it like `policies: policies/`"]),
        ("out: a\nout: b", ["2:1 `out` is given twice | remove one of them"]),
        ("out: &x a", ["1:6 YAML anchors may not be used here | remove the `&` and its name"]),
        ("out: *x", ["1:6 YAML aliases may not be used here | write the value out"]),
        ("out: !!str a", ["1:6 YAML tags may not be used here | remove the `!` and its name"]),
        ("? [a]\n: b", ["1:3 a key must be a word | "]),
        (
            "a: 1\n---\nb: 1",
            ["2:1 the file holds more than one YAML document | keep one document, without a `---` between"],
        ),
        ("out: [a", ["1:8 not YAML: expected `,` or `]`, but got `<stream end>` | "]),
        ("\tout: a", ["1:1 not YAML: found character `\\t` that cannot start any token | "]),
        ("out: a\x01", ["1:7 the character U+0001 may not stand in YAML | "]),
        ('out: "\\UFFFFFFFF"', ["1:9 not YAML: a number is out of range | "]),
        (f"%YAML {'9' * 5000}.1\n---\n", ["1:7 not YAML: a number is out of range | "]),
        ("[" * 100_000, ["1:1 the file is longer than 64 KiB | "]),
        ("[" * 60_000, ["1:18 nested deeper than 16 levels | "]),
        ("- " * 30_000, ["1:35 nested deeper than 16 levels | "]),
    ],
)
def test_findings(text: str, expected: list[str]) -> None:
    assert findings(text) == expected


def test_all_mistakes_of_a_file_are_reported_in_its_order() -> None:
    assert [line.split(" ")[0] for line in findings("foo: 1\nout: 5\nenvoy: {x: 1}\ntargets: a\n")] == [
        "1:1",
        "2:6",
        "3:9",
        "4:10",
    ]


@pytest.mark.parametrize("path", ["..", "../x", "a/../b", "a/..", "/etc", "a//b", "a\\b", "", "a\nb", "a\n"])
def test_policies_stay_within_the_project(path: str) -> None:
    assert "a path within the project" in findings(json.dumps({"policies": path}))[0]


@pytest.mark.parametrize("path", [".", "./", "policies/", "a/b.mesh", ".mesh/x", "..a/b", "a..b", "...", "ü/世"])
def test_policies_may_be_any_path_within_the_project(path: str) -> None:
    config, found = read_config(source(json.dumps({"policies": path})))
    assert (config.policies, found) == (path, ())


def schema() -> Draft202012Validator:
    document = json.loads(files("meshc").joinpath("schemas/meshc.schema.json").read_text(encoding="utf-8"))
    assert document == config_schema()
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


WORDS = st.sampled_from(("envoy", "a", "B", "", "..", "/x", "a/b", "files", "sds", "warn", "error"))
VALUES = st.one_of(WORDS, st.none(), st.integers(0, 3), st.booleans(), st.lists(WORDS, max_size=3))
KEYS = st.sampled_from(("policies", "targets", "out", "environments", "unsupported", "x"))
SECTIONS = st.dictionaries(st.sampled_from(("certificates", "tls-directory", "x")), VALUES, max_size=2)


@given(st.dictionaries(KEYS, VALUES, max_size=3), st.none() | SECTIONS)
def test_the_schema_for_editors_agrees(settings: dict[str, object], envoy: dict[str, object] | None) -> None:
    """A document is valid by the schema exactly if reading it finds nothing. (JSON is YAML.)"""
    document = settings if envoy is None else {**settings, "envoy": envoy}
    _, found = read_config(source(json.dumps(document)))
    assert schema().is_valid(document) == (not found)


@given(st.text(st.sampled_from("{}[]:,-?&*!|>'\"%@` \n\t#\\xUu0a~<=.\x00\ufeff\ud800"), max_size=60) | st.text())
def test_any_text_is_read_or_explained(text: str) -> None:
    config, found = read_config(source(text))
    assert all(one.name == "invalid-config" and 0 <= one.span.start <= one.span.end for one in found)
    assert not found or config == Config()
