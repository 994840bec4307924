"""Small manifests: what each field comes to, and what is said where something is wrong."""

import pytest

from meshc import ast
from meshc.diagnostics import Diagnostic
from meshc.inventory import Inventory, read_inventory
from meshc.source import SourceFile


def read(*texts: str) -> Inventory:
    return read_inventory([SourceFile(f"{index}.yaml", text) for index, text in enumerate(texts)])


def service(inventory: Inventory, name: str = "web") -> ast.Service:
    return next(one for one in inventory.declarations if isinstance(one, ast.Service) and one.name.text == name)


def ports(inventory: Inventory) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (
            number.text,
            item.protocol.text,
            target.text if isinstance(target, ast.Quantity) else None,
            name.text if name else None,
        )
        for item in service(inventory).items
        if isinstance(item, ast.Port)
        for number, target, name in [(item.number, item.target, item.name)]
        if isinstance(number, ast.Quantity)
    ]


def accounts(inventory: Inventory, name: str = "web") -> list[str]:
    return [item.name.text for item in service(inventory, name).items if isinstance(item, ast.ServiceAccount)]


def versions(inventory: Inventory) -> list[str]:
    return [item.name.text for item in service(inventory).items if isinstance(item, ast.Version)]


def probes(inventory: Inventory) -> list[tuple[str, str | None, str | None]]:
    return [
        (
            item.method.text,
            item.path.text if isinstance(item.path, ast.Path) else None,
            item.port.text if isinstance(item.port, ast.Quantity) else None,
        )
        for item in service(inventory).items
        if isinstance(item, ast.Probe)
    ]


def only(inventory: Inventory) -> Diagnostic:
    (one,) = inventory.diagnostics
    return one


WEB = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec:\n  selector: {app: web}\n  ports:\n"


def workload(
    name: str = "web",
    *,
    kind: str = "Deployment",
    api: str = "apps/v1",
    labels: str = "app: web",
    spec: str = "serviceAccountName: web",
    container: str = "name: c",
) -> str:
    pod = f"{{metadata: {{labels: {{{labels}}}}}, spec: {{{spec}, containers: [{{{container}}}]}}}}"
    inside = {
        "Pod": f"metadata: {{name: {name}, namespace: shop, labels: {{{labels}}}}}\nspec: {{{spec}, containers: [{{{container}}}]}}",
        "CronJob": f"metadata: {{name: {name}, namespace: shop}}\nspec: {{jobTemplate: {{spec: {{template: {pod}}}}}}}",
    }.get(kind, f"metadata: {{name: {name}, namespace: shop}}\nspec: {{template: {pod}}}")
    return f"apiVersion: {api}\nkind: {kind}\n{inside}\n"


def web(port: str, *others: str) -> Inventory:
    return read(f"{WEB}  - {{{port}}}\n", *(others or (workload(),)))


@pytest.mark.parametrize(
    ("given", "protocol"),
    [
        ("", "tcp"),
        ("name: http", "http"),
        ("name: http-api", "http"),
        ("name: HTTP", "http"),
        ("name: httpx", "tcp"),
        ("name: web", "tcp"),
        ("name: http2", "http2"),
        ("name: http2-x", "http2"),
        ("name: grpc", "grpc"),
        ("name: grpc-admin", "grpc"),
        ("name: grpc-web", "http"),
        ("name: grpc-web-x", "http"),
        ("name: tcp", "tcp"),
        ("name: tls", "tls"),
        ("name: https", "tls"),
        ("name: mongo", "tcp"),
        ("name: mysql-x", "tcp"),
        ("name: redis", "tcp"),
        ("appProtocol: http", "http"),
        ("appProtocol: kubernetes.io/h2c", "http2"),
        ("appProtocol: kubernetes.io/ws", "http"),
        ("appProtocol: kubernetes.io/wss", "tls"),
        ("appProtocol: grpc", "grpc"),
        ("appProtocol: https", "tls"),
        ("appProtocol: redis", "tcp"),
        ("appProtocol: example.com/own, name: http", "tcp"),
        ("appProtocol: grpc, name: http", "grpc"),
        ("protocol: TCP, name: http", "http"),
    ],
)
def test_protocols_are_those_that_istio_reads(given: str, protocol: str) -> None:
    assert ports(web(f"port: 80, {given}" if given else "port: 80"))[0][1] == protocol


