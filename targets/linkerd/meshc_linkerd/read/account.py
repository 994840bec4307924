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

ASSUMES: Final = (LOOPBACK, NAMES, ASCII, ONE_VALUE, HOSTS, ANY_PATHS, PLAIN_PATHS)
"""What the support table states of emitted objects."""


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
        self,
        one: ConfigObject,
        error: NotUnderstoodError,
        ports: Iterable[PortKey] | None,
        *aspects: Aspect,
    ) -> None:
        """Something that is not read, and that may touch these aspects of these ports; none stands for who may call."""
        listed = None if ports is None else tuple(ports)
        touched = frozenset(aspects or {Aspect.ACCESS})
        self.unknown.append(Unknown(message=str(error), aspects=touched, ports=listed, span=one.span(*error.steps)))

    def not_read(self, one: ConfigObject, message: str) -> None:
        """Something about how calls travel."""
        aspects = frozenset({Aspect.ROUTING, Aspect.SETTINGS})
        self.unknown.append(Unknown(message=message, aspects=aspects, span=one.span("kind")))

    def taken_for_granted(self, text: str, one: ConfigObject, *steps: Step) -> None:
        """An assumption, said once."""
        if text not in self.assumptions:
            self.assumptions[text] = Assumption(text=text, span=one.span(*steps))
