"""Which tests of one string can hold together, exactly: every possible set of them, each with a string for which they do.

Nearly all policies test exact strings, prefixes and path templates; those take a direct path. Expressions are read into
automata over bytes. `docs/decisions/006-regular-languages.md` says why it is done so.
"""

from meshc.semantics.languages.model import Signature, TooComplexError, Universe
from meshc.semantics.languages.paths import path_signatures
from meshc.semantics.languages.sending import as_sent
from meshc.semantics.languages.texts import text_signatures

__all__ = ["Signature", "TooComplexError", "Universe", "as_sent", "path_signatures", "text_signatures"]
