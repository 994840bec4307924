"""The account of a reading: what was not understood, and what was taken for granted, as it is found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from meshc.reading import Aspect, Assumption, ConfigObject, Step, Unknown
from meshc.target import PortKey

LOOPBACK: Final = "nothing calls from the pod's own loopback address, from which Linkerd lets everything in"
NAMES: Final = "Linkerd's name of a service account stands for its SPIFFE id, in every trust domain"
ASCII: Final = "header values that are tested are ASCII, without blanks around them"
ONE_VALUE: Final = "a query parameter that is tested comes once, and needs no decoding"
HOSTS: Final = "proxies compare hosts in lower case (linkerd2-proxy#4605)"
ANY_PATHS: Final = "what the language answers with 400 is let through where rules look at no path"
PLAIN_PATHS: Final = "no path holds `;`, of which Linkerd refuses all where rules look at paths"
CANONICAL: Final = "applications get only paths in normal form"
PORT_NAMES: Final = "the port of a pod has the name of the service's port"
INSTALLED: Final = "the cluster's default inbound policy is all-unauthenticated, as Linkerd installs it"
PLAIN_CALLS: Final = (
    "callers send paths in normal form and without `;`: Linkerd's routes for them look at paths as they are sent"
)
GRPC_CALLS: Final = "callers of gRPC ports send calls of gRPC: POST to `/service/method`"
GRPC_SERVED: Final = "who calls a port that Linkerd reads as gRPC sends calls: POST to `/service/method`"
COMPONENT: Final = "the kustomization of the services lists the component with their annotations"
MISSING: Final = "Services that routes lead to, and that are not declared, do not exist: Linkerd answers 500 for them"
GROWING: Final = "an endpoint that fails again may stay out for longer than the first time"
UNREAD: Final = (
    "`retry` and `timeouts.backendRequest` of routes, and timeouts of several units, are nothing that Linkerd reads"
)

ASSUMES: Final = (
    LOOPBACK, NAMES, ASCII, ONE_VALUE, HOSTS, ANY_PATHS, PLAIN_PATHS, PLAIN_CALLS, GRPC_CALLS, COMPONENT
)  # fmt: skip
"""What the support table states of emitted objects."""

TRAVEL: Final = (Aspect.ROUTING, Aspect.SETTINGS)
"""How calls travel."""


class NotUnderstoodError(Exception):
    """Configuration that is not known here, or that the intermediate form cannot say; `steps` lead to it in its object."""

    def __init__(self, message: str, *steps: Step) -> None:
        super().__init__(message)
        self.steps = steps


@dataclass(slots=True)
class Account:
    """Collects what a reading is to say of itself."""

    unknown: list[Unknown] = field(default_factory=list)
    assumptions: dict[str, Assumption] = field(default_factory=dict)

    def not_understood(
        self, one: ConfigObject, error: NotUnderstoodError, ports: Iterable[PortKey] | None, *aspects: Aspect
    ) -> None:
        """Something that is not read, and that may touch these aspects of these ports: who may call them, if none is named."""
        listed = None if ports is None else tuple(ports)
        touched = frozenset(aspects or (Aspect.ACCESS,))
        self.unknown.append(Unknown(message=str(error), aspects=touched, ports=listed, span=one.span(*error.steps)))

    def taken_for_granted(self, text: str, one: ConfigObject, *steps: Step) -> None:
        """An assumption, said once."""
        if text not in self.assumptions:
            self.assumptions[text] = Assumption(text=text, span=one.span(*steps))
