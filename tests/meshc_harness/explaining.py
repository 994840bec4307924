"""A program as a text and a request -> its explanation, and what would change a refusal."""

from pathlib import Path

from meshc.cli.sides import groups_of
from meshc.decisions_json import RequestReader
from meshc.explaining.model import Remedies
from meshc.explaining.programs import Program
from meshc.explaining.remedies import remedies_of
from meshc.frontend import analyze
from meshc.load import Loaded
from meshc.parse import parse
from meshc.request import Claim, Request
from meshc.resolve import Module
from meshc.semantics.decide import Evaluator
from meshc.semantics.explain import Explanation, explain
from meshc.source import SourceFile
from meshc_harness.compare import TODAY

PATH = "shop.mesh"


def program_of(text: str, environment: str | None = None) -> Program:
    """A program of one file."""
    source = SourceFile(PATH, text)
    parsed = parse(source)
    loaded = Loaded(
        root=Path(),
        modules={PATH: Module(file=parsed.file, imports={})},
        inventory=(),
        comments={PATH: [(one.text, one.span) for one in parsed.comments]},
        sources={PATH: source},
        diagnostics=parsed.diagnostics,
    )
    analysis = analyze(loaded.modules, (), loaded.comments, environment=environment, today=TODAY)
    assert analysis.mesh is not None, analysis.diagnostics
    return Program(
        modules=loaded.modules,
        loaded=loaded,
        sources=loaded.sources,
        environment=environment,
        today=TODAY,
        analysis=analysis,
        groups=groups_of,
    )


def request_of(program: Program, fields: dict[str, Claim]) -> Request:
    """A request from what `meshc decide` reads."""
    return RequestReader(program.analysis.lowered.mesh).convert(fields)


def explained(program: Program, request: Request) -> tuple[Explanation, Remedies]:
    """Why, and what would change it."""
    evaluator = Evaluator(program.analysis.lowered.mesh)
    explanation = explain(evaluator, request)
    return explanation, remedies_of(program, evaluator, explanation)
