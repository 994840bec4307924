"""Translation validation: what was compiled, read back, means what the program says. `meshc verify`, and every `compile`."""

from meshc.verification.narrowed import narrowed
from meshc.verification.read_back import ReadBackError, read_back, read_texts, texts_of
from meshc.verification.verify import verify, verify_files

__all__ = ["ReadBackError", "narrowed", "read_back", "read_texts", "texts_of", "verify", "verify_files"]
