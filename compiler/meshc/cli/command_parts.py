"""What the commands of the command line share: how they are added, and the arguments that many of them take."""

import argparse
from typing import TYPE_CHECKING, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser of arguments, or of those of one command."""

    def error(self, message: str) -> NoReturn:
        """Like argparse, but in the voice of the other messages."""
        hint = f"{self.prog} --help"
        self.exit(2, f"meshc: {message}\nsee `{hint}`\n")


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]


def add_command(commands: "Commands", common: Parser, name: str, help_text: str, example: str) -> Parser:
    """A command with what all commands have, its help and an example."""
    return commands.add_parser(
        name,
        parents=[common],
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_program(parser: argparse.ArgumentParser) -> None:
    """The path of the program."""
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="a .mesh file or a directory (default: the project found by meshc.yaml)"
    )


def add_environment(parser: argparse.ArgumentParser, help_text: str) -> None:
    """`--env`."""
    parser.add_argument("--env", dest="environment", metavar="NAME", help=help_text)


def add_via(parser: argparse.ArgumentParser) -> None:
    """`--via`."""
    parser.add_argument(
        "--via",
        metavar="TARGET",
        help="answer from what is compiled for this target, read back, and not from the program",
    )
