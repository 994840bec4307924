"""The command line as argparse knows it: every command with its options and its help; those of sidecars are in `running_commands`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from meshc._version import __version__
from meshc.cli.command_parts import Parser, add_command, add_environment, add_program, add_via
from meshc.cli.running_commands import add_proxy, add_run

if TYPE_CHECKING:
    from meshc.cli.command_parts import Commands


def build_parser() -> argparse.ArgumentParser:
    """The whole command line, for reading it, for its help, and for completion."""
    common = Parser(add_help=False)
    common.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour the output")
    common.add_argument("-q", "--quiet", action="store_true", help="print errors and results alone")
    common.add_argument("-v", "--verbose", action="store_true", help="say more about what is done")
    parser = Parser(
        prog="meshc",
        description="A compiler for service-mesh policy: who may call whom, and how calls travel.",
        epilog="Start with `meshc init`, then `meshc check` and `meshc test`. `meshc docs` explains every message.",
    )
    parser.add_argument("--version", action="version", version=f"meshc {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for add in (
        _check,
        _compile,
        _fmt,
        _verify,
        _test,
        _decide,
        _explain,
        _diff,
        _import,
        add_run,
        add_proxy,
        _graph,
        _init,
        _targets,
        _docs,
        _completion,
    ):
        add(commands, common)
    return parser


def _check(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands,
        common,
        "check",
        "find every mistake in a program",
        "meshc check policies/ --target envoy --format github",
    )
    add_program(parser)
    parser.add_argument("--target", metavar="T,…", help="targets that must be able to express it")
    add_environment(parser, "one environment (default: the program and each of its environments)")
    parser.add_argument(
        "--format",
        choices=("text", "json", "sarif", "github", "junit"),
        default="text",
        help="how to print findings: sarif for code scanning, junit for the reports of a CI",
    )
    parser.add_argument("--watch", action="store_true", help="check again whenever a file changes")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="take away what was found to do nothing, where that is proven to change nothing; then check",
    )
    parser.add_argument("--diff", action="store_true", help="with --fix: write nothing; print what would change")


def _compile(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands,
        common,
        "compile",
        "write the configuration of the targets",
        "meshc compile --target envoy --out deploy/",
    )
    add_program(parser)
    parser.add_argument("--target", metavar="T,…", help="targets to compile to (default: those of meshc.yaml)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: `out` of meshc.yaml)")
    add_environment(
        parser,
        "compile for this environment; `all` makes a folder for each of them, and none for the program without one",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if DIR is not what would be written")
    parser.add_argument(
        "--validate",
        type=Path,
        metavar="CRDS",
        help="check Kubernetes objects against these CustomResourceDefinitions first, a file or a folder of what"
        " `kubectl get crd -o yaml` prints (needs `meshc[validate]`)",
    )
    parser.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="write what was not proven to say what the program says",
    )


def _verify(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands,
        common,
        "verify",
        "prove that compiled files say what the program says",
        "meshc verify --target istio --out deploy/",
    )
    add_program(parser)
    parser.add_argument("--target", metavar="T,…", help="targets to verify (default: those of meshc.yaml)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where the compiled files are (default: what a compile would write)"
    )
    add_environment(parser, "verify for this environment")


def _fmt(commands: "Commands", common: Parser) -> None:
    parser = add_command(commands, common, "fmt", "lay out .mesh files the one way", "meshc fmt policies/")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files and directories, or - for standard input")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    parser.add_argument("--diff", action="store_true", help="write nothing; print what would change")


def _test(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands,
        common,
        "test",
        "run the `test` blocks of a program",
        "meshc test --engine envoy --format junit > report.xml",
    )
    add_program(parser)
    parser.add_argument(
        "--engine",
        choices=("model", "proxy", "envoy"),
        default="model",
        help="who decides: the model, or sidecars that run the compiled files: reference proxies (`meshc[proxy]`) or"
        " real Envoys (`meshc[envoy]`)",
    )
    add_via(parser)
    add_environment(parser, "one environment (default: the program and each of its environments)")
    parser.add_argument("--format", choices=("text", "json", "junit"), default="text", help="how to print results")
    parser.add_argument(
        "--coverage", action="store_true", help="say which rules, clauses, regions and routes no test exercises"
    )
    parser.add_argument("--suggest", action="store_true", help="print tests that exercise what is missing")
    parser.add_argument(
        "--min-coverage",
        dest="min_coverage",
        type=_percentage,
        metavar="PERCENT",
        help="exit with 1 if less than this is exercised",
    )


def _percentage(text: str) -> float:
    """A number from 0 to 100, with or without a percent sign."""
    try:
        found = float(text.removesuffix("%"))
    except ValueError:
        found = -1
    if not 0 <= found <= 100:
        raise argparse.ArgumentTypeError(f"`{text}` is no percentage from 0 to 100")
    return found


def _decide(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands,
        common,
        "decide",
        "decide requests: JSON Lines on standard input, JSON Lines out",
        'echo \'{"from": "frontend", "to": "payments:8080", "method": "GET", "path": "/"}\' | meshc decide',
    )
    add_program(parser)
    parser.add_argument("--engine", choices=("model", "proxy", "envoy"), default="model", help="who decides")
    add_via(parser)
    add_environment(parser, "decide for this environment")


def _explain(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands,
        common,
        "explain",
        "say why a request is allowed or denied",
        'meshc explain policies/ \'frontend POST payments:8080 /charge from 10.1.2.3 with header "x-region" "eu"\'',
    )
    parser.add_argument(
        "words", nargs="+", metavar="[PATH] REQUEST", help="a request as in `test` blocks, or a JSON object"
    )
    add_via(parser)
    add_environment(parser, "explain for this environment")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print the explanation")


def _diff(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands,
        common,
        "diff",
        "say what differs in meaning between two programs or configurations",
        "meshc diff git:main . --fail-on opened,weakened-mtls",
    )
    parser.add_argument(
        "old",
        metavar="OLD",
        help="a .mesh file, a directory, a git revision: git:REV[:PATH]; or YAML or JSON of Istio or Envoy: a file, a directory, or - for standard input",
    )
    parser.add_argument("new", metavar="NEW", help="the same, for what it became")
    add_environment(parser, "one environment (default: the programs and each of their environments)")
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown", "html", "sarif"),
        default="text",
        help="how to print the difference",
    )
    parser.add_argument(
        "--fail-on",
        dest="fail_on",
        metavar="KIND,…",
        help="exit with 1 if any was found: opened, closed, changed, routing, settings, weakened-mtls",
    )
    parser.add_argument("--all", action="store_true", help="print every region, not the largest alone")


def _import(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands,
        common,
        "import",
        "write the program that existing configuration amounts to, proven equal to it",
        "meshc import k8s/ network-policies/ -o policies-repository/",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="FILE",
        help="YAML or JSON: the manifests of the services and what decides about calls between them;"
        " directories are read as a whole, - is standard input",
    )
    parser.add_argument(
        "--from",
        dest="kind",
        choices=("envoy", "gateway", "istio", "linkerd", "networkpolicy"),
        help="import this kind alone (default: all that can be imported)",
    )
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help="the new project's directory")
    parser.add_argument("--force", action="store_true", help="write into a directory that is not empty")


def _graph(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands,
        common,
        "graph",
        "draw who may call whom, and on what condition",
        "meshc graph --format html --namespace shop > shop.html",
    )
    add_program(parser)
    add_environment(parser, "draw this environment")
    parser.add_argument(
        "--format",
        choices=("mermaid", "dot", "svg", "html", "json"),
        default="mermaid",
        help="how to draw it (default: mermaid)",
    )
    parser.add_argument(
        "--service",
        metavar="NAME,…",
        help="only what these services and externals may call, and who may call them",
    )
    parser.add_argument("--namespace", metavar="NAME,…", help="the same for everything in these namespaces")


def _init(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands, common, "init", "start a project: a small program that compiles", "meshc init shop-policies"
    )
    parser.add_argument(
        "path", nargs="?", metavar="DIR", help="where (default: here); existing files are never overwritten"
    )


def _targets(commands: "Commands", common: Parser) -> None:
    parser = add_command(commands, common, "targets", "list what each target can express", "meshc targets envoy")
    parser.add_argument("name", nargs="?", metavar="TARGET", help="one target (default: all that are installed)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print the table")


def _docs(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands, common, "docs", "show the page of a diagnostic or of the language", "meshc docs shared-identity"
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="which page (default: list them)")


def _completion(commands: "Commands", common: Parser) -> None:
    parser = add_command(
        commands,
        common,
        "completion",
        "print a completion script for a shell",
        "meshc completion bash > /etc/bash_completion.d/meshc",
    )
    parser.add_argument("name", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish")
