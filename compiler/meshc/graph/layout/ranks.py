"""Ranks: the column of each item, so that most links go to the right."""

from collections.abc import Iterable, Sequence
from math import isqrt

Pair = tuple[int, int]


def rank(count: int, pairs: Iterable[Pair]) -> tuple[int, ...]:
    """The columns of items 0 to `count` - 1, from 0. No link stays in a column; those that close a cycle go to the left.

    Items without links share the columns that there are evenly.
    """
    distinct = list(dict.fromkeys(pairs))
    forward = _without_cycles(count, distinct)
    ranks = _longest_paths(count, forward)
    used = {item for pair in distinct for item in pair}
    columns = max((ranks[item] for item in used), default=-1) + 1
    for number, item in enumerate(item for item in range(count) if item not in used):
        ranks[item] = number % columns if columns else number % _columns_without_links(count)
    return tuple(ranks)


def _columns_without_links(count: int) -> int:
    """About as many columns as rows."""
    return max(1, isqrt(count))


def _without_cycles(count: int, pairs: Sequence[Pair]) -> list[Pair]:
    """The links, turned around where a walk from left to right finds that they close a cycle."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    entered = [0] * count
    for source, target in pairs:
        leaving[source].append(target)
        entered[target] += 1
    # Whoever nobody calls comes first, then whoever calls more than it is called.
    order = sorted(range(count), key=lambda item: (entered[item] > 0, entered[item] - len(leaving[item]), item))
    done: set[int] = set()
    backward: set[Pair] = set()
    for start in order:
        if start not in done:
            _walk(start, leaving, done, backward)
    return [(target, source) if (source, target) in backward else (source, target) for source, target in pairs]


def _walk(start: int, leaving: Sequence[Sequence[int]], done: set[int], backward: set[Pair]) -> None:
    """Depth first, without recursion; a link to an item that the walk is still in goes backward."""
    inside = {start}
    waiting = [(start, iter(leaving[start]))]
    while waiting:
        item, targets = waiting[-1]
        target = next(targets, None)
        if target is None:
            waiting.pop()
            inside.discard(item)
            done.add(item)
        elif target in inside:
            backward.add((item, target))
        elif target not in done:
            inside.add(target)
            waiting.append((target, iter(leaving[target])))


def _longest_paths(count: int, pairs: Sequence[Pair]) -> list[int]:
    """As far to the left as can be; then those that call more than they are called move close to what they call."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    entered = [0] * count
    for source, target in dict.fromkeys(pairs):
        leaving[source].append(target)
        entered[target] += 1
    left = list(entered)
    order = [item for item in range(count) if not left[item]]
    ranks = [0] * count
    for item in order:  # grows as it is walked
        for target in leaving[item]:
            ranks[target] = max(ranks[target], ranks[item] + 1)
            left[target] -= 1
            if not left[target]:
                order.append(target)
    for item in reversed(order):
        if len(leaving[item]) > entered[item]:
            ranks[item] = min(ranks[target] for target in leaving[item]) - 1
    return ranks