@pytest.mark.parametrize("given", ["protocol: UDP", "protocol: SCTP", "name: udp-dns"])
def test_ports_that_meshes_do_not_carry_are_left_out(given: str) -> None:
    inventory = web(f"port: 53, {given}")
    assert ports(inventory) == []
    assert only(inventory).name == "inventory-omitted"
    assert "port 53 speaks" in only(inventory).message


def test_targets_are_numbers_or_names_of_container_ports() -> None:
    container = "ports: [{name: api, containerPort: 8080}]"
    assert ports(web("port: 80, targetPort: 8081")) == [("80", "tcp", "8081", None)]
    assert ports(web("port: 80, targetPort: api, name: http", workload(container=container))) == [
        ("80", "http", "8080", "http")
    ]
    missing = web("port: 80, targetPort: other", workload(container=container))
    assert ports(missing) == []
    assert only(missing).name == "inventory-incomplete"


def test_a_port_name_that_no_program_can_say_is_dropped() -> None:
    assert ports(web('port: 80, name: "8080"')) == [("80", "tcp", None, None)]


@pytest.mark.parametrize("number", ["0", "65536", "http", "1.5", "-1"])
def test_numbers_out_of_range_are_errors(number: str) -> None:
    inventory = web(f"port: {number}")
    assert ports(inventory) == []
    assert only(inventory).message == f"`port` must be a number from 1 to 65535, found `{number}`"


@pytest.mark.parametrize(
    ("kind", "api"),
    [
        ("Deployment", "apps/v1"),
        ("StatefulSet", "apps/v1"),
        ("DaemonSet", "apps/v1"),
        ("ReplicaSet", "apps/v1"),
        ("Rollout", "argoproj.io/v1alpha1"),
        ("Job", "batch/v1"),
        ("CronJob", "batch/v1"),
        ("Pod", "v1"),
        ("ReplicationController", "v1"),
    ],
)
def test_every_kind_of_workload_tells_account_and_version(kind: str, api: str) -> None:
    text = workload(kind=kind, api=api, labels="app: web, version: v2", spec="serviceAccountName: runner")
    inventory = web("port: 80", text)
    assert accounts(inventory) == ["runner"]
    assert versions(inventory) == ["v2"]
    assert inventory.diagnostics == ()


def test_the_account_may_have_its_old_name_or_none() -> None:
    assert accounts(web("port: 80", workload(spec="serviceAccount: old"))) == ["old"]
    assert accounts(web("port: 80", workload(spec="hostNetwork: false"))) == ["default"]


def test_workloads_of_other_namespaces_and_groups_are_not_picked() -> None:
    elsewhere = workload().replace("namespace: shop", "namespace: other")
    foreign = workload(api="example.com/v1")
    inventory = web("port: 80", elsewhere, foreign)
    assert accounts(inventory) == []
    assert only(inventory).name == "inventory-incomplete"


def test_two_accounts_behind_one_service_are_a_conflict() -> None:
    inventory = web(
        "port: 80", workload("a", spec="serviceAccountName: one"), workload("b", spec="serviceAccountName: two")
    )
    found = only(inventory)
    assert (found.name, found.span.path, found.labels[0].span.path) == ("inventory-invalid", "2.yaml", "1.yaml")
    assert found.message == "pods of one service run as `one` and as `two`"
    assert accounts(inventory) == ["one"]


