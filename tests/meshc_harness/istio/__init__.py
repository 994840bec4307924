"""An evaluator of Istio's documented semantics in sidecar mode, for access and for routes.

It takes plain YAML documents and says what a sidecar would do; what Istio would refuse, ignore or read otherwise than it looks is
`RejectedError`: nothing that meshc emits may depend on it.
"""

from meshc_harness.istio.access import Access, Answer
from meshc_harness.istio.objects import Cluster, Pod, RejectedError
from meshc_harness.istio.requests import RawRequest
from meshc_harness.istio.routes import Routes, Sent

__all__ = ["Access", "Answer", "Cluster", "Pod", "RawRequest", "RejectedError", "Routes", "Sent"]
