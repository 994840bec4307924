"""Check Kubernetes objects against the CustomResourceDefinitions of a cluster, as its API server would on creation.

`read_crds` reads definitions; `Checker.of` prepares them; `Checker.check` says what a server would refuse, and what it would
drop in silence. Needs `meshc[validate]`; import this only where that is asked for.
"""

from meshc.crds.check import Checker, Problem
from meshc.crds.read import Crd, CrdError, read_crds

__all__ = ["Checker", "Crd", "CrdError", "Problem", "read_crds"]
