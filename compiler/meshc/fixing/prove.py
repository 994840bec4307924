"""Proofs of fixes: the program after the edits, read again, means what it meant, in every environment.

Access, routes and settings are compared over all requests; tests and invariants must ask what they asked. What cannot be decided
proves nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from meshc.diagnostics import Diagnostic, Fix, Severity
from meshc.difference.compare import Comparer
from meshc.difference.model import Side
from meshc.fixing.apply import apart, fixed_texts
from meshc.fixing.propose import propose
from meshc.frontend import environments
from meshc.load import Loaded
from meshc.lower.program import Lowered, lower
from meshc.parse import parse
from meshc.resolve import Module, collect
from meshc.source import BUILTIN, SourceFile

MOST_OFFERED: Final = 20
"""How many findings of one run get a fix: each proof costs as much as an analysis of the program."""


def with_fixes(found: Sequence[Diagnostic], loaded: Loaded) -> tuple[Diagnostic, ...]:
    """The findings, the first ones with a fix where there is a proven one."""
    prover, left = Prover(loaded=loaded), MOST_OFFERED
    fixed: list[Diagnostic] = []
    for one in found:
        fix = prover.proposal(one) if left else None
        if fix is not None:
            left -= 1
            fix = fix if prover.is_proven((fix,)) else None
        fixed.append(replace(one, fix=fix))
    return tuple(fixed)


@dataclass(slots=True, kw_only=True)
class Prover:
    """Asks of edits of one program whether they change what it means."""

    loaded: Loaded
    _before: Mapping[str | None, Lowered] | None = None
    _comparer: Comparer = field(default_factory=Comparer)

    def proposal(self, found: Diagnostic) -> Fix | None:
        """The edit that mends a finding, not yet proven."""
        comments = [span for _, span in self.loaded.comments.get(found.span.path, ())]
        return propose(found, self.loaded.modules, self.loaded.sources, comments)

    def proven(self, found: Iterable[Diagnostic]) -> tuple[Fix, ...]:
        """Fixes of findings that may all be applied together: as many as can be proven."""
        proposed = [fix for one in found if (fix := self.proposal(one)) is not None]
        together = apart(proposed)
        if self.is_proven(together):
            return together
        kept: tuple[Fix, ...] = ()
        for one in together:
            kept = (*kept, one) if self.is_proven((*kept, one)) else kept
        return kept

    def is_proven(self, fixes: Sequence[Fix]) -> bool:
        """Whether the program means the same after all of these fixes."""
        modules = self._edited(fixes)
        if modules is None:
            return False
        if self._before is None:
            self._before = self._lowered(self.loaded.modules)
        after = self._lowered(modules)
        return self._before.keys() == after.keys() and all(
            self._is_same(old, after[name]) for name, old in self._before.items()
        )

    def _edited(self, fixes: Sequence[Fix]) -> dict[str, Module] | None:
        modules = dict(self.loaded.modules)
        for path, text in fixed_texts(fixes, self.loaded.sources).items():
            parsed = parse(SourceFile(path, text))
            if parsed.diagnostics:
                return None
            modules[path] = replace(modules[path], file=parsed.file)
        return modules

    def _lowered(self, modules: Mapping[str, Module]) -> dict[str | None, Lowered]:
        """Nothing expires here: what is proven today must hold tomorrow."""
        names: tuple[str | None, ...] = (None, *environments(modules))
        return {name: lower(collect(modules, self.loaded.inventory, name)[0], today=date.min) for name in names}

    def _is_same(self, old: Lowered, new: Lowered) -> bool:
        if any(one.severity is Severity.ERROR for one in (*old.diagnostics, *new.diagnostics)):
            return False
        asks_the_same = old.tests == new.tests and _claims(old) == _claims(new)
        return asks_the_same and self._comparer.compare(Side(mesh=old.mesh), Side(mesh=new.mesh)).is_empty


def _claims(lowered: Lowered) -> list[tuple[object, ...]]:
    """What invariants claim, wherever they stand."""
    return [(one.title, *(replace(claim, span=BUILTIN) for claim in one.claims)) for one in lowered.invariants]
