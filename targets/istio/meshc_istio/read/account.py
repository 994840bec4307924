"""The account of a reading: what was not understood, and what was taken for granted, as it is found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from meshc.reading import Aspect, Assumption, ConfigObject, Step, Unknown
from meshc.source import Span

HOST_PORTS: Final = "a Host names no port but the service's and the workload's"
PLAIN_HOSTS: Final = "a Host names no port, and does not end with a dot"
ONE_LINE: Final = "no header that is tested comes in several lines"
PLAIN_CLAIMS: Final = "claims that are tested are single texts, and not empty"
PLAIN_SEGMENTS: Final = "no path that is tested holds `[` or `]`"
PLAIN_SUBJECTS: Final = "every token has a subject"
SERVICE_ACCOUNTS: Final = "every identity is that of a service account"
ON_PURPOSE: Final = "servers' sidecars do not retry by themselves"
VERIFIED: Final = "Istio verifies servers outside by their host names, with the authorities of the system"
SUBSETS: Final = "subsets that no DestinationRule here defines are the versions of the same names"
PLAIN_CALLS: Final = "applications call externals in plain HTTP where their proxies add the TLS"
NO_ESCAPES: Final = "no path that leaves the mesh holds `%00`, `%2F` or `%5C`"
REGISTRY: Final = "Istio lets calls to unknown hosts out nowhere: `outboundTrafficPolicy` is REGISTRY_ONLY"
LOG_LINES: Final = "what a line of a log holds makes no difference"
PROVIDERS: Final = "providers that Telemetry names and no MeshConfig here does report nothing"
NORMALIZED: Final = "Istio normalizes paths with MERGE_SLASHES"

PortKey = tuple[str, str, int]


@dataclass(slots=True)
class Account:
    """Collects what a reading is to say of itself."""

    unknown: list[Unknown] = field(default_factory=list)
    assumptions: dict[str, Assumption] = field(default_factory=dict)

    def not_understood(
        self,
        one: ConfigObject,
        steps: tuple[Step, ...],
        message: str,
        ports: Iterable[PortKey] | None,
        *aspects: Aspect,
    ) -> None:
        """Something that is not read, and that may touch these aspects of these ports."""
        listed = None if ports is None else tuple(ports)
        found = Unknown(message=message, aspects=frozenset(aspects), ports=listed, span=one.span(*steps))
        self.unknown.append(found)

    def missing(self, message: str, port: PortKey, span: Span, *aspects: Aspect) -> None:
        """The same, of something that no object says."""
        self.unknown.append(Unknown(message=message, aspects=frozenset(aspects), ports=(port,), span=span))

    def taken_for_granted(self, text: str, one: ConfigObject, *steps: Step) -> None:
        """An assumption, said once."""
        if text not in self.assumptions:
            self.assumptions[text] = Assumption(text=text, span=one.span(*steps))
