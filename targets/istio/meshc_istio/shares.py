"""Shares: percentages, which the language keeps to a ten-thousandth as Istio does, as numbers and weights."""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd

from meshc_istio.resources.networking import Percent


def percent(share: float) -> Percent:
    """A percentage, without a point where it is whole."""
    return Percent(value=int(share) if share == int(share) else share)


def whole_weights(percentages: Sequence[float]) -> tuple[int, ...]:
    """Integers in the same proportion; percentages that are whole stay as they are."""
    shares = [Fraction(str(one)) for one in percentages]
    scale = 1
    for share in shares:
        scale = scale * share.denominator // gcd(scale, share.denominator)
    return tuple(int(share * scale) for share in shares)