def test_versions_are_told_once_and_only_if_a_program_can_say_them() -> None:
    texts = [
        workload(f"w{i}", labels=f"app: web, version: {v}") for i, v in enumerate(["v2", "v1", "v1", '"1.0.3"', '"1"'])
    ]
    assert versions(web("port: 80", *texts)) == ["v1", "v2"]


def test_probes_are_told_once_with_their_port() -> None:
    container = (
        "ports: [{name: health, containerPort: 9000}], "
        "livenessProbe: {httpGet: {path: /live, port: health}}, readinessProbe: {httpGet: {path: /live, port: 9000}}, "
        "startupProbe: {tcpSocket: {port: 9001}}"
    )
    assert probes(web("port: 80", workload(container=container))) == [("TCP", None, "9001"), ("GET", "/live", "9000")]
    container = (
        "livenessProbe: {grpc: {port: 7}}, readinessProbe: {httpGet: {port: 8}}, startupProbe: {exec: {command: [x]}}"
    )
    assert probes(web("port: 80", workload(container=container))) == [("GET", "/", "8"), ("GRPC", None, "7")]


def test_a_probe_of_an_unnamed_port_is_reported() -> None:
    inventory = web("port: 80", workload(container="livenessProbe: {httpGet: {port: health}}"))
    assert probes(inventory) == []
    assert only(inventory).name == "inventory-incomplete"


def test_labels_are_the_selector() -> None:
    text = WEB.replace("{app: web}", '{app: web, "app.kubernetes.io/part-of": shop}')
    inventory = read(text, workload(labels='app: web, "app.kubernetes.io/part-of": shop'))
    (labels,) = [item for item in service(inventory).items if isinstance(item, ast.Labels)]
    pairs = [(key.text, value.value) for key, value in labels.pairs if isinstance(value, ast.String)]
    assert pairs == [("app", "web"), ("app.kubernetes.io/part-of", "shop")]


def test_namespaces_are_declared_once() -> None:
    declared = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    inventory = read(f"{WEB}  - port: 80\n", declared, declared, workload())
    spaces = [one for one in inventory.declarations if isinstance(one, ast.Namespace)]
    assert [(one.name.text, one.span.path) for one in spaces] == [("shop", "1.yaml")]
    bare = read((f"{WEB}  - port: 80\n").replace(", namespace: shop", ""), workload().replace(", namespace: shop", ""))
    assert service(bare).namespace.text == "default"


def test_a_workload_behind_no_service_is_a_pure_caller() -> None:
    inventory = read(workload("load", labels="app: load, version: v1", spec="serviceAccountName: loader"))
    load = service(inventory, "load")
    assert accounts(inventory, "load") == ["loader"]
    assert not any(isinstance(item, ast.Port | ast.Version) for item in load.items)
    assert inventory.diagnostics == ()


def test_a_caller_named_like_a_service_is_reported_if_it_runs_as_another() -> None:
    apart = workload(labels="app: other", spec="serviceAccountName: other")
    assert only(web("port: 80", workload("x"), apart)).name == "inventory-conflict"
    same = workload(labels="app: other")
    assert web("port: 80", workload("x"), same).diagnostics == ()


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("type: ExternalName, externalName: db.example", "is an ExternalName"),
        ("ports: [{port: 80}]", "has no selector"),
    ],
)
def test_services_without_pods_are_left_out(spec: str, why: str) -> None:
    inventory = read(f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{{spec}}}\n")
    assert inventory.declarations == ()
    assert only(inventory).name == "inventory-omitted"
    assert why in only(inventory).message


def test_equal_services_count_once_and_different_ones_are_reported() -> None:
    text = f"{WEB}  - port: 80\n"
    assert read(text, text, workload()).diagnostics == ()
    found = only(read(text, text.replace("80", "81"), workload()))
    assert (found.name, found.span.path, found.labels[0].span.path) == ("inventory-conflict", "1.yaml", "0.yaml")


