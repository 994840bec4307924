"""Shapes that several resources share: hosts, durations, who a caller's pods are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc_istio.terms import InexpressibleError

_NAMESPACE: Final = "/ns/"


def service_host(mesh: ir.Mesh, namespace: str, name: str) -> str:
    """The full name of a Service."""
    return f"{name}.{namespace}.svc.{mesh.cluster_domain}"


def duration(milliseconds: int) -> str:
    """`5s`, `250ms`."""
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods that call: their namespace, and labels where one service of it is meant. None stands for any."""

    namespace: str | None = None
    labels: Mapping[str, str] | None = None


EVERYBODY: Final = Pods()


def callers(mesh: ir.Mesh, principals: ir.Principals | None) -> tuple[Pods, ...]:
    """The pods of some callers; none where nobody of the mesh is meant. Raises InexpressibleError."""
    if principals is None:
        return (EVERYBODY,)
    if principals.exclude:
        raise InexpressibleError("Istio routes by the labels of callers, and knows no `except`", "list the callers")
    if any(isinstance(one, ir.AnyPeer | ir.AnyIdentity) for one in principals.include):
        return (EVERYBODY,)
    return tuple(dict.fromkeys(pods for one in principals.include for pods in _pods(mesh, one)))


def _pods(mesh: ir.Mesh, principal: ir.Principal) -> Iterator[Pods]:
    match principal:
        case ir.ExactIdentity(identity=identity):
            found = [one for one in mesh.workloads if one.identity == identity]
            if not found:
                raise InexpressibleError("Istio routes by the labels of callers, and no service has this identity")
            yield from (Pods(one.namespace, _frozen(one.labels)) for one in found)
        case ir.IdentityPrefix(prefix=prefix):
            start, _, rest = prefix.partition(_NAMESPACE)
            namespace, _, account = rest.partition("/")
            if start != f"spiffe://{mesh.trust_domain}" or account != "sa/":
                raise InexpressibleError("Istio routes by the namespaces of callers, not by other parts of identities")
            yield Pods(namespace)
        case _:
            yield EVERYBODY


class _Labels(dict[str, str]):
    """Labels that can be told apart in sets."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))


def _frozen(labels: Mapping[str, str]) -> Mapping[str, str]:
    return _Labels(sorted(labels.items()))


def listed(texts: Iterable[str]) -> tuple[str, ...] | None:
    """A list, or nothing at all."""
    return tuple(texts) or None
