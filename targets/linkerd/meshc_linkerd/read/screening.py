"""Objects that decide who may call and that this reader cannot take into account: what they touch is not known.

Fields of policies that it does read are judged where they are read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject, Step
from meshc.reading.plain import mapping
from meshc.target import Json, PortKey
from meshc_linkerd.read.account import TRAVEL, Account, NotUnderstoodError
from meshc_linkerd.read.authorities import GROUP
from meshc_linkerd.read.pods import Pod, pod_of

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
_INJECT: Final = "linkerd.io/inject"
_INJECTED: Final = frozenset({"enabled", "ingress"})
"""What makes a proxy judge or pass on calls of a pod in another way than its servers and routes say, or than is installed."""


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
    elif one.kind == "Namespace":
        annotations = mapping(mapping(one.data.get("metadata")).get("annotations"))
        inside = [workload for workload in known.workloads if workload.namespace == one.name]
        _screen_annotations(one, annotations, ("metadata", "annotations"), inside, account)
        if annotations.get(_INJECT, "enabled") not in _INJECTED:
            # Its pods may still ask for a proxy; whether they do is not looked for.
            _without_proxy(one, inside, account, "metadata", "annotations", _INJECT)
    elif (pod := pod_of(one)) is not None:
        _screen_pod(pod, known, account)


def _screen_pod(pod: Pod, known: ir.Mesh, account: Account) -> None:
    """What a template says of proxies is for the services whose pods it may make; without a namespace, for all."""
    one = pod.source
    its = [each for each in known.workloads if not one.namespace or pod.may_be_of(each)]
    _screen_annotations(one, pod.annotations, (*pod.steps, "metadata", "annotations"), its, account)
    inject = pod.annotations.get(_INJECT, "enabled")
    if inject not in _INJECTED:
        _without_proxy(one, its, account, *pod.steps, "metadata", "annotations", _INJECT)
    elif inject == "ingress":
        message = "calls that a proxy in ingress mode sends where a header says are not understood"
        error = NotUnderstoodError(message, *pod.steps, "metadata", "annotations", _INJECT)
        account.not_understood(one, error, None, *TRAVEL)
    if pod.spec.get("hostNetwork") is True:
        _without_proxy(one, its, account, *pod.steps, "spec", "hostNetwork")
    if pod.spec.get("automountServiceAccountToken") is False:
        _without_proxy(one, its, account, *pod.steps, "spec", "automountServiceAccountToken")


def _without_proxy(one: ConfigObject, its: Iterable[ir.Workload], account: Account, *steps: Step) -> None:
    """Source: Linkerd, "Automatic Proxy Injection"."""
    error = NotUnderstoodError("pods without a proxy let everybody in, and call as nobody", *steps)
    ports = tuple(_ports(its))
    if ports:
        account.not_understood(one, error, ports, *Aspect)


def _screen_annotations(
    one: ConfigObject,
    found: Mapping[str, Json],
    steps: tuple[Step, ...],
    its: Sequence[ir.Workload],
    account: Account,
) -> None:
    for name in sorted(_ANNOTATIONS.keys() & found.keys()):
        error = NotUnderstoodError(f"the annotation `{name}` is not understood", *steps, name)
        ports = None if name == _OF_CALLERS else tuple(_ports(its))
        account.not_understood(one, error, ports, *_ANNOTATIONS[name])


def _ports(workloads: Iterable[ir.Workload]) -> Iterator[PortKey]:
    for workload in workloads:
        for port in workload.ports:
            yield workload.namespace, workload.name, port.number
