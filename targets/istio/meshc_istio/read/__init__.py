"""Read Istio: objects as a cluster has them -> the intermediate form, by Istio's documented meaning.

Source: the Istio API reference; `pilot/pkg/security` for what it leaves open.
"""

from meshc_istio.read.reader import ASSUMES, read

__all__ = ["ASSUMES", "read"]
