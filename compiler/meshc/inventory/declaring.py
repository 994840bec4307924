"""Declare: Kubernetes objects -> declarations of the language, which tell what the pods behind each Service are.

A Service without a selector, or whose selector picks no workload of the manifests, is declared with its ports alone and a
warning: its account and probes are the program's to say. One of type ExternalName is left out with a warning: it is an alias
of a host, which an `external` declares. A workload that no Service picks is declared under its own name, without ports: it
can only call others.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from meshc import ast
from meshc.diagnostics import Label
from meshc.inventory.objects import KubernetesObject, KubernetesService, Pairs, ServicePort, Workload
from meshc.inventory.port_protocols import UNSUPPORTED, port_protocol
from meshc.inventory.reading import Fields, is_label, port_number, shown

Key = tuple[str, str]


def declare(fields: Fields, objects: Sequence[KubernetesObject]) -> tuple[ast.Namespace | ast.Service, ...]:
    """The namespaces, sorted by name, then the Services and the pure callers, each in the order of their objects."""
    declarer = _Declarer(fields, _Pods([one for one in objects if isinstance(one, Workload)]))
    for one in objects:
        if isinstance(one, KubernetesService):
            declarer.add_service(one)
    declarer.add_callers()
    return (*_namespaces(objects), *declarer.services.values())


def _namespaces(objects: Iterable[KubernetesObject]) -> list[ast.Namespace]:
    """One for each that is declared or used; the place is that of its own manifest, else of the first use."""
    spaces: dict[str, ast.Namespace] = {}
    used: dict[str, ast.Namespace] = {}
    for one in objects:
        if isinstance(one, ast.Namespace):
            spaces.setdefault(one.name.text, one)
        else:
            name = one.namespace
            used.setdefault(name.text, ast.Namespace(name=name, span=name.span))
    return [space for _, space in sorted({**used, **spaces}.items())]


class _Pods:
    """The workloads, found by the labels of their pods."""

    def __init__(self, workloads: Sequence[Workload]) -> None:
        self.workloads = workloads
        self._labels = [{key.text: value.text for key, value in one.labels} for one in workloads]
        self._by_label: dict[tuple[str, str, str], list[int]] = {}
        for at, workload in enumerate(workloads):
            for key, value in self._labels[at].items():
                self._by_label.setdefault((workload.namespace.text, key, value), []).append(at)
        self._picked: set[int] = set()

    def pick(self, namespace: str, selector: Pairs) -> list[Workload]:
        """The workloads of a namespace that carry all pairs; a selector without pairs picks none."""
        if not selector:
            return []
        wanted = {key.text: value.text for key, value in selector}
        candidates = min((self._by_label.get((namespace, *pair), []) for pair in wanted.items()), key=len)
        picked = [at for at in candidates if wanted.items() <= self._labels[at].items()]
        self._picked.update(picked)
        return [self.workloads[at] for at in picked]

    def unpicked(self) -> Iterator[Workload]:
        """Those that `pick` has never given."""
        return (one for at, one in enumerate(self.workloads) if at not in self._picked)


@dataclass(slots=True)
class _Declarer:
    fields: Fields
    pods: _Pods
    services: dict[Key, ast.Service] = field(default_factory=dict)

    def add_service(self, service: KubernetesService) -> None:
        if service.external_name is not None:
            message = f"the service `{service.name.text}` is left out, for it is an alias of a host outside"
            advice = f'declare the host: `external {service.name.text} in {service.namespace.text} {{ host "…" port 443 https }}`'
            self.fields.report("inventory-skipped", service.external_name.span, message, advice=advice)
            return
        workloads = self.pods.pick(service.namespace.text, service.selector)
        if not workloads:
            self._warn_unknown(service)
        items: list[ast.ServiceItem] = [*self._ports(service, workloads)]
        account = self._account(service, workloads)
        if account is not None:
            items.append(account)
        items.extend(_labels(service.selector))
        items.extend(self._versions(workloads))
        items.extend(_probes(workloads))
        self._add(
            ast.Service(name=service.name, namespace=service.namespace, items=tuple(items), span=service.name.span)
        )

    def add_callers(self) -> None:
        behind = set(self.services)
        for workload in self.pods.unpicked():
            name = workload.name
            key = workload.namespace.text, name.text
            if not is_label(name.text):
                message = f"the `{workload.kind}` `{shown(name.text)}` is left out, for a service cannot have its name"
                advice = f"declare it under another name: `service … {{ service-account {workload.account.text} }}`"
                self.fields.report("inventory-skipped", name.span, message, advice=advice)
            elif key in behind:
                message = f"no service picks the `{workload.kind}` `{name.text}`, and another service has its name"
                labels = (Label(span=self.services[key].span, text="this service picks other pods"),)
                advice = (
                    "the workload is left out: mend the service's `selector`, or declare the caller under another name"
                )
                self.fields.report("inventory-conflict", name.span, message, labels=labels, advice=advice)
            else:
                account = ast.ServiceAccount(name=workload.account, span=workload.account.span)
                items: tuple[ast.ServiceItem, ...] = (
                    account,
                    *_labels(workload.selector or workload.labels),
                    *_probes([workload]),
                )
                self._add(ast.Service(name=name, namespace=workload.namespace, items=items, span=name.span))

    def _add(self, service: ast.Service) -> None:
        """Keep a service. The same one again, as in an overlay of the same manifests, is no matter; another one is."""
        first = self.services.setdefault((service.namespace.text, service.name.text), service)
        if first != service:
            message = f"`{service.name.text}` is given twice, and differently"
            labels = (Label(span=first.span, text="this one counts"),)
            advice = "let the inventory's pattern take in one of the two"
            self.fields.report("inventory-conflict", service.span, message, labels=labels, advice=advice)

    def _warn_unknown(self, service: KubernetesService) -> None:
        name, space = service.name.text, service.namespace.text
        reason = "picks no workload of the manifests" if service.selector else "has no selector"
        message = f"`{name}` {reason}, so its service account is taken to be `{name}`"
        advice = f"take its workload into the inventory, or declare `service {name} in {space} {{ service-account … }}`"
        self.fields.report("inventory-skipped", service.name.span, message, advice=advice)

    def _account(self, service: KubernetesService, workloads: Sequence[Workload]) -> ast.ServiceAccount | None:
        if not workloads:
            return None
        first = workloads[0]
        for other in workloads[1:]:
            if other.account.text != first.account.text:
                message = (
                    f"the pods of `{service.name.text}` have different service accounts: `{first.account.text}` counts"
                )
                labels = (
                    Label(span=first.account.span, text=f"`{first.account.text}` here"),
                    Label(span=other.account.span, text=f"`{other.account.text}` here"),
                )
                advice = "give them one account, or a service each"
                self.fields.report("inventory-conflict", service.name.span, message, labels=labels, advice=advice)
                break
        return ast.ServiceAccount(name=first.account, span=first.account.span)

    def _ports(self, service: KubernetesService, workloads: Sequence[Workload]) -> Iterator[ast.Port]:
        for port in service.ports:
            protocol = port_protocol(
                None if port.app_protocol is None else port.app_protocol.text,
                None if port.name is None else port.name.text,
            )
            if port.transport != "TCP" or protocol == UNSUPPORTED:
                said = protocol.upper() if port.transport == "TCP" else shown(port.transport)
                message = (
                    f"port {port.number.text} of `{service.name.text}` is left out, for meshes do not carry {said}"
                )
                self.fields.report("inventory-skipped", port.number.span, message)
                continue
            target = self._target(service, port, workloads)
            if target is None and port.target is not None:
                continue
            place = port.app_protocol or port.name or port.number
            yield ast.Port(
                number=ast.Quantity(text=port.number.text, span=port.number.span),
                protocol=ast.Name(text=protocol, span=place.span),
                target=target,
                name=port.name if port.name is not None and is_label(port.name.text) else None,
                span=port.span,
            )

    def _target(
        self, service: KubernetesService, port: ServicePort, workloads: Sequence[Workload]
    ) -> ast.Quantity | None:
        """The workload's port; None where it is the service's own, or after a report."""
        named = port.target
        if named is None or port_number(named.text) is not None:
            return None if named is None else ast.Quantity(text=named.text, span=named.span)
        answers = [(one, number) for one in workloads for name, number in one.ports if name == named.text]
        if not answers:
            message = f"port {port.number.text} of `{service.name.text}` is left out, for no container has a port `{named.text}`"
            advice = f"declare it: `port {port.number.text} … target …`"
            self.fields.report("inventory-skipped", named.span, message, advice=advice)
            return None
        first, number = answers[0]
        for other, different in answers[1:]:
            if different != number:
                message = f"`{named.text}` is port {number} of some pods and {different} of others: {number} counts"
                labels = (
                    Label(span=first.name.span, text=f"{number} here"),
                    Label(span=other.name.span, text=f"{different} here"),
                )
                self.fields.report("inventory-conflict", named.span, message, labels=labels)
                break
        return ast.Quantity(text=str(number), span=named.span)

    def _versions(self, workloads: Sequence[Workload]) -> Iterator[ast.Version]:
        versions: dict[str, ast.Name] = {}
        for workload in workloads:
            for key, value in workload.labels:
                if key.text == "version":
                    versions.setdefault(value.text, value)
        for text, value in sorted(versions.items()):
            if is_label(text):
                yield ast.Version(name=value, labels=_labels(((_word("version", value), value),)), span=value.span)
            else:
                message = f"the version `{shown(text)}` is left out, for a version cannot have that name"
                advice = f'declare it under another: `version … {{ labels version = "{shown(text)}" }}`'
                self.fields.report("inventory-skipped", value.span, message, advice=advice)


def _word(text: str, place: ast.Name) -> ast.Name:
    return ast.Name(text=text, span=place.span)


def _labels(pairs: Pairs) -> tuple[ast.Labels, ...]:
    if not pairs:
        return ()
    texts = tuple((key, ast.String(value=value.text, span=value.span)) for key, value in pairs)
    return (ast.Labels(pairs=texts, span=pairs[0][0].span),)


def _probes(workloads: Sequence[Workload]) -> tuple[ast.Probe, ...]:
    """The probes of all pods, identical ones once."""
    return tuple(dict.fromkeys(probe for one in workloads for probe in one.probes))
