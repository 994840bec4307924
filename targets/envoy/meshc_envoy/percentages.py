"""Percentages: shares as the fractions and integer weights that Envoy knows."""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd
from typing import Final

from meshc_envoy.shapes import Object

_DENOMINATORS: Final = ((100, "HUNDRED"), (10_000, "TEN_THOUSAND"), (1_000_000, "MILLION"))


def fractional_percent(percent: float) -> Object:
    """A `FractionalPercent`, to a millionth."""
    share = Fraction(str(percent)) / 100
    for denominator, name in _DENOMINATORS:
        if (share * denominator).denominator == 1:
            return {"numerator": int(share * denominator), "denominator": name}
    denominator, name = _DENOMINATORS[-1]
    return {"numerator": round(share * denominator), "denominator": name}


def whole_weights(percentages: Sequence[float]) -> tuple[int, ...]:
    """Integers in the same proportion; percentages that are whole stay as they are."""
    shares = [Fraction(str(percent)) for percent in percentages]
    scale = 1
    for share in shares:
        scale = scale * share.denominator // gcd(scale, share.denominator)
    return tuple(int(share * scale) for share in shares)
