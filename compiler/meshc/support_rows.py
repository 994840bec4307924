"""Rows of the support table."""

from meshc.target import Exactness, Support


def exact(note: str = "") -> Support:
    """Expressed as the language means it; `note` says what is good to know."""
    return Support(exactness=Exactness.EXACT, note=note)


def approximate(note: str, instead: str = "") -> Support:
    """Expressed with a difference, which `note` names; a warning on every compile that meets it."""
    return Support(exactness=Exactness.APPROXIMATE, note=note, instead=instead)


def stricter(note: str, *, is_quiet: bool = False) -> Support:
    """Expressed, and more is refused; a warning unless `is_quiet`."""
    return Support(exactness=Exactness.STRICTER, note=note, is_quiet=is_quiet)


def impossible(note: str, instead: str = "", *, may_omit: bool = False) -> Support:
    """Not expressed: an error wherever a program asks for it, unless `may_omit` and the project says so."""
    return Support(exactness=Exactness.IMPOSSIBLE, note=note, instead=instead, may_omit=may_omit)
