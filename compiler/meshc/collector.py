"""The cyclic garbage collector, kept from walking growing trees again and again.

What meshc builds has no cycles, and at Python's defaults a third of a compile and half of parsing would go into looking for them.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NEW_OBJECTS: Final = 500_000


def collect_rarely() -> None:
    """For the whole process: wait for half a million new objects, which bounds what cycles of others could pile up."""
    gc.set_threshold(_NEW_OBJECTS, 20, 100)


@contextmanager
def uncollected() -> Iterator[None]:
    """Not at all, for as long as a block runs, or a function that this decorates."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
