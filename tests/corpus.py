"""Real applications' manifests and policies, for tests of what people have; they are not ours to copy.

`MESHC_CORPUS` names a folder with `online-boutique/` and `bookinfo/`.
"""

import os
from pathlib import Path
from typing import Final

import pytest

CORPUS: Final = Path(os.environ.get("MESHC_CORPUS") or Path(__file__).parents[1].parent / "shared" / "corpus")


def corpus_file(path: str) -> Path:
    """The file or folder of that name; skips the test where it is missing, and fails in CI."""
    place = CORPUS / path
    if not place.exists():
        message = f"no corpus at {CORPUS}: set MESHC_CORPUS to a folder that holds {path}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return place
