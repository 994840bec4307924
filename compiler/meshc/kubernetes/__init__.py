"""What targets that emit Kubernetes objects have in common: models, names, metadata, and which file an object goes to."""

from meshc.kubernetes.layout import Placed, lay_out
from meshc.kubernetes.metadata import metadata, object_name, rule_anchor, span_anchor
from meshc.kubernetes.models import ApiModel, Metadata, Resource, resource_data

__all__ = [
    "ApiModel",
    "Metadata",
    "Placed",
    "Resource",
    "lay_out",
    "metadata",
    "object_name",
    "resource_data",
    "rule_anchor",
    "span_anchor",
]
