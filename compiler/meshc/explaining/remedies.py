"""What would let a refused request in: the request's own smallest change, the program's, and what to mind."""

from collections.abc import Iterator
from dataclasses import replace

from meshc.explaining.model import Remedies, RequestChange
from meshc.explaining.programs import Program, program_changes
from meshc.explaining.requests import MAX_CHANGES, nearest_requests
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.explain import DestinationFinding, Explanation
from meshc.semantics.languages import TooComplexError
from meshc.semantics.paths import RefusedError, normalize_path
from meshc.semantics.regions.ports import PortSide, sides_of
from meshc.semantics.show import identity_names
from meshc.semantics.show_request import show_request


def remedies_of(program: Program, evaluator: Evaluator, explanation: Explanation) -> Remedies:
    """What would change a refusal; nothing for a request that is allowed, or that nobody refuses."""
    decision = explanation.decision
    if decision.allowed is not False:
        return Remedies()
    if decision.status == 400:
        return _for_malformed(evaluator, explanation)
    finding = next((one for one in explanation.destinations if one.decision.allowed is False), None)
    if finding is None or explanation.leaving is None:
        return Remedies(notes=("nothing of this name and port is declared",))
    side = sides_of(evaluator.mesh)[finding.namespace, finding.service, finding.port]
    requests: tuple[RequestChange, ...] = ()
    notes = list(_notes(side, finding, explanation.request))
    try:
        requests = nearest_requests(evaluator, side, explanation.request, explanation.leaving)
        if not requests:
            notes.append(f"no allowed request is near: more than {MAX_CHANGES} things would have to be others")
    except TooComplexError as error:
        notes.append(f"whether a near request is allowed was not decided: {error.reason}")
    programs = program_changes(program, explanation.request, explanation)
    if not programs and not notes:
        notes.append("no edit of access rules was found that lets it in and refuses nothing that is allowed now")
    return Remedies(requests=requests, programs=programs, notes=tuple(notes))


def _notes(side: PortSide, finding: DestinationFinding, request: Request) -> Iterator[str]:
    reason = finding.decision.reason
    deny = next((one.rule for stage in finding.stages for one in stage.rules if one.decided), None)
    if finding.decision.status == 401:
        yield "the token is at fault, so no rule was asked; the caller needs a token that `authenticate` takes"
    elif not finding.stages and request.identity is None:
        yield "mTLS is strict here: the caller needs a sidecar and an identity of its own, and the port no weaker mTLS"
    elif not finding.stages:
        yield f"no connection, so no rule was asked ({reason}); `trust-domain … also` names domains that are trusted"
    elif side.hides_identities:
        yield "nobody has an identity on this port, so no rule can name the caller, and none is proposed"
    elif request.identity is None:
        yield "the caller has no identity that a rule could name; a rule for `anyone` would open it to all, and is not proposed"
    elif deny is not None:
        why = "" if deny.because is None else f" ({deny.because})"
        yield f"a deny refuses it on purpose{why}: narrow that only if its reason does not hold for this request"


# ---- malformed requests ---------------------------------------------------------------------------------------------


def _for_malformed(evaluator: Evaluator, explanation: Explanation) -> Remedies:
    """A path that is well formed and means most nearly the same, with what is then decided."""
    request = explanation.request
    note = f"refused before any rule is asked ({explanation.decision.reason}), so no rule can let it in"
    path = _well_formed(request.path or "")
    port = evaluator.port((request.namespace, request.service, request.port))
    if path is None or port is None:
        return Remedies(notes=(note,))
    mended = replace(request, path=path)
    decision = evaluator.decide(mended)
    shown = show_request(mended, port.policy.protocol, identity_names(evaluator.mesh))
    if decision.allowed is True:
        change = RequestChange(changes=(f"another path: {path}",), request=mended, text=shown)
        return Remedies(requests=(change,), notes=(note,))
    if decision.status == 400:
        return Remedies(notes=(note,))
    return Remedies(notes=(note, f"the well-formed `{shown}` is not allowed either"))


def _well_formed(path: str) -> str | None:
    """The path with what is refused in it decoded or cut off; None where that does not help."""
    target, mark, query = path.partition("?")
    for escape, char in (("%2f", "/"), ("%2F", "/"), ("%5c", "/"), ("%5C", "/"), ("%00", ""), ("\0", "")):
        target = target.replace(escape, char)
    target = target.partition("#")[0]
    target = target if target.startswith("/") else f"/{target}"
    try:
        normalize_path(target)
    except RefusedError:
        return None
    return f"{target}{mark}{query.partition('#')[0]}"
