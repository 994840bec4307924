"""Prove: the invariants of a lowered program -> a diagnostic for each claim that some request breaks.

A claim holds for every possible request or is an error with one that breaks it, re-run through `decide`; a claim that is too
complex to decide is an error too.
"""

from collections.abc import Iterator
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.ir import MtlsMode, Protocol
from meshc.lower.invariants import EncryptedClaim, Invariant, Mode, ReachClaim
from meshc.lower.program import Lowered
from meshc.proofs.chains import chain_of_others, chain_to
from meshc.proofs.reach import Reacher
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.languages import TooComplexError
from meshc.semantics.normalize import Malformed
from meshc.semantics.show import identity_names
from meshc.semantics.show_request import show_request
from meshc.source import BUILTIN, Span
from meshc.target import PortKey

_ENCRYPTED: Final = frozenset({Protocol.TLS, Protocol.HTTPS})


def prove(lowered: Lowered) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with the invariants of a program without other errors."""
    if not lowered.invariants:
        return ()
    prover = _Prover(lowered.mesh)
    return tuple(found for invariant in lowered.invariants for found in prover.check(invariant))


class _Prover:
    def __init__(self, mesh: ir.Mesh) -> None:
        self._mesh = mesh
        self._reacher = Reacher.of(mesh)
        self._evaluator = Evaluator(mesh)
        self._names = identity_names(mesh)

    def check(self, invariant: Invariant) -> Iterator[Diagnostic]:
        """What breaks an invariant: at most one request for each claim and port."""
        for claim in invariant.claims:
            for key in claim.ports:
                try:
                    found = self._broken(invariant, claim, key)
                except TooComplexError as error:
                    message = f"`{invariant.title}` is not decided for `{_port_name(key)}`: {error.reason}"
                    yield diagnose("invariant-undecided", claim.span, message, advice="let the claim speak of less")
                    break
                if found is not None:
                    yield found
                    break

    def _broken(self, invariant: Invariant, claim: ReachClaim | EncryptedClaim, key: PortKey) -> Diagnostic | None:
        if isinstance(claim, EncryptedClaim):
            return self._plaintext(invariant, claim, key)
        if claim.mode is Mode.ALWAYS:
            refused = self._reacher.refused(key, claim.principals, claim.condition)
            return None if refused is None else self._report(invariant, claim, (refused,), "is refused")
        search = chain_to if claim.mode is Mode.NEVER else chain_of_others
        if claim.is_transitive:
            chain = search(self._reacher, self._mesh, claim.principals, key, claim.condition)
            return None if chain is None else self._report(invariant, claim, chain.requests, "is allowed")
        ask = self._reacher.allowed if claim.mode is Mode.NEVER else self._reacher.allowed_others
        allowed = ask(key, claim.principals, claim.condition)
        return None if allowed is None else self._report(invariant, claim, (allowed,), "is allowed")

    def _plaintext(self, invariant: Invariant, claim: EncryptedClaim, key: PortKey) -> Diagnostic | None:
        side = self._reacher.sides[key]
        is_safe = side.port.protocol in _ENCRYPTED or (not side.is_external and side.port.mtls is MtlsMode.STRICT)
        if is_safe:
            return None
        why = "plain text leaves the mesh" if side.is_external else f"mTLS is {side.port.mtls.value}"
        message = f"`{_port_name(key)}` takes plain text, which `{invariant.title}` forbids"
        labels = (Label(span=side.port.span, text=f"{why} on this port"),)
        return diagnose(
            "invariant-broken", claim.span, message, labels=labels, advice="use `mtls strict`, `tls` or `https`"
        )

    def _report(
        self, invariant: Invariant, claim: ReachClaim, requests: tuple[Request, ...], becomes: str
    ) -> Diagnostic:
        shown = " and then ".join(f"`{self._shown(request)}`" for request in requests)
        message = f"{shown} {becomes if len(requests) == 1 else 'are allowed'}, which `{invariant.title}` forbids"
        labels = [
            Label(span=place, text=text)
            for number, request in enumerate(requests, start=1)
            for place, text in self._reasons(request, number if len(requests) > 1 else None)
        ]
        advice = f"why: meshc explain '{self._shown(requests[-1])}'"
        return diagnose("invariant-broken", claim.span, message, labels=tuple(labels), advice=advice)

    def _shown(self, request: Request) -> str:
        side = self._reacher.sides[request.namespace, request.service, request.port]
        return show_request(request, side.port.protocol, self._names)

    def _reasons(self, request: Request, number: int | None) -> Iterator[tuple[Span, str]]:
        key = (request.namespace, request.service, request.port)
        port = self._evaluator.port(key)
        if port is None:
            return
        facts = self._evaluator.observe(port, request)
        if isinstance(facts, Malformed):
            return
        decision = self._evaluator.judge(key, facts, request.claims).decision
        verb = "lets it through" if decision.allowed else "refuses it"
        hop = "" if number is None else f"hop {number}: "
        if decision.rule is not None and decision.rule != BUILTIN:
            yield decision.rule, f"{hop}this {verb}"
        elif decision.reason:
            yield port.policy.span, f"{hop}{decision.reason} {verb}"


def _port_name(key: PortKey) -> str:
    namespace, service, port = key
    return f"{namespace}.{service}:{port}"
