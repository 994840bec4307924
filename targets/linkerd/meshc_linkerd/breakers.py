"""Breakers: ejection of failing endpoints -> annotations of Services, as a kustomize Component.

Linkerd reads failure accrual from the Service itself, which is the user's own object: the component patches it where the
user's kustomization lists it under `components`.
"""

from collections.abc import Mapping

from meshc import ir
from meshc.target import Document, Json
from meshc.yaml_printer import print_yaml
from meshc_linkerd.outbound import duration

FOLDER = "service-annotations"
_ACCRUAL = "balancer.linkerd.io/failure-accrual"


def breaker_component(mesh: ir.Mesh) -> tuple[Document, ...]:
    """The component, if any service has failing endpoints ejected."""
    found = [(workload, _outlier(workload)) for workload in mesh.workloads]
    patches: list[Mapping[str, Json]] = [
        {"patch": print_yaml(_patch(workload, outlier))} for workload, outlier in found if outlier is not None
    ]
    if not patches:
        return ()
    component: Mapping[str, Json] = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": patches,
    }
    spans = tuple(outlier.span for _, outlier in found if outlier is not None)
    return (Document(path=f"{FOLDER}/kustomization.yaml", resources=(component,), sources=spans),)


def _outlier(workload: ir.Workload) -> ir.OutlierDetection | None:
    listed = (port.settings.outlier_detection for port in workload.ports)
    return next((one for one in listed if one is not None and one.consecutive_5xx is not None), None)


def _patch(workload: ir.Workload, outlier: ir.OutlierDetection) -> Mapping[str, Json]:
    ejection = duration(outlier.ejection_ms)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "annotations": {
                _ACCRUAL: "consecutive",
                f"{_ACCRUAL}-consecutive-max-failures": str(outlier.consecutive_5xx),
                f"{_ACCRUAL}-consecutive-max-penalty": ejection,
                f"{_ACCRUAL}-consecutive-min-penalty": ejection,
            },
        },
    }
