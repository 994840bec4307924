"""The golden cases, and how they are compiled: through the same stages as `meshc compile`."""

from pathlib import Path

from meshc.target import Emission
from meshc.yaml_printer import print_documents
from meshc_envoy import TARGET
from meshc_harness.compare import analyze_text

GOLDEN = Path(__file__).parent / "golden"


def cases() -> list[str]:
    """The names of all cases."""
    return sorted(path.parent.name for path in GOLDEN.glob("*/policy.mesh"))


def compile_case(case: str) -> dict[str, str]:
    """The files that a case compiles to, by path."""
    analysis = analyze_text((GOLDEN / case / "policy.mesh").read_text(encoding="utf-8"))
    assert analysis.mesh is not None, analysis.diagnostics
    emission: Emission = TARGET.emit(analysis.mesh, {})
    errors = [one for one in emission.diagnostics if one.severity.value == "error"]
    assert not errors, errors
    return {document.path: print_documents(document.resources) for document in emission.documents}
