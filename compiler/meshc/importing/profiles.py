"""Profiles: settings that several blocks have together get a name, made of what they set."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from meshc.importing.settings import Setting
from meshc.source import BUILTIN

LEAST: Final = 2
"""Settings, and uses, of what becomes a profile."""
LEAST_ALONE: Final = 3
"""Uses of a single setting that becomes one, if it is worth a name at all."""
LONG: Final = 20
"""Letters of a setting that is."""
MESH_DEFAULTS: Final = "mesh-defaults"
"""The name of a profile of settings that no file holds: what a mesh does where nothing is said."""
MOST_COMPARED: Final = 200
"""Different blocks of which each pair is looked at for what it has in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A profile and its lines. A block uses the first profile of which it has all lines.

    `is_unsaid`: no file holds any of it, and a mesh does all of that by itself.
    """

    name: str
    texts: tuple[str, ...]
    is_unsaid: bool = False

    def is_used(self, settings: Sequence[Setting]) -> bool:
        """Whether a block with these settings uses it."""
        return {one.text for one in settings} >= set(self.texts)


def find_profiles(blocks: Sequence[Sequence[Setting]]) -> tuple[Profile, ...]:
    """Profiles of which each saves the most lines, of the blocks that use none of those before it."""
    left = [{one.text: one.key for one in some if one.is_shared} for some in blocks]
    order = {text: place for some in left for place, text in enumerate(some)}
    unsaid = {one.text for some in blocks for one in some if one.span == BUILTIN}
    found: list[Profile] = []
    names: Counter[str] = Counter()
    while (best := _best(left)) is not None:
        texts = tuple(sorted(best, key=lambda text: (order[text], text)))
        keys = next(some for some in left if best <= some.keys())
        is_unsaid = unsaid.issuperset(texts)
        name = MESH_DEFAULTS if is_unsaid else "-and-".join(dict.fromkeys(_word(keys[text]) for text in texts))
        names[name] += 1
        shown = name if names[name] == 1 else f"{name}-{names[name]}"
        found.append(Profile(name=shown, texts=texts, is_unsaid=is_unsaid))
        left = [some for some in left if not best <= some.keys()]
    return tuple(found)


def _best(blocks: Sequence[dict[str, str]]) -> frozenset[str] | None:
    sets = list(dict.fromkeys(frozenset(some) for some in blocks))[:MOST_COMPARED]
    candidates = {*sets, *(one & other for one, other in combinations(sets, 2))}
    uses = {one: sum(one <= some.keys() for some in blocks) for one in candidates}
    saved = {one: (count - 1) * len(one) for one, count in uses.items() if _is_worth(one, count)}
    return max(saved, key=lambda one: (saved[one], sorted(one)), default=None)


def _is_worth(texts: frozenset[str], uses: int) -> bool:
    if len(texts) == 1:
        return uses >= LEAST_ALONE and all(len(one) >= LONG for one in texts)
    return len(texts) >= LEAST and uses >= LEAST


def _word(key: str) -> str:
    """The word of the language that a key starts with."""
    return key.split(maxsplit=1)[0].rstrip("'")
