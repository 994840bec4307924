"""meshc, a compiler for service-mesh policy.

What `__all__` lists is the stable interface for those who embed it; any other module may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from meshc._version import __version__

if TYPE_CHECKING:
    from meshc.api import PolicyError, check_policy, compile_policy
    from meshc.diagnostics import Diagnostic
    from meshc.target import Document

__all__ = ["Diagnostic", "Document", "PolicyError", "__version__", "check_policy", "compile_policy"]

_PLACES = {
    "Diagnostic": "meshc.diagnostics",
    "Document": "meshc.target",
    "PolicyError": "meshc.api",
    "check_policy": "meshc.api",
    "compile_policy": "meshc.api",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: the command line starts without most of them (PEP 562)."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module `meshc` has no attribute `{name}`")
