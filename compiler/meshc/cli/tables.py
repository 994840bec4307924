"""`meshc targets`: what each target can express."""

import json

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.features import Feature
from meshc.target import Exactness, Target
from meshc.targets import TargetError, find_target, target_names

_VERSION = 1
"""Of `schemas/targets.schema.json`; raised when a field changes its meaning or goes away."""


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    names = (arguments.name,) if arguments.name else target_names()
    try:
        targets = [find_target(name) for name in names]
    except TargetError as error:
        raise UsageError(str(error)) from error
    if arguments.format == "json":
        console.print(json.dumps({"version": _VERSION, "targets": [_as_json(target) for target in targets]}, indent=2))
    else:
        console.print("\n".join(_as_text(target) for target in targets))
    return 0


def _as_json(target: Target) -> dict[str, object]:
    return {
        "name": target.name,
        "oldest_version": target.oldest_version,
        "features": [
            {
                "feature": feature.value,
                "support": target.support[feature].exactness.value,
                "note": target.support[feature].note,
                "instead": target.support[feature].instead,
                "may_omit": target.support[feature].may_omit,
            }
            for feature in Feature
        ],
    }


def _as_text(target: Target) -> str:
    counts = {one: sum(row.exactness is one for row in target.support.values()) for one in Exactness}
    summary = ", ".join(f"{count} {one.value}" for one, count in counts.items() if count)
    lines = [f"{target.name} (from {target.oldest_version}): {summary}", ""]
    width = max(len(feature.value) for feature in Feature)
    for feature in Feature:
        row = target.support[feature]
        note = "; ".join(part for part in (row.note, row.instead and f"instead: {row.instead}") if part)
        lines.append(f"  {feature.value:<{width}}  {row.exactness.value:<11}  {note}".rstrip())
    return "\n".join(lines) + "\n"
