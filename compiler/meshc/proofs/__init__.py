"""Proofs of invariants, over every possible request."""

from meshc.proofs.prove import prove

__all__ = ["prove"]
