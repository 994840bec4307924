"""Decide where a workload's own connection to a port of bytes goes, and whether it may: rules of externals are the caller's."""

from dataclasses import dataclass

from meshc.ir import Destination, Forward, Settings
from meshc.request import Request
from meshc.semantics.decide import PortKey, first_route
from meshc.semantics.normalize import connection_facts
from meshc.source import Span
from meshc_proxy.policy.inbound import Snapshot
from meshc_proxy.policy.outbound import Chance, choose


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Where a connection goes, None if nowhere; `rule` is the place that refused it."""

    destination: Destination | None
    settings: Settings
    rule: Span | None = None


def decide_outbound_connection(
    snapshot: Snapshot, called: PortKey, host: str | None, sni: str | None, chance: Chance
) -> Connect:
    """What becomes of a connection to a tcp or tls port. `host` is the external's host that its listener is for.

    TLS to an external must name that host: whoever listens there would else be somebody whom no rule speaks of.
    """
    compiled = snapshot.evaluator.port(called)
    if compiled is None:
        return Connect(destination=None, settings=Settings())
    policy = compiled.policy
    if compiled.external and policy.protocol.value == "tls" and not _names(host, sni):
        return Connect(destination=None, settings=policy.settings)
    namespace, service, port = called
    identity = snapshot.workload.identity
    request = Request(identity=identity, namespace=namespace, service=service, port=port, sni=sni)
    facts = connection_facts(request, default_sni=compiled.default_host if compiled.external else None)
    found = first_route(compiled, facts) if compiled.routes else None
    destination = Destination(namespace=namespace, service=service, port=port)
    settings = policy.settings
    if found is not None:
        settings = found.route.settings
        if not isinstance(found.route.action, Forward):
            return Connect(destination=None, settings=settings)
        destination = choose(found.route.action.destinations, chance)
    key = (destination.namespace, destination.service, destination.port)
    target = snapshot.evaluator.port(key)
    if target is None:
        return Connect(destination=None, settings=settings)
    if target.external:
        decision = snapshot.evaluator.judge(key, facts, None).decision
        if not decision.allowed:
            return Connect(destination=None, settings=settings, rule=decision.rule)
    return Connect(destination=destination, settings=settings)


def _names(host: str | None, sni: str | None) -> bool:
    if host is None or sni is None:
        return False
    name = sni.lower().removesuffix(".")
    return name.endswith(host[1:]) if host.startswith("*.") else name == host
