"""Declare: Services, Namespaces and workloads of all files -> the declarations that a program would hold for them.

- A Service takes its account, versions and probes from the workloads of its namespace whose labels its selector picks.
- A workload that no Service picks is a pure caller: a service without ports, named after the workload.
- A Service without a selector, and an ExternalName, has no pods here that a rule could bind: left out, with a warning.
- Where two manifests declare one name, the first counts (files are read in the order of their paths).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from meshc import ast
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.inventory.fields import is_port
from meshc.inventory.manifests import Manifest, Namespace, Port, Service, Workload
from meshc.inventory.names import is_account, is_name
from meshc.inventory.nodes import Scalar
from meshc.inventory.pods import Pods, account_of, gather
from meshc.inventory.protocols import choose_protocol
from meshc.inventory.selection import Selection

Key = tuple[str, str]
"""Namespace and name."""


def declare(manifests: Sequence[Manifest]) -> tuple[tuple[ast.Namespace | ast.Service, ...], tuple[Diagnostic, ...]]:
    """Declarations, namespaces first, and what is wrong with the manifests."""
    declarer = _Declarer(Selection(_distinct(manifests)))
    for manifest in manifests:
        if isinstance(manifest, Namespace):
            declarer.add_namespace(manifest.name)
    for manifest in manifests:
        if isinstance(manifest, Service):
            declarer.add_service(manifest)
    for workload in declarer.selection.unpicked():
        declarer.add_caller(workload)
    return (*declarer.namespaces.values(), *declarer.services.values()), tuple(dict.fromkeys(declarer.found))


def _distinct(manifests: Sequence[Manifest]) -> tuple[Workload, ...]:
    """The workloads, each name of a kind once. One without labels beside one with them is a patch for it."""
    known: dict[tuple[str, str, str], Workload] = {}
    for one in manifests:
        if isinstance(one, Workload):
            key = (one.kind, one.namespace.text, one.name.text)
            if key not in known or (one.labels and not known[key].labels):
                known[key] = one
    return tuple(known.values())


@dataclass(slots=True)
class _Declarer:
    selection: Selection
    namespaces: dict[str, ast.Namespace] = field(default_factory=dict)
    services: dict[Key, ast.Service] = field(default_factory=dict)
    pods: dict[tuple[str, frozenset[tuple[str, str]]], Pods | None] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)

    def add_namespace(self, name: Scalar) -> None:
        if self._can_say(name, "namespace"):
            self.namespaces.setdefault(name.text, ast.Namespace(name=_name(name), span=name.span))

    def add_service(self, service: Service) -> None:
        if not (self._can_say(service.name, "Service") and self._can_say(service.namespace, "namespace")):
            return
        if not service.selector:
            self._leave_out(service)
            return
        pods = self._pods(service)
        if pods is None:
            self._report_no_pods(service)
        ports = tuple(made for port in service.ports if (made := self._port(port, pods)) is not None)
        items: list[ast.ServiceItem] = [*ports, _labels(service.selector)]
        if pods is not None:
            items += [pods.account, *pods.versions, *pods.probes]
        node = ast.Service(
            name=_name(service.name), namespace=_name(service.namespace), items=tuple(items), span=service.span
        )
        self._declare(node)

    def add_caller(self, workload: Workload) -> None:
        pods = gather((workload,))
        self.found.extend(pods.found)
        key = (workload.namespace.text, workload.name.text)
        present = self.services.get(key)
        if present is not None:
            self._compare_accounts(workload, present)
            return
        if not (self._can_say(workload.name, workload.kind) and self._can_say(workload.namespace, "namespace")):
            return
        own = {name: value for name, value in workload.labels.items() if name != "version"}
        labels = (_labels(own),) if own else ()
        self._declare(
            ast.Service(
                name=_name(workload.name),
                namespace=_name(workload.namespace),
                items=(*labels, pods.account, *pods.probes),
                span=workload.span,
            )
        )

    def _declare(self, node: ast.Service) -> None:
        key = (node.namespace.text, node.name.text)
        self.namespaces.setdefault(key[0], ast.Namespace(name=node.namespace, span=node.namespace.span))
        present = self.services.setdefault(key, node)
        if present != node:
            first = Label(span=present.name.span, text="this one counts")
            message = f"two manifests declare the service `{key[1]}` of `{key[0]}`, and differ"
            advice = "name one of the two in `inventory`: the rendered manifests of one environment"
            found = diagnose("inventory-conflict", node.name.span, message, labels=(first,), advice=advice)
            self.found.append(found)

    def _pods(self, service: Service) -> Pods | None:
        selector = frozenset((name, value.text) for name, value in service.selector.items())
        key = (service.namespace.text, selector)
        if key not in self.pods:
            picked = self.selection.pick(*key)
            pods = gather(picked) if picked else None
            self.found.extend(pods.found if pods is not None else ())
            self.pods[key] = pods
        return self.pods[key]

    def _port(self, port: Port, pods: Pods | None) -> ast.Port | None:
        transport = "TCP" if port.transport is None else port.transport.text
        app_protocol, name = port.app_protocol, port.name
        protocol = choose_protocol(app_protocol.text if app_protocol else None, name.text if name else None)
        if transport != "TCP" or protocol is None:
            shown = transport if transport != "TCP" else "UDP"
            place = port.transport if transport != "TCP" else name
            message = f"port {port.number.text} speaks {shown}, which meshes do not carry; it is left out"
            self.found.append(diagnose("inventory-omitted", place.span if place else port.span, message))
            return None
        target = self._target(port, pods)
        if port.target is not None and target is None:
            return None
        said_by = app_protocol or name
        return ast.Port(
            number=ast.Quantity(text=str(int(port.number.text)), span=port.number.span),
            protocol=ast.Name(text=protocol, span=said_by.span if said_by else port.span),
            target=target,
            name=_name(name) if name is not None and is_name(name.text) else None,
            span=port.span,
        )

    def _target(self, port: Port, pods: Pods | None) -> ast.Quantity | None:
        """The number behind `targetPort`; None if it is not given, or after a report."""
        if port.target is None:
            return None
        number = port.target if is_port(port.target) else pods.ports.get(port.target.text) if pods else None
        if number is None:
            message = f"no container that is picked names a port `{port.target.text}`"
            advice = f"name it under a container's `ports`; until then port {port.number.text} is left out"
            self.found.append(diagnose("inventory-incomplete", port.target.span, message, advice=advice))
            return None
        return ast.Quantity(text=str(int(number.text)), span=port.target.span)

    def _leave_out(self, service: Service) -> None:
        name, space = service.name.text, service.namespace.text
        why = "is an ExternalName" if service.is_external_name else "has no selector"
        message = f"the Service `{name}` {why}, so no workload of the mesh stands behind it; it is left out"
        advice = f'to write rules about it, declare it: `external {name} in {space} {{ host "…" port … }}`'
        self.found.append(diagnose("inventory-omitted", service.name.span, message, advice=advice))

    def _report_no_pods(self, service: Service) -> None:
        name, space = service.name.text, service.namespace.text
        message = (
            f"no workload has the labels that the Service `{name}` selects, so its account is taken to be `{name}`"
        )
        advice = f"add the workload's manifest, or declare `service {name} in {space} {{ service-account … }}`"
        self.found.append(diagnose("inventory-incomplete", service.name.span, message, advice=advice))

    def _compare_accounts(self, workload: Workload, present: ast.Service) -> None:
        """A workload that has the name of a service but is not behind it is no caller of its own, if it runs as the same."""
        account, place = account_of(workload)
        accounts = [item.name.text for item in present.items if isinstance(item, ast.ServiceAccount)]
        if accounts != [account]:
            name = workload.name.text
            message = f"the {workload.kind} `{name}` is not behind the service of its name; it is left out"
            first = Label(span=present.name.span, text="the service")
            advice = f"rename one of them, or let the rules name the workload's account `{account}` by its identity"
            self.found.append(diagnose("inventory-conflict", place, message, labels=(first,), advice=advice))

    def _can_say(self, name: Scalar, kind: str) -> bool:
        if is_name(name.text):
            return True
        if is_account(name.text):
            message = f"a program cannot say the name `{name.text}`; this {kind} is left out"
            self.found.append(diagnose("inventory-omitted", name.span, message))
        else:
            self.found.append(diagnose("inventory-invalid", name.span, f"`{name.text}` is no name of a {kind}"))
        return False


def _name(name: Scalar) -> ast.Name:
    return ast.Name(text=name.text, span=name.span)


def _labels(labels: Mapping[str, Scalar]) -> ast.Labels:
    pairs = tuple(
        (ast.Name(text=key, span=value.span), ast.String(value=value.text, span=value.span))
        for key, value in labels.items()
    )
    return ast.Labels(pairs=pairs, span=pairs[0][0].span.to(pairs[-1][0].span))
