"""The page of what each target can express, made from the targets' own tables."""

from pathlib import Path

from meshc.features import Feature
from meshc.target import Exactness, Support
from meshc.targets import find_target

PAGE = Path(__file__).parents[1] / "docs" / "targets.md"
_TARGETS = ("envoy", "istio", "linkerd")
_HEAD = """# What each mesh can express

Feature by feature, as `meshc targets` prints it. Whatever is marked *no* is an error at the line that asks for it; where *may be left
out* stands, `unsupported: warn` makes it a warning. *Almost* is expressed with the difference named, *stricter* refuses what is named in
addition; both are reported by every compile that meets them, unless HTTP forbids such requests anyway.

"""


def matrix() -> str:
    """The text of the page."""
    targets = [find_target(name) for name in _TARGETS]
    head = " | ".join(f"{target.name.capitalize()} {target.oldest_version}" for target in targets)
    lines = [f"| feature | {head} |", f"| --- {'| --- ' * len(targets)}|"]
    for feature in Feature:
        cells = " | ".join(_cell(target.support[feature]) for target in targets)
        lines.append(f"| {feature.value} | {cells} |")
    return _HEAD + "\n".join(lines) + "\n"


_WORDS = {
    Exactness.EXACT: "yes",
    Exactness.APPROXIMATE: "*almost*",
    Exactness.STRICTER: "*stricter*",
    Exactness.IMPOSSIBLE: "**no**",
}


def _cell(support: Support) -> str:
    word = _WORDS[support.exactness]
    word += " (may be left out)" if support.may_omit else ""
    text = "; ".join(part for part in (support.note, support.instead and f"instead: {support.instead}") if part)
    return (f"{word}: {text}" if text else word).replace("|", "\\|")
