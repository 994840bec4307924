"""An evaluator of what Istio documents, over plain YAML documents, written without a look at the emitter.

`IstioMesh.of` reads documents, or refuses them as Istio would (`RejectedError`). `server.answer` says what becomes of a
request that arrives at a workload, `caller.send` what a caller's sidecar does with one that leaves.
"""

from meshc_harness.istio.arrivals import Arrival, Token
from meshc_harness.istio.authentication import Mtls
from meshc_harness.istio.calls import Call, Caller, Destination, Outcome, Retries
from meshc_harness.istio.mesh import IstioMesh, full_name
from meshc_harness.istio.reading import RejectedError
from meshc_harness.istio.server import Answer
from meshc_harness.istio.world import MeshSettings, ServicePort, Workload

__all__ = [
    "Answer",
    "Arrival",
    "Call",
    "Caller",
    "Destination",
    "IstioMesh",
    "MeshSettings",
    "Mtls",
    "Outcome",
    "RejectedError",
    "Retries",
    "ServicePort",
    "Token",
    "Workload",
    "full_name",
]
