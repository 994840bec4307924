"""Did you mean: the candidate that a misspelt word is close to, if one really is."""

from collections.abc import Iterable


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The nearest candidate within a third of the word's length in edits (at least one, a swap of neighbours counts as one).

    Ties go to the first in alphabetical order; None where nothing is close.
    """
    allowed = max(1, len(word) // 3)
    best: tuple[int, str] | None = None
    for candidate in sorted(set(candidates)):
        if candidate == word or abs(len(candidate) - len(word)) > allowed:
            continue
        distance = _distance(word, candidate)
        if distance <= allowed and (best is None or distance < best[0]):
            best = (distance, candidate)
    return None if best is None else best[1]


def _distance(left: str, right: str) -> int:
    """Edits (insert, delete, replace, swap of neighbours) that turn one text into the other."""
    before_last: list[int] = []
    last = list(range(len(right) + 1))
    for i, mine in enumerate(left, 1):
        row = [i]
        for j, theirs in enumerate(right, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (mine != theirs))
            if i > 1 and j > 1 and mine == right[j - 2] and left[i - 2] == theirs:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        before_last, last = last, row
    return last[-1]
