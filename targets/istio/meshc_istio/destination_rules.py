"""DestinationRules: one for each host, in the namespace of its service, where every caller's proxy finds it.

Services of the mesh have no `tls` here, since with one, Istio would no longer choose mutual TLS by itself. Where the program
wants none, it says so: on ports whose `mtls` is `off`.
"""

from typing import Final

from meshc import ir
from meshc_istio.balancing import load_balancer
from meshc_istio.directory import Called, Directory, Owner, called_ports, is_wildcard
from meshc_istio.resilience import connection_pool, outliers, retry_budget
from meshc_istio.resources.networking import (
    ClientTls,
    DestinationRuleSpec,
    PortNumber,
    PortTraffic,
    RetryBudget,
    Subset,
    TrafficPolicy,
)

SYSTEM_CERTIFICATES: Final = "system"
"""The authorities that the proxy's own system trusts; without a value, older releases would verify nothing."""


def destination_rule_spec(directory: Directory, owner: Owner, host: str) -> DestinationRuleSpec | None:
    """How callers connect to a host of the owner, and its versions; None where there is nothing to say."""
    ports = called_ports(owner, host)
    if not ports:
        return None
    policy = _traffic_policy(ports, retry_budget(directory.budgets.get((owner.namespace, owner.name))))
    subsets = _subsets(owner)
    if policy is None and not subsets:
        return None
    return DestinationRuleSpec(host=host, traffic_policy=policy, subsets=subsets or None)


def _subsets(owner: Owner) -> tuple[Subset, ...]:
    if isinstance(owner, ir.External):
        return ()
    versions = sorted(owner.versions, key=lambda version: version.name)
    return tuple(Subset(name=one.name, labels=dict(sorted(one.labels.items()))) for one in versions)


def _traffic_policy(ports: tuple[Called, ...], budget: RetryBudget | None) -> TrafficPolicy | None:
    settings = [_port_traffic(called) for called in ports]
    if all(one == settings[0] for one in settings):
        only = settings[0]
        policy = TrafficPolicy(
            load_balancer=only.load_balancer,
            connection_pool=only.connection_pool,
            outlier_detection=only.outlier_detection,
            tls=only.tls,
            retry_budget=budget,
        )
    else:
        levels = tuple(
            one.model_copy(update={"port": PortNumber(number=called.number)})
            for called, one in zip(ports, settings, strict=True)
        )
        policy = TrafficPolicy(retry_budget=budget, port_level_settings=levels)
    return None if policy == TrafficPolicy() else policy


def _port_traffic(called: Called) -> PortTraffic:
    settings = called.port.settings
    # Behind a wildcard, the proxy connects to wherever the application wanted to.
    balancer = None if is_wildcard(called.host) else load_balancer(settings)
    return PortTraffic(
        load_balancer=balancer,
        connection_pool=connection_pool(called.port),
        outlier_detection=outliers(settings.outlier_detection),
        tls=_tls(called),
    )


def _tls(called: Called) -> ClientTls | None:
    port = called.port
    if isinstance(called.owner, ir.Workload):
        # Callers do not see what one workload's port is told of mutual TLS, and would send it all the same.
        return ClientTls(mode="DISABLE") if port.mtls is ir.MtlsMode.OFF else None
    if port.protocol is not ir.Protocol.HTTPS:
        return None
    name = port.settings.tls_sni or called.host
    authorities = port.settings.tls_ca_file or SYSTEM_CERTIFICATES
    return ClientTls(mode="SIMPLE", sni=name, ca_certificates=authorities, subject_alt_names=(name,))
