"""Mesh configuration: what a program relies on and no resource can say -> a fragment of Istio's MeshConfig.

Values for the chart of istiod; it is not applied as an object, and whoever runs the mesh has to take it over.
"""

from collections.abc import Mapping
from typing import Final

from meshc import ir
from meshc.kubernetes.layout import MESH
from meshc.target import Document, Json
from meshc_istio.telemetry import providers
from meshc_istio.traffic import mesh_settings

_NOTE: Final = """\
IMPORTANT: these are settings of Istio itself, not objects: `kubectl apply -k` leaves them out.
The rules beside this file mean what the program says only if Istio is installed with them: take them over into its MeshConfig
(with Helm: `helm upgrade istiod istio/istiod --namespace istio-system --reuse-values --values mesh.yaml`)."""


def mesh_config(mesh: ir.Mesh) -> Document:
    """`mesh.yaml`."""
    config: dict[str, Json] = {
        "trustDomain": mesh.trust_domain,
        # Rules are judged on the path that the application gets: dot segments and repeated slashes taken out.
        "pathNormalization": {"normalization": "MERGE_SLASHES"},
        # Sidecars would repeat a request that was reset, whatever the program says of retries.
        "defaultInboundHttpRetryPolicy": {},
    }
    config |= mesh_settings(mesh)
    if mesh.trusted_hops:
        topology: Mapping[str, Json] = {"numTrustedProxies": mesh.trusted_hops}
        config["defaultConfig"] = {"gatewayTopology": topology}
    if listed := providers(mesh):
        config["extensionProviders"] = listed
    return Document(path=MESH, resources=({"meshConfig": config},), sources=(mesh.span,), note=_NOTE)
