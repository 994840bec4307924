"""The server's side: what becomes of a request that arrives at a workload's port."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshc_harness.istio.arrivals import Arrival, seen_of
from meshc_harness.istio.attachment import attached
from meshc_harness.istio.authentication import (
    Mtls,
    PeerAuthentication,
    RequestAuthentication,
    TokenRefusedError,
    accepted_payload,
    mtls_mode,
    trusted_domains,
)
from meshc_harness.istio.authorization import AuthorizationPolicy, decide
from meshc_harness.istio.paths import BadTargetError
from meshc_harness.istio.world import MeshSettings, ServicePort, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`status` is what the sidecar answers, None where it sends the request on or refuses the connection.

    `policy` names what decided, or says why in a few words.
    """

    allowed: bool
    status: int | None
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSide:
    """All that servers' sidecars enforce."""

    settings: MeshSettings
    authorization: tuple[AuthorizationPolicy, ...]
    peers: tuple[PeerAuthentication, ...]
    tokens: tuple[RequestAuthentication, ...]

    def mtls(self, workload: Workload, labels: Mapping[str, str], port: ServicePort) -> Mtls:
        return mtls_mode(self.peers, self.settings.root_namespace, workload.namespace, labels, port.target)

    def answer(
        self, workload: Workload, port: ServicePort, arrival: Arrival, labels: Mapping[str, str] | None = None
    ) -> Answer:
        """What becomes of a request; `labels` are those of the pod that it reaches, the workload's own if not given."""
        labels = workload.labels if labels is None else labels
        if (refusal := self._handshake(self.mtls(workload, labels, port), arrival)) is not None:
            return Answer(allowed=False, status=None, policy=refusal)
        root = self.settings.root_namespace
        payload = None
        try:
            # A bad target is answered before any filter, the token's included.
            seen = seen_of(arrival, port.target, self.settings, None)
            if port.is_http:
                payload = accepted_payload(attached(self.tokens, root, workload.namespace, labels), arrival.token)
        except BadTargetError as error:
            return Answer(allowed=False, status=400, policy=str(error))
        except TokenRefusedError as error:
            return Answer(allowed=False, status=401, policy=str(error))
        if payload is not None:
            seen = seen_of(arrival, port.target, self.settings, payload)
        policies = attached(self.authorization, root, workload.namespace, labels)
        verdict = decide(policies, seen, is_http=port.is_http)
        status = 403 if port.is_http and not verdict.allowed else None
        return Answer(allowed=verdict.allowed, status=status, policy=verdict.policy)

    def _handshake(self, mode: Mtls, arrival: Arrival) -> str | None:
        """Why there is no connection, or None."""
        if arrival.certificate is None:
            return "plaintext under STRICT" if mode is Mtls.STRICT else None
        if mode is Mtls.DISABLE:
            return "TLS to a port that serves plaintext alone"
        domain = arrival.certificate.removeprefix("spiffe://").partition("/")[0]
        return None if domain in trusted_domains(self.settings) else "peer of an unknown trust domain"
