"""Differences of several environments as one: what differs alike in several of them is said once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from meshc.difference.model import Difference, Region, SettingChange, Subject, SubjectDifference, Undecided

Environment = str | None
"""None is the program without an environment."""

Finding = Region | SettingChange | Undecided


def merge(
    found: Iterable[tuple[Environment, Difference]], *, added: Sequence[str] = (), removed: Sequence[str] = ()
) -> Difference:
    """All differences together, by subject.

    `added` and `removed` are the environments that only the new side, or only the old one, has.
    """
    listed = tuple(found)
    subjects: dict[Subject, list[_Merged]] = {}
    for environment, difference in listed:
        for one in difference.subjects:
            _merged(subjects.setdefault(one.subject, []), one).add(environment, one)
    return Difference(
        subjects=tuple(
            part for subject in sorted(subjects, key=str) for merged in subjects[subject] for part in merged.parts()
        ),
        compared=max((difference.compared for _, difference in listed), default=0),
        environments=tuple(environment for environment, _ in listed),
        added_environments=tuple(added),
        removed_environments=tuple(removed),
    )


@dataclass(slots=True)
class _Merged:
    """A subject with all its findings, each with where it was found. `bare` has none of them."""

    bare: SubjectDifference
    everywhere: list[Environment] = field(default_factory=list)
    found: dict[object, tuple[Finding, list[Environment]]] = field(default_factory=dict)

    def add(self, environment: Environment, one: SubjectDifference) -> None:
        self.everywhere.append(environment)
        findings: tuple[Finding, ...] = (*one.regions, *one.settings, *one.undecided)
        for finding in findings:
            self.found.setdefault(_key(finding), (finding, []))[1].append(environment)

    def parts(self) -> Iterator[SubjectDifference]:
        """The subject once for each set of environments in which some findings are the same."""
        sets: dict[tuple[Environment, ...], list[Finding]] = {}
        if not self.found:
            sets[tuple(self.everywhere)] = []
        for finding, places in self.found.values():
            sets.setdefault(tuple(places), []).append(finding)
        for environments, findings in sets.items():
            yield replace(
                self.bare,
                regions=tuple(one for one in findings if isinstance(one, Region)),
                settings=tuple(one for one in findings if isinstance(one, SettingChange)),
                undecided=tuple(one for one in findings if isinstance(one, Undecided)),
                environments=environments,
            )


def _merged(known: list[_Merged], one: SubjectDifference) -> _Merged:
    """The entry for a subject that is known in the same way: as added, say, in one environment and changed in another."""
    bare = replace(one, regions=(), settings=(), undecided=(), environments=())
    for merged in known:
        if merged.bare == bare:
            return merged
    known.append(_Merged(bare))
    return known[-1]


def _key(finding: Finding) -> object:
    """What makes two findings the same; which request shows it is no matter."""
    match finding:
        case Region():
            return finding.change, finding.scope, finding.old, finding.new
        case SettingChange():
            return replace(finding, witness=None)
        case Undecided():
            return finding
