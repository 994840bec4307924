"""The commands that run sidecars, as argparse knows them: `meshc run` and `meshc proxy`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from meshc.cli.command_parts import Parser, add_command, add_environment, add_program

if TYPE_CHECKING:
    from meshc.cli.command_parts import Commands


def add_run(commands: "Commands", common: Parser) -> None:
    """`meshc run`."""
    parser = add_command(
        commands,
        common,
        "run",
        "run a whole program on this machine: a sidecar for each service, stub services, and every request shown",
        "meshc run policies/ --via istio --service payments=127.0.0.1:9000",
    )
    add_program(parser)
    add_environment(parser, "run this environment")
    parser.add_argument(
        "--via", metavar="TARGET", help="run what is compiled for this target, read back (default: envoy)"
    )
    parser.add_argument(
        "--engine", choices=("proxy", "envoy"), default="proxy", help="the sidecars: reference proxies, or real Envoys"
    )
    parser.add_argument(
        "--service",
        dest="apps",
        action="append",
        default=[],
        metavar="NAME=ADDRESS",
        help="your own application instead of a stub: its address and port; may be given several times",
    )
    parser.add_argument("--once", action="store_true", help="send the requests of the program's tests, and end")


def add_proxy(commands: "Commands", common: Parser) -> None:
    """`meshc proxy`."""
    parser = add_command(
        commands,
        common,
        "proxy",
        "run one service's sidecar: the reference proxy, for a laptop, CI, or a machine without Envoy",
        "meshc proxy --config deploy/envoy/bank/payments.yaml --tls /etc/meshc/tls",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="what to run: an Envoy bootstrap as compiled, or a directory of compiled files; read again when it changes",
    )
    parser.add_argument(
        "--service", metavar="NAMESPACE/NAME", help="whose proxy this is, where the files are several's"
    )
    parser.add_argument(
        "--program",
        type=Path,
        metavar="PATH",
        help="the program that says which services there are, for Istio's and Linkerd's files",
    )
    add_environment(parser, "the program's environment")
    parser.add_argument(
        "--listen", metavar="ADDRESS", help="where to serve, if the files do not say (default: 0.0.0.0)"
    )
    parser.add_argument(
        "--application",
        metavar="ADDRESS",
        help="where the application is, if the files do not say (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--tls",
        metavar="DIR",
        help="cert.pem, key.pem and <trust domain>.pem (default: where the files say, else /etc/meshc/tls)",
    )
    parser.add_argument(
        "--admin",
        default="127.0.0.1:15000",
        metavar="ADDRESS",
        help="the admin endpoint, or off (default: 127.0.0.1:15000)",
    )
    parser.add_argument(
        "--drain",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long requests under way may take once it is told to end (default: 30)",
    )


def _seconds(text: str) -> float:
    """A number of seconds, not negative."""
    try:
        found = float(text.removesuffix("s"))
    except ValueError:
        found = -1.0
    if not 0 <= found < 86400:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of seconds")
    return found
