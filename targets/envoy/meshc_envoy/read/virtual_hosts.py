"""Which ports the virtual hosts of a caller's sidecar are for: by their domains, and one for every host by where its routes lead.

Source: Envoy `VirtualHost.domains`; "DNS for Services and Pods" of Kubernetes.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from meshc import ir
from meshc.reading import Aspect
from meshc.target import PortKey
from meshc_envoy.read.clusters import CLUSTER_NAME, Clusters
from meshc_envoy.read.destinations import service_of
from meshc_envoy.read.messages import Message
from meshc_envoy.read.names import Names
from meshc_envoy.read.notes import HOST_FORMS, Notes
from meshc_envoy.read.roles import forwarded_to

_CLOSED: Final = "closed/"
_PLAIN_PORT: Final = 80
"""The port of a host without one."""

Held = Mapping[tuple[PortKey, str], Message]


def held(hosts: Sequence[Message], clusters: Clusters, names: Names, notes: Notes) -> Held:
    """The virtual hosts of ports, by port and name of the virtual host. All names of one port must lead to one."""
    found: dict[tuple[PortKey, str], Message] = {}
    everything = {domain for host in hosts for domain in _domains(host)}
    for host in hosts:
        domains = _domains(host)
        keys = {key for domain in domains for key in names.hosts.get(domain, ())}
        is_ours = CLUSTER_NAME.fullmatch(host.text("name").removeprefix(_CLOSED)) is not None
        if not is_ours:
            keys |= _meant(host, clusters, notes)
        for key in keys:
            found[key, host.text("name")] = host
            missing = names.forms[key] - domains
            if missing and key in names.services:
                is_taken = any(_is_taken(name, other) for name in missing for other in hosts if other is not host)
                _note_missing(host, key, notes, is_taken=is_ours or is_taken)
            if not {form.rpartition(":")[0] for form in names.forms[key]} <= everything:
                notes.assume(HOST_FORMS, host.span)
    return found


def _domains(host: Message) -> set[str]:
    return {domain.lower() for domain in host.texts("domains")}


def _is_taken(name: str, host: Message) -> bool:
    """Whether a virtual host takes a name with a port, or without it; one of many names that answers all by itself does not count."""
    bare = name.rpartition(":")[0]
    names = {name, bare}
    if names & _domains(host):
        return True
    answers = all(one.has("direct_response") for one in host.messages("routes"))
    many = [domain for domain in _domains(host) if domain.startswith("*") or domain.endswith("*")]
    return not answers and any(
        one.endswith(domain[1:]) if domain.startswith("*") else one.startswith(domain[:-1])
        for domain in many
        for one in names
    )


def _note_missing(host: Message, key: PortKey, notes: Notes, *, is_taken: bool) -> None:
    """A virtual host does not take all names of a service; others take some of the rest, or nobody does."""
    if is_taken:
        notes.unknown(host.error("some names of the service lead elsewhere"), (Aspect.ROUTING,), (key,))
    else:
        service = f"{key[0]}/{key[1]}"
        notes.assume(f"callers name `{service}` by a host that their sidecars' routes are for", host.span)


def _meant(host: Message, clusters: Clusters, notes: Notes) -> set[PortKey]:
    """The ports that a virtual host is for which is not called by one; where that is none, what it forwards is unknown."""
    found = {key for domain in _domains(host) if (key := _port_of(domain, clusters)) is not None}
    leads = set(forwarded_to(host))
    if "*" in _domains(host) and leads:
        keys = {clusters.upstream(name, host).key for name in leads}
        if len(keys) == 1:
            found |= keys
            namespace, service, number = next(iter(keys))
            where = f"port {number} of `{namespace}/{service}`"
            notes.assume(
                f"what the virtual host `{host.text('name')}` takes is for {where}, whatever its host", host.span
            )
    if leads and not found:
        notes.unknown(host.error("whose calls this virtual host takes is not known"), Aspect, None)
    return found


def _port_of(domain: str, clusters: Clusters) -> PortKey | None:
    """The port that a host means, with its own port or without."""
    bare, colon, number = domain.rpartition(":")
    host, port = (bare, int(number)) if colon and number.isdecimal() else (domain, None)
    mesh = clusters.addressed.mesh
    service = service_of(host, clusters.namespace, mesh.cluster_domain)
    owners: list[ir.Workload | ir.External] = [
        one for one in mesh.workloads if (one.namespace, one.name) == service
    ] or [one for one in mesh.externals if host in one.hosts]
    if not owners:
        return None
    numbers = [one.number for one in owners[0].ports if one.protocol.is_http]
    if port is None:
        port = numbers[0] if len(numbers) == 1 else _PLAIN_PORT
    return (owners[0].namespace, owners[0].name, port) if port in numbers else None
