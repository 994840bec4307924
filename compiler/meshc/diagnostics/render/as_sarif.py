"""Diagnostics as SARIF 2.1.0, for code scanning."""

from collections.abc import Iterator, Mapping, Sequence

from meshc.diagnostics.model import Diagnostic, Fix
from meshc.diagnostics.render.cells import visible
from meshc.diagnostics.render.position import position_of
from meshc.diagnostics.render.sarif_log import SarifRule, sarif_artifact, sarif_location, sarif_log, sarif_result
from meshc.diagnostics.rules import RULES
from meshc.source import SourceFile, Span
from meshc.target import Json


def render_sarif(diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceFile]) -> str:
    """One run, its results in the order given; rules are those that were found."""
    names = list(dict.fromkeys(one.name for one in diagnostics))
    rules = [
        SarifRule(
            name=name, level=RULES[name].severity.value, text=RULES[name].summary, help=f"`meshc docs {name}` says more"
        )
        for name in names
    ]
    places = {name: number for number, name in enumerate(names)}
    results = (_result(one, rules[places[one.name]], places[one.name], sources) for one in diagnostics)
    return sarif_log("meshc check", rules, results)


def _result(diagnostic: Diagnostic, rule: SarifRule, number: int, sources: Mapping[str, SourceFile]) -> Json:
    lines = [diagnostic.message if not diagnostic.label else f"{diagnostic.message} ({diagnostic.label})"]
    lines += [f"help: {line}" for item in diagnostic.help for line in item.split("\n")]
    text = "\n".join(map(visible, lines))
    own = [one for _, one in _locations([(diagnostic.span, "")], sources)]
    found = sarif_result(rule, number, text, own, within=diagnostic.span.path)
    related: list[Json] = [
        {**one, "id": place, "message": {"text": visible(words)}}
        for place, (words, one) in enumerate(
            _locations([(label.span, label.text) for label in diagnostic.labels], sources), start=1
        )
    ]
    found |= {"relatedLocations": related} if related else {}
    return found | ({"fixes": [_fix(diagnostic.fix, sources)]} if diagnostic.fix is not None else {})


def _fix(fix: Fix, sources: Mapping[str, SourceFile]) -> Json:
    """The edits of a fix, file by file."""
    files: dict[str, list[Json]] = {}
    for edit in fix.edits:
        for _, location in _locations([(edit.span, "")], sources):
            inserted: dict[str, Json] = {"insertedContent": {"text": edit.text}} if edit.text else {}
            place = location["physicalLocation"]
            if isinstance(place, Mapping):
                files.setdefault(edit.span.path, []).append({"deletedRegion": place["region"], **inserted})
    changes: list[Json] = [
        {"artifactLocation": sarif_artifact(path), "replacements": edits} for path, edits in files.items()
    ]
    return {"description": {"text": visible(fix.title)}, "artifactChanges": changes}


def _locations(
    places: Sequence[tuple[Span, str]], sources: Mapping[str, SourceFile]
) -> Iterator[tuple[str, dict[str, Json]]]:
    """Places in files with their words; what no file declares has no location."""
    for span, words in places:
        position = position_of(span, sources)
        if position.file is not None:
            numbers = {
                "startLine": position.line,
                "startColumn": position.column,
                "endLine": position.end_line,
                "endColumn": position.end_column,
            }
            region = {name: number for name, number in numbers.items() if number is not None}
            yield words, sarif_location(position.file, region)
