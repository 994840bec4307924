"""Covering: what is included, less what is excluded, is always exactly what was wanted."""

from hypothesis import given
from hypothesis import strategies as st

from meshc.difference.covering import Cover, Part, Wanted, cover

SINGLES = [Part(name, 1 << at) for at, name in enumerate("abcdef")]
EVERYTHING = Part("all", 0b111111)
FRONT = Part("front", 0b000111)


def meaning(found: Cover, parts: list[Part]) -> int:
    cells = {part.name: part.cells for part in parts}
    include = exclude = 0
    for name in found.include:
        include |= cells[name]
    for name in found.exclude:
        exclude |= cells[name]
    return include & ~exclude


def test_one_part_that_fits_is_that_part() -> None:
    assert cover(Wanted(0b111), [EVERYTHING, FRONT, *SINGLES]) == Cover(("front",))
    assert cover(Wanted(0b111111), [EVERYTHING, FRONT, *SINGLES]) == Cover(("all",))


def test_parts_and_singles() -> None:
    assert cover(Wanted(0b010111), [EVERYTHING, FRONT, *SINGLES]) == Cover(("front", "e"))


def test_all_but_one_is_said_with_an_exception() -> None:
    assert cover(Wanted(0b111110), [EVERYTHING, FRONT, *SINGLES]) == Cover(("all",), ("a",))


def test_exceptions_use_the_largest_parts() -> None:
    assert cover(Wanted(0b111000), [EVERYTHING, FRONT]) == Cover(("all",), ("front",))


def test_nothing_and_what_cannot_be_said() -> None:
    assert cover(Wanted(0), SINGLES) == Cover(())
    assert cover(Wanted(0b11), [Part("odd", 0b101)]) is None


def test_what_is_optional_may_be_said_where_that_is_simpler() -> None:
    assert cover(Wanted(0b011, optional=0b100), [FRONT, *SINGLES]) == Cover(("front",))
    assert cover(Wanted(0b001, optional=0b110), [FRONT, *SINGLES]) == Cover(("a",))
    assert cover(Wanted(0b111001, optional=0b100), [EVERYTHING, *SINGLES]) == Cover(("all",), ("b",))


@given(
    st.lists(st.integers(1, 0b1111111), max_size=6),
    st.integers(0, 0b1111111),
    st.integers(0, 0b1111111),
    st.sampled_from([(), tuple(Part(f"s{at}", 1 << at) for at in range(7))]),
)
def test_a_cover_is_exact(sets: list[int], cells: int, optional: int, singles: tuple[Part, ...]) -> None:
    parts = [Part(f"p{at}", some) for at, some in enumerate(sets)]
    parts += singles
    wanted = Wanted(cells, optional & ~cells)
    found = cover(wanted, parts)
    if singles:
        assert found is not None
    if found is not None:
        said = meaning(found, parts)
        assert not cells & ~said
        assert not said & ~wanted.allowed
