"""What every renderer says the same way: counts, the state of environments, the order of what is listed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from meshc.difference.model import Answer, Blame, Change, Difference, Presence, Region, SettingChange, SubjectDifference

LIMIT: Final = 10
"""How many regions, and how many settings, of one subject people are shown unless they ask for all."""

HEADINGS: Final = {
    Change.OPENED: "opened",
    Change.CLOSED: "closed",
    Change.CHANGED: "answered differently",
    Change.ROUTING: "goes elsewhere",
}
_SHORT: Final = {
    Change.OPENED: "opened",
    Change.CLOSED: "closed",
    Change.CHANGED: "answered differently",
    Change.ROUTING: "routed differently",
}

BLAMED: Final = 3
"""How many rules are shown to have one say, unless all are wanted."""

_NAMED: Final = 4
"""How many of the subjects of such a setting are named."""

_MANY: Final = 3
"""From how many subjects on a setting that changed alike is said once."""

_SUBJECTS_PER_REGION: Final = 4
"""So many times more subjects than regions of one are shown."""

_GRAVITY: Final = (
    Change.OPENED,
    Change.WEAKENED_MTLS,
    Change.CLOSED,
    Change.ROUTING,
    Change.CHANGED,
    Change.SETTINGS,
)

Item = TypeVar("Item", Region, SettingChange, Blame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown(Generic[Item]):
    """The first of some items, and how many more there are."""

    items: tuple[Item, ...]
    hidden: int


def first(items: Sequence[Item], limit: int | None) -> Shown[Item]:
    """At most `limit` items; None for all of them."""
    shown = tuple(items if limit is None else items[:limit])
    return Shown(items=shown, hidden=len(items) - len(shown))


def blamed(answer: Answer, limit: int | None) -> Shown[Blame]:
    """What decides, as far as it is shown where a subject has at most `limit` regions."""
    return first(answer.blame, None if limit is None else BLAMED)


def counted(count: int, one: str, several: str = "") -> str:
    """`1 port`, `2 ports`."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"


def verdict(difference: Difference) -> str:
    """One line that says what was found, of everything."""
    where = _environments_compared(difference)
    if difference.is_empty:
        return f"nothing changed: {counted(difference.compared, 'port')} compared{where}"
    ports = [one for one in difference.subjects if one.subject.port is not None]
    parts = [f"{len({one.subject for one in ports})} of {counted(difference.compared, 'port')} changed{where}"]
    counts = {change: _count(difference.subjects, change) for change in HEADINGS}
    parts += [f"{count} {_SHORT[change]}" for change, count in counts.items() if count]
    settings = sum(len(one.settings) for one in difference.subjects)
    parts += [counted(settings, "setting")] if settings else []
    weakened = sum(one.weakens for subject in difference.subjects for one in subject.settings)
    parts += [f"{weakened} weaker mTLS"] if weakened else []
    undecided = sum(len(one.undecided) for one in difference.subjects)
    parts += [f"{undecided} not decided"] if undecided else []
    return ", ".join(parts)


def _count(subjects: Iterable[SubjectDifference], change: Change) -> int:
    return sum(one.change is change for subject in subjects for one in subject.regions)


def _environments_compared(difference: Difference) -> str:
    named = [one for one in difference.environments if one is not None]
    if not named:
        return ""
    listed = ", ".join(f"`{one}`" for one in named)
    noun = "environment" if len(named) == 1 else "environments"
    return f" ({f'without environment and in {noun}' if None in difference.environments else f'in {noun}'} {listed})"


def notes(difference: Difference) -> tuple[str, ...]:
    """What is said of environments that one side lacks."""
    return (
        *(
            f"environment `{name}` is new; it was compared with the old program without environment"
            for name in difference.added_environments
        ),
        *(
            f"environment `{name}` is gone; it was compared with the new program without environment"
            for name in difference.removed_environments
        ),
    )


def environments_of(subject: SubjectDifference, difference: Difference) -> str:
    """Where a subject differs so; empty where that is everywhere that was compared."""
    if set(subject.environments) == set(difference.environments):
        return ""
    named = [f"`{one}`" for one in subject.environments if one is not None]
    words = ["without environment"] if None in subject.environments else []
    words += [f"in environment{'' if len(named) == 1 else 's'} {', '.join(named)}"] if named else []
    return " and ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A setting that changed in the same way on several subjects."""

    setting: SettingChange
    subjects: tuple[SubjectDifference, ...]

    @property
    def names(self) -> str:
        """The first of them, and how many more there are."""
        shown = [str(one.subject) for one in self.subjects[:_NAMED]]
        more = len(self.subjects) - len(shown)
        return f"{', '.join(shown)}{f' and {more} more' if more else ''}"


def share(difference: Difference, limit: int | None) -> tuple[tuple[Shared, ...], Difference]:
    """The settings that changed alike on many subjects, and the difference without them; none where all is wanted."""
    if limit is None:
        return (), difference
    alike: dict[tuple[SettingChange, tuple[str | None, ...]], list[SubjectDifference]] = {}
    for subject in difference.subjects:
        if subject.presence is Presence.BOTH:
            for setting in subject.settings:
                alike.setdefault((_as_shared(setting), subject.environments), []).append(subject)
    shared = {key: found for key, found in alike.items() if len(found) >= _MANY}
    left = (
        replace(
            one, settings=tuple(each for each in one.settings if (_as_shared(each), one.environments) not in shared)
        )
        for one in difference.subjects
    )
    subjects = tuple(one for one in left if not one.is_empty)
    return (
        tuple(Shared(setting=setting, subjects=tuple(found)) for (setting, _), found in shared.items()),
        replace(difference, subjects=subjects),
    )


def _as_shared(setting: SettingChange) -> SettingChange:
    """What two changes have in common that are said once; their places, mostly one line for all of them, may differ."""
    return replace(setting, witness=None, old_place=None, new_place=None)


def shown_subjects(difference: Difference, limit: int | None) -> tuple[SubjectDifference, ...]:
    """The subjects to show, in order of their names: where there are too many, those with the gravest changes."""
    most = None if limit is None else limit * _SUBJECTS_PER_REGION
    if most is None or len(difference.subjects) <= most:
        return difference.subjects
    gravest = sorted(range(len(difference.subjects)), key=lambda at: (_gravity(difference.subjects[at]), at))
    return tuple(difference.subjects[at] for at in sorted(gravest[:most]))


def _gravity(subject: SubjectDifference) -> int:
    """The lower, the graver."""
    return min((_GRAVITY.index(change) for change in subject.changes), default=len(_GRAVITY))


def headline(subject: SubjectDifference) -> str:
    """`changed http port`, `added service`; what a subject is and what happened to it."""
    return f"{subject.presence.value} {subject.kind}".strip()


def regions_in_order(subject: SubjectDifference) -> tuple[Region, ...]:
    """What opened first, as it matters most; the regions of one kind stay in their order."""
    return tuple(one for change in HEADINGS for one in subject.regions if one.change is change)
