"""Inputs: programs of a given size, the same on every machine."""

import random
from datetime import date

from meshc.frontend import Analysis, analyze
from meshc.parse import parse
from meshc.resolve import Module
from meshc.source import SourceFile

_SEED = 20261123


def mesh_text(services: int, *, rules_each: int = 5, routes_each: int = 2) -> str:
    """A mesh in which each service lets a few others in, and routes some of its requests."""
    chance = random.Random(_SEED)  # noqa: S311 - no secret
    lines = ["mesh bench { }", *(f"namespace n{number}" for number in range(20))]
    for number in range(services):
        lines.append(f"service s{number} in n{number % 20} {{ port 8080 http version v1 version v2 }}")
        callers = [chance.randrange(services) for _ in range(rules_each)]
        rules = [
            f"  allow s{caller} to GET|POST /r{place}/{{id}}, /x{place}/**" for place, caller in enumerate(callers)
        ]
        routes = [f"  route /r{place}/{{id}} {{ timeout {place + 1}s }}" for place in range(routes_each)]
        lines += [f"access s{number} {{", *rules, "}", f"traffic s{number} {{", "  timeout 10s", *routes, "}"]
    return "\n".join(lines) + "\n"


def analyze_text(text: str) -> Analysis:
    """The analysis of a program of one file."""
    parsed = parse(SourceFile("bench.mesh", text))
    modules = {"bench.mesh": Module(file=parsed.file, imports={})}
    return analyze(modules, (), {}, environment=None, today=date(2026, 1, 1), earlier=parsed.diagnostics)
