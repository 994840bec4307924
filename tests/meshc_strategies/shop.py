"""A small mesh written by hand, for tables: the shop of the language's page."""

from ipaddress import ip_network

from meshc import ir
from meshc.source import Span

FRONTEND = "spiffe://shop.example/ns/shop/sa/frontend"
CHECKOUT = "spiffe://shop.example/ns/shop/sa/checkout"
OPS = "spiffe://ops.example/ns/ops/sa/admin"


def at(line: int) -> Span:
    return Span("shop.mesh", line, line + 1, line, 1)


def rule(
    line: int, who: tuple[ir.Principal, ...], condition: ir.Condition = ir.ALWAYS, because: str | None = None
) -> ir.Rule:
    return ir.Rule(
        identifier=f"r{line}", principals=ir.Principals(who), condition=condition, because=because, span=at(line)
    )


def stage(effect: ir.Effect, *rules: ir.Rule, line: int = 1, shadow: bool = False) -> ir.Stage:
    return ir.Stage(effect=effect, rules=rules, shadow=shadow, span=at(line))


def operation(method: str, path: str) -> ir.Condition:
    return ir.AllOf((ir.MethodIs((method,)), ir.PathIs(ir.ExactPath(path))))


def port(number: int, protocol: ir.Protocol = ir.Protocol.HTTP, **more: object) -> ir.PortPolicy:
    fields: dict[str, object] = {
        "number": number,
        "protocol": protocol,
        "target": number,
        "name": None,
        "mtls": ir.MtlsMode.STRICT,
        "access": (),
        "settings": ir.Settings(),
        "span": at(1),
    }
    return ir.PortPolicy(**{**fields, **more})


def workload(namespace: str, name: str, *ports: ir.PortPolicy) -> ir.Workload:
    return ir.Workload(
        namespace=namespace,
        name=name,
        service_account=name,
        identity=f"spiffe://shop.example/ns/{namespace}/sa/{name}",
        labels={"app": name},
        discovery=ir.Discovery.KUBERNETES,
        ports=ports,
        span=at(2),
    )


def to(service: str, version: str | None = None, weight: float = 100.0, number: int = 8080) -> ir.Destination:
    return ir.Destination(namespace="bank", service=service, port=number, version=version, weight=weight)


def route(line: int, path: ir.PathPattern, action: ir.Forward | ir.Redirect | ir.Respond, **more: object) -> ir.Route:
    fields: dict[str, object] = {"methods": (), "condition": ir.ALWAYS, "callers": None, "settings": ir.Settings()}
    return ir.Route(path=path, action=action, span=at(line), **{**fields, **more})


IDP = ir.Jwt(
    name="corp",
    issuer="https://idp.example",
    audiences=("payments",),
    jwks_kind="inline",
    jwks="{}",
    from_headers=(("authorization", "Bearer "),),
    forward=False,
    required=False,
    span=at(3),
)

PAYMENTS_ACCESS = (
    stage(
        ir.Effect.DENY,
        rule(20, (ir.AnyPeer(),), ir.AddressIn(ir.AddressOf.PEER, (ip_network("10.66.0.0/16"),)), "quarantined"),
        rule(21, (ir.AnyPeer(),), ir.PathIs(ir.TemplatePath(("internal",), (), rest=True))),
    ),
    stage(
        ir.Effect.ALLOW,
        rule(30, (ir.ExactIdentity(FRONTEND),), operation("POST", "/charge")),
        rule(
            31,
            (ir.ExactIdentity(CHECKOUT),),
            ir.AllOf(
                (
                    ir.MethodIs(("GET", "HEAD")),
                    ir.PathIs(ir.TemplatePath(("charge", None), ("id",), rest=False)),
                    ir.HeaderIs("x-region", ir.Equals("eu")),
                )
            ),
        ),
        line=29,
    ),
    stage(ir.Effect.DENY, rule(40, (ir.AnyPeer(),), ir.MethodIs(("POST",))), shadow=True),
)

SHOP = ir.Mesh(
    name="shop",
    trust_domains=("shop.example", "ops.example"),
    cluster_domain="cluster.local",
    trusted_hops=0,
    workloads=(
        workload("bank", "ledger", port(5432, ir.Protocol.TCP, access=(stage(ir.Effect.ALLOW, line=50),))),
        workload(
            "bank",
            "payments",
            port(8080, access=PAYMENTS_ACCESS, jwts=(IDP,)),
            port(9090, ir.Protocol.GRPC, name="admin", mtls=ir.MtlsMode.PERMISSIVE),
        ),
        workload("shop", "checkout", port(8080)),
        workload("shop", "frontend"),
        workload("shop", "payments", port(80)),
    ),
    externals=(
        ir.External(
            namespace="bank", name="stripe", hosts=("*.stripe.com",), ports=(port(443, ir.Protocol.HTTPS),), span=at(4)
        ),
    ),
    span=at(5),
)
