"""Sidecars as people write them by hand, without any of meshc's names, for tests: a server, and a shop with a caller."""

from typing import Final

from meshc.ir import Mesh
from meshc.reading import Reading, bare, objects_of_source
from meshc.source import SourceFile
from meshc_envoy.read import read
from meshc_harness.compare import analyze_text

PAYMENTS: Final = """\
node: {id: bank/payments, cluster: payments}
static_resources:
  listeners:
  - name: ingress
    traffic_direction: INBOUND
    address: {socket_address: {address: 0.0.0.0, port_value: 8443}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            tls_certificates: [{certificate_chain: {filename: /certs/tls.crt}, private_key: {filename: /certs/tls.key}}]
            validation_context:
              trusted_ca: {filename: /certs/ca.crt}
              match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: "spiffe://bank.example/"}}]
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          normalize_path: true
          merge_slashes: true
          path_with_escaped_slashes_action: REJECT_REQUEST
          stream_idle_timeout: 0s
          route_config:
            name: local
            virtual_hosts:
            - name: backend
              domains: ["*"]
              routes: [{match: {prefix: /}, route: {cluster: app, timeout: 0s, idle_timeout: 0s}}]
          http_filters:
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                login:
                  issuer: https://login.bank.example
                  audiences: [payments]
                  require_expiration: true
                  forward: true
                  payload_in_metadata: token
                  from_headers: [{name: Authorization, value_prefix: "Bearer "}]
                  remote_jwks:
                    http_uri: {uri: "https://login.bank.example/jwks.json", cluster: login, timeout: 2s}
              rules: [{match: {prefix: /}, requires: {provider_name: login}}]
          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: ALLOW
                policies:
                  charge:
                    permissions:
                    - and_rules:
                        rules:
                        - header: {name: ":method", string_match: {exact: POST}}
                        - url_path: {path: {exact: /charge}}
                    principals: [{authenticated: {principal_name: {exact: "spiffe://bank.example/ns/shop/sa/web"}}}]
                  reports:
                    permissions:
                    - and_rules:
                        rules:
                        - header: {name: ":method", string_match: {exact: GET}}
                        - url_path: {path: {prefix: /reports/}}
                    principals: [{authenticated: {principal_name: {exact: "spiffe://bank.example/ns/bank/sa/audit"}}}]
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: app
    type: STATIC
    circuit_breakers:
      thresholds:
      - {max_connections: 4294967295, max_pending_requests: 4294967295, max_requests: 4294967295, max_retries: 4294967295}
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8080}}}}]}]
  - name: login
    type: LOGICAL_DNS
    load_assignment:
      cluster_name: login
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: login.bank.example, port_value: 443}}}}]
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: login.bank.example
        common_tls_context:
          validation_context:
            trusted_ca: {filename: /etc/ssl/certs/ca-certificates.crt}
            match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: login.bank.example}}]
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
"""

TYPES: Final = "type.googleapis.com/envoy.extensions"
MANAGER: Final = f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER: Final = f'{{name: router, typed_config: {{"@type": {TYPES}.filters.http.router.v3.Router}}}}'
_OWN: Final = (
    "tls_certificates: [{certificate_chain: {filename: /certs/tls.crt}, private_key: {filename: /certs/tls.key}}]"
)


def endpoint(host: str, port: int) -> str:
    address = f"{{socket_address: {{address: {host}, port_value: {port}}}}}"
    return (
        f"load_assignment: {{cluster_name: x, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {address}}}}}]}}]}}"
    )


def verified(name: str) -> str:
    """What a certificate must be, to be that of an identity or of all with a prefix."""
    names = f"match_typed_subject_alt_names: [{{san_type: URI, matcher: {{{name}}}}}]"
    return f"{{{_OWN}, validation_context: {{trusted_ca: {{filename: /certs/ca.crt}}, {names}}}}}"


def inside(name: str, host: str, port: int, account: str) -> str:
    context = verified(f'exact: "spiffe://shop.example/ns/shop/sa/{account}"')
    return f"""
  - name: {name}
    type: STRICT_DNS
    connect_timeout: 1s
    {endpoint(host, port)}
    transport_socket:
      name: tls
      typed_config:
        "@type": {TYPES}.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context: {context}"""


def server_of_shop(service: str, bound: int) -> str:
    """A sidecar that lets `web` in, to GET alone."""
    context = verified('prefix: "spiffe://shop.example/"')
    web = '{authenticated: {principal_name: {exact: "spiffe://shop.example/ns/shop/sa/web"}}}'
    get = '{header: {name: ":method", string_match: {exact: GET}}}'
    unbounded = ", ".join(
        f"{name}: 4294967295" for name in ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    )
    return f"""\
node: {{id: shop/{service}}}
static_resources:
  listeners:
  - name: ingress
    address: {{socket_address: {{address: 0.0.0.0, port_value: {bound}}}}}
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": {TYPES}.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context: {context}
      filters:
      - name: http
        typed_config:
          "@type": {MANAGER}
          stat_prefix: ingress
          stream_idle_timeout: 0s
          route_config:
            virtual_hosts:
            - name: app
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: app, timeout: 0s, idle_timeout: 0s}}}}]
          http_filters:
          - name: rbac
            typed_config:
              "@type": {TYPES}.filters.http.rbac.v3.RBAC
              rules: {{action: ALLOW, policies: {{web: {{permissions: [{get}], principals: [{web}]}}}}}}
          - {ROUTER}
  clusters:
  - name: app
    circuit_breakers: {{thresholds: [{{{unbounded}}}]}}
    {endpoint("127.0.0.1", 3000)}
"""


WEB: Final = f"""\
node: {{id: shop/web}}
static_resources:
  listeners:
  - name: egress
    traffic_direction: OUTBOUND
    address: {{socket_address: {{address: 127.0.0.1, port_value: 9001}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": {MANAGER}
          stat_prefix: egress
          normalize_path: true
          merge_slashes: true
          path_with_escaped_slashes_action: REJECT_REQUEST
          route_config:
            virtual_hosts:
            - name: cart
              domains: [cart, "cart:8080", cart.shop]
              routes:
              - match: {{prefix: /, headers: [{{name: x-canary, string_match: {{exact: "1"}}}}]}}
                route: {{cluster: canary, timeout: 5s}}
              - match: {{prefix: /}}
                route:
                  weighted_clusters: {{clusters: [{{name: stable, weight: 90}}, {{name: canary, weight: 10}}]}}
                  timeout: 2s
                  retry_policy: {{retry_on: connect-failure, num_retries: 2}}
            - name: try-out
              domains: [cart-canary]
              routes: [{{match: {{prefix: /}}, route: {{cluster: canary, timeout: 0s}}}}]
          http_filters:
          - {ROUTER}
  clusters:{inside("stable", "cart", 8080, "cart")}{inside("canary", "cart-canary.shop.svc.cluster.local", 8080, "cart-canary")}
"""


_SHOP: Final = 'mesh m { trust-domain "shop.example" }\nnamespace shop\n'


def read_shop(web: str, *others: str, program: str = _SHOP) -> Reading:
    """What these files say beside a program."""
    mesh = analyze_text(program).mesh
    assert isinstance(mesh, Mesh)
    texts = {"web.yaml": web, **{f"{place}.yaml": text for place, text in enumerate(others)}}
    objects = [one for name, text in texts.items() for one in objects_of_source(SourceFile(name, text))[0]]
    return read(objects, bare(mesh), {})
