"""What programs mean: one evaluator gives the intermediate form its meaning, and `explain` is that evaluator, remembering."""

from meshc.semantics.decide import Evaluator, decide
from meshc.semantics.normalize import Malformed, normalize
from meshc.semantics.paths import is_comparable, normalize_path

__all__ = ["Evaluator", "Malformed", "decide", "is_comparable", "normalize", "normalize_path"]
