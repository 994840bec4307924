"""An evaluator of Linkerd's documented semantics, written from its documentation and not from what meshc emits.

It takes plain YAML documents and says what a meshed proxy would do. What a cluster would refuse, ignore or leave to chance
(ages of objects, ties between routes) is `RejectedError`: nothing that meshc emits may depend on it.
"""

from meshc_harness.linkerd.inbound import Answer, Inbound
from meshc_harness.linkerd.matching import Precedence, RawRequest
from meshc_harness.linkerd.objects import Cluster, Pod, RejectedError
from meshc_harness.linkerd.outbound import Outbound, Sent

__all__ = ["Answer", "Cluster", "Inbound", "Outbound", "Pod", "Precedence", "RawRequest", "RejectedError", "Sent"]
