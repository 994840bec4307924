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
        is_closed = host.text("name").startswith(_CLOSED)
        is_ours = CLUSTER_NAME.fullmatch(host.text("name").removeprefix(_CLOSED)) is not None
        if not is_ours:
            keys |= _meant(host, clusters, notes)
        for key in keys:
            _check_domains(host, key, clusters, notes, is_ours=is_ours)
            found[key, host.text("name")] = host
            bare = {form.rpartition(":")[0] for form in names.forms[key]}
            if is_ours and not is_closed and key in names.services and not bare <= everything:
                _note_missing(host, key, notes, is_taken=True)
            missing = names.forms[key] - domains
            if missing and key in names.services:
                is_taken = any(_is_taken(name, other) for name in missing for other in hosts if other is not host)
                _note_missing(host, key, notes, is_taken=is_ours or is_taken)
            if not bare <= everything:
                notes.assume(HOST_FORMS, host.span)
    return found


def _check_domains(host: Message, key: PortKey, clusters: Clusters, notes: Notes, *, is_ours: bool) -> None:
    """Note domains of a virtual host that are another's, or nobody's: what is sent there goes to this one's port."""
    owner, port, _ = clusters.addressed.owners[key]
    others: set[PortKey] = set()
    strange: list[str] = []
    for domain in sorted(_domains(host)):
        name, number = _parted(domain)
        meant = _owner_of(name, clusters)
        if isinstance(owner, ir.External):
            is_open = name.startswith("*.") and name in owner.hosts
            usual = {None, str(port.number), *(() if is_open else ("*",))}
            if is_open and port.number != (443 if port.protocol is ir.Protocol.HTTPS else _PLAIN_PORT):
                usual.discard(None)  # the port is that of the request's host
            is_strange = (is_ours or is_open or "*." in "".join(owner.hosts)) and not (
                name in owner.hosts and number in usual
            )
        else:
            is_strange = is_ours and (domain == "*" or (meant is not None and meant != owner))
        if is_strange:
            strange.append(domain)
            others |= set() if meant is None else {(meant.namespace, meant.name, one.number) for one in meant.ports}
    if strange:
        error = host.error(f"what is sent to `{strange[0]}` goes to `{key[0]}/{key[1]}`, port {key[2]}")
        notes.unknown(error, Aspect, tuple(sorted({key, *others})))


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
    host, number = _parted(domain)
    owner = _owner_of(host, clusters)
    if owner is None or number == "*":
        return None
    numbers = [one.number for one in owner.ports if one.protocol.is_http]
    plain = numbers[0] if len(numbers) == 1 else _PLAIN_PORT
    port = plain if number is None else int(number)
    return (owner.namespace, owner.name, port) if port in numbers else None


def _parted(domain: str) -> tuple[str, str | None]:
    """A domain's host, and its port: a number, `*` for any, None for none."""
    bare, colon, number = domain.rpartition(":")
    return (bare, number) if colon and (number.isdecimal() or number == "*") else (domain, None)


def _owner_of(host: str, clusters: Clusters) -> ir.Workload | ir.External | None:
    """The service or external that a host means to the sidecar's application."""
    mesh = clusters.addressed.mesh
    service = service_of(host, clusters.namespace, mesh.cluster_domain)
    owners: list[ir.Workload | ir.External] = [
        one for one in mesh.workloads if (one.namespace, one.name) == service
    ] or [one for one in mesh.externals if host in one.hosts]
    return owners[0] if owners else None
