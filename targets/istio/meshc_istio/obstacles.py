"""Obstacles: what keeps Istio from expressing something, as a value that stages return in place of a result."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why something cannot be said, to follow `istio cannot`, and what to write in its place."""

    reason: str
    advice: str
