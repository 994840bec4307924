"""Objects that decide who may call and that this reader cannot take into account: what they touch is not known.

Fields of policies that it does read are judged where they are read.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject, Step
from meshc.reading.plain import mapping
from meshc.target import PortKey
from meshc_linkerd.read.account import TRAVEL, Account, NotUnderstoodError
from meshc_linkerd.read.authorities import GROUP

_READ: Final = frozenset(
    {
        "AuthorizationPolicy",
        "HTTPRoute",
        "MeshTLSAuthentication",
        "NetworkAuthentication",
        "Server",
        "ServerAuthorization",
    }
)
_NOT_ABOUT_ACCESS: Final = frozenset({"EgressNetwork", "HTTPLocalRateLimitPolicy"})
_OF_CALLERS: Final = "config.linkerd.io/skip-outbound-ports"
_ANNOTATIONS: Final[Mapping[str, tuple[Aspect, ...]]] = {
    "config.linkerd.io/access-log": (Aspect.SETTINGS,),
    "config.linkerd.io/default-inbound-policy": (Aspect.ACCESS,),
    "config.linkerd.io/opaque-ports": tuple(Aspect),
    "config.linkerd.io/proxy-inbound-connect-timeout": (Aspect.SETTINGS,),
    "config.linkerd.io/proxy-outbound-connect-timeout": (Aspect.SETTINGS,),
    "config.linkerd.io/proxy-require-identity-inbound-ports": (Aspect.ACCESS,),
    "config.linkerd.io/skip-inbound-ports": (Aspect.ACCESS,),
    _OF_CALLERS: TRAVEL,
    "config.linkerd.io/skip-subnets": (Aspect.ACCESS,),
}
"""What makes a proxy judge or pass on calls of a pod in another way than its servers and routes say, or than is installed."""

_OF_PODS: Final[Mapping[str, tuple[Step, ...]]] = {
    "Namespace": ("metadata", "annotations"),
    "Pod": ("metadata", "annotations"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "metadata", "annotations"),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"),
        ("spec", "template", "metadata", "annotations"),
    ),
}


def screen(one: ConfigObject, known: ir.Mesh, account: Account) -> None:
    """Note an object that the reader passes over although it may decide about calls."""
    if one.group == GROUP:
        if one.kind not in _READ | _NOT_ABOUT_ACCESS:
            account.not_understood(
                one, NotUnderstoodError(f"objects of the kind `{one.kind}` are not understood"), None
            )
        elif not one.namespace and one.kind in _READ:
            error = NotUnderstoodError("an object without a namespace gets the one it is applied in", "metadata")
            account.not_understood(one, error, None)
    elif one.kind in _OF_PODS:
        _screen_annotations(one, known, account)


def _screen_annotations(one: ConfigObject, known: ir.Mesh, account: Account) -> None:
    steps = _OF_PODS[one.kind]
    found = one.data
    for step in steps:
        found = mapping(found.get(str(step)))
    for name in sorted(_ANNOTATIONS.keys() & found.keys()):
        namespace = one.name if one.kind == "Namespace" else one.namespace
        error = NotUnderstoodError(f"the annotation `{name}` is not understood", *steps, name)
        # Which pods a template is for only its labels say: all of the namespace is in doubt, and all that is called from there.
        is_own = namespace and name != _OF_CALLERS
        account.not_understood(one, error, tuple(_ports(known, namespace)) if is_own else None, *_ANNOTATIONS[name])


def _ports(known: ir.Mesh, namespace: str) -> Iterator[PortKey]:
    for workload in known.workloads:
        if workload.namespace == namespace:
            for port in workload.ports:
                yield workload.namespace, workload.name, port.number
