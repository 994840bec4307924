"""Quick fixes: removals of what does nothing, offered only where they are proven to change nothing."""

from meshc.fixing.apply import apply_fixes, fixed_texts
from meshc.fixing.prove import Prover, with_fixes

__all__ = ["Prover", "apply_fixes", "fixed_texts", "with_fixes"]