def test_lists_are_read_item_by_item() -> None:
    item = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}"
    inventory = read(f"apiVersion: v1\nkind: List\nitems: [{{apiVersion: v1, kind: List, items: [{item}]}}]\n")
    assert ports(inventory) == [("80", "tcp", None, None)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---\n---\n",
        "# nothing\n",
        "%YAML 1.1\n---\n",
        "kind: Service\napiVersion: serving.knative.dev/v1\nmetadata: {name: web}\nspec: {template: {}}\n",
        "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: [1, 2]}\nspec: 5\n",
        "replicaCount: 1\nimage: {repository: x}\n",
        "- op: replace\n  path: /spec\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {patched: yes}}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: alerts}\ndata: {rule: '{{ $labels.instance }} is down'}\n",
    ],
)
def test_what_is_no_service_is_skipped(text: str) -> None:
    assert read(text) == Inventory(declarations=(), diagnostics=())


def test_a_broken_document_costs_no_other() -> None:
    good = f"{WEB}  - port: 80\n---\n{workload()}"
    inventory = read(f"a: [1\n---\n{good}---\nb: 'x\n---\n- : - :\n")
    assert ports(inventory) == [("80", "tcp", None, None)]
    assert {(one.name, one.span.line > 0) for one in inventory.diagnostics} == {("inventory-invalid", True)}
    assert len(inventory.diagnostics) >= 2


@pytest.mark.parametrize(
    "text",
    [
        "{{- if .Values.enabled }}\napiVersion: v1\nkind: Service\n{{- end }}\n",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Values.name }}\n",
        'apiVersion: v1\nkind: Service\nmetadata:\n  name: "{{ .Values.name }}"\nspec: {}\n',
    ],
)
def test_templates_are_to_be_rendered_first(text: str) -> None:
    inventory = read(f"{WEB}  - port: 80\n---\n{text}---\n{workload()}")
    assert inventory.declarations == ()
    found = only(inventory)
    assert found.message == "this is a template, not a manifest"
    assert "render it first" in found.help[0]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"{WEB}  - port: 80\n    port: 81\n", "`port` is given twice"),
        ("just words\n", "a manifest is a mapping with `apiVersion` and `kind`"),
        ("a: \x07\n", "the character U+0007 may not stand in YAML"),
        ("a: *nothing\n", "`*nothing` stands for nothing"),
        (f"a: {'[' * 200}{']' * 200}\n", "nested deeper than 100 levels"),
        ("apiVersion: v1\nkind: Service\nspec: {}\n", "the Service has no `metadata.name`"),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: Web}\nspec: {selector: {a: b}}\n",
            "`Web` is no name of a Service",
        ),
        (f"{WEB}  - name: http\n", "the port has no `port`, its number"),
        (WEB.replace("ports:", "ports: 5"), "`ports` must be a list"),
        (WEB.replace("{app: web}", "web"), "`selector` must be a mapping"),
        (WEB.replace("{name: web, namespace: shop}", "{name: [web]}"), "`name` must be a text"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(text: str, name: str) -> None:
    errors = [one for one in read(text, workload()).diagnostics if one.name == "inventory-invalid"]
    assert name in [one.message for one in errors]


def test_names_that_no_program_can_say_are_left_out() -> None:
    inventory = read(workload("nightly.job", kind="CronJob", api="batch/v1"))
    assert inventory.declarations == ()
    assert only(inventory).name == "inventory-omitted"


def test_spans_hold_with_a_byte_order_mark_windows_line_ends_and_other_scripts() -> None:
    text = f"\ufeff# Läden 🛒\r\n---\r\n{WEB}  - port: 80\n".replace("\n", "\r\n").replace("\r\r", "\r")
    source = SourceFile("shop.yaml", text)
    (found,) = [one for one in read_inventory([source]).declarations if isinstance(one, ast.Service)]
    assert source.text[found.name.span.start : found.name.span.end] == "web"
    assert found.name.span.line == 5
    assert source.text[found.span.start : found.span.end].startswith("apiVersion")
    assert source.text[found.span.start : found.span.end].endswith("80")
