"""Declarations of services and of authentication, as they are written."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.semantics.show import show_text

_ISSUER_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+")
"""With a dash, so that no word of the language is one."""


def mesh_block(mesh: ir.Mesh, name: str, defaults: Sequence[str]) -> str:
    """The mesh itself, as far as it is not what a mesh is anyway; `defaults` are those of all its services."""
    lines = []
    if mesh.trust_domains != ("cluster.local",):
        also = ", ".join(show_text(one) for one in mesh.trust_domains[1:])
        lines.append(f"  trust-domain {show_text(mesh.trust_domain)}{f' also {also}' if also else ''}\n")
    if mesh.cluster_domain != "cluster.local":
        lines.append(f"  cluster-domain {show_text(mesh.cluster_domain)}\n")
    if mesh.trusted_hops:
        lines.append(f"  trusted-hops {mesh.trusted_hops}\n")
    lines += [f"  {one}\n" for one in defaults]
    return f"mesh {name} {{\n{''.join(lines)}}}\n" if lines else f"mesh {name} {{ }}\n"


def external_block(external: ir.External) -> str:
    """A service outside the mesh."""
    ports = "".join(f"  port {port.number} {port.protocol.value}\n" for port in external.ports)
    hosts = ", ".join(map(show_text, external.hosts))
    return f"external {external.name} in {external.namespace} {{\n  host {hosts}\n{ports}}}\n"


def service_block(workload: ir.Workload) -> str:
    """A service, with all that is not its default."""
    body = [f"  {one}\n" for one in _parts(workload)]
    head = f"service {workload.name} in {workload.namespace}"
    return f"{head} {{\n{''.join(body)}}}\n" if body else f"{head}\n"


def _parts(workload: ir.Workload) -> Iterator[str]:
    for port in workload.ports:
        target = f" target {port.target}" if port.target != port.number else ""
        name = f" as {port.name}" if port.name is not None else ""
        yield f"port {port.number} {port.protocol.value}{target}{name}"
    if workload.service_account != workload.name:
        yield f"service-account {_name(workload.service_account)}"
    if dict(workload.labels) != {"app": workload.name}:
        yield f"labels {_labels(workload.labels)}"
    for version in workload.versions:
        is_plain = dict(version.labels) == {"version": version.name}
        yield f"version {version.name}" + ("" if is_plain else f" {{ labels {_labels(version.labels)} }}")
    for endpoint in workload.endpoints:
        yield f"endpoint {_endpoint(endpoint)}"
    if workload.discovery is not (ir.Discovery.STATIC if workload.endpoints else ir.Discovery.KUBERNETES):
        name = "" if workload.dns_name is None else f" {show_text(workload.dns_name)}"
        yield f"discover {workload.discovery.value}{name}"
    for probe in workload.probes:
        path = "" if probe.path is None else f" {probe.path}"
        yield f"probe {probe.method}{path} on {probe.port}"


def _endpoint(endpoint: ir.Endpoint) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    parts = [] if endpoint.zone is None else [f"zone {show_text(endpoint.zone)}"]
    parts += [] if endpoint.version is None else [f"version {endpoint.version}"]
    parts += [] if endpoint.weight == 1 else [f"weight {endpoint.weight}"]
    return show_text(f"{host}:{endpoint.port}") + (f" {{ {' '.join(parts)} }}" if parts else "")


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{_name(key)} = {show_text(value)}" for key, value in sorted(labels.items()))


def _name(text: str) -> str:
    is_plain = text.replace("-", "").isalnum() and text == text.lower() and not text[0].isdigit()
    return text if is_plain else show_text(text)


def with_issuer_names(workload: ir.Workload) -> ir.Workload:
    """The workload with names for its issuers that a program can hold; meshes have none. Whatever order they come in, they have the same."""
    jwts = sorted({replace(jwt, name="") for port in workload.ports for jwt in port.jwts}, key=_issuer_order)
    names: dict[ir.Jwt, str] = {}
    for number, jwt in enumerate(jwts, 1):
        name = _issuer_name(jwt.issuer) or f"issuer-{number}"
        names[jwt] = name if name not in names.values() else f"{name}-{number}"

    def named(port: ir.PortPolicy) -> ir.PortPolicy:
        found = (replace(jwt, name=names[replace(jwt, name="")]) for jwt in port.jwts)
        return replace(port, jwts=tuple(sorted(found, key=lambda jwt: jwt.name)))

    return replace(workload, ports=tuple(map(named, workload.ports)))


def _issuer_order(jwt: ir.Jwt) -> tuple[object, ...]:
    """All that tells two issuers of a workload apart."""
    return jwt.issuer, jwt.audiences, jwt.jwks_kind, jwt.jwks, jwt.from_headers, jwt.forward, jwt.required


def _issuer_name(issuer: str) -> str | None:
    """An issuer by its host, `accounts-google-com`; None where that makes no name."""
    host = issuer.partition("://")[2].partition("/")[0].partition(":")[0] or issuer
    name = host.lower().replace(".", "-")
    return name if _ISSUER_NAME.fullmatch(name) else None


def authenticate_block(workload: ir.Workload, name: str, inherited: ir.MtlsMode) -> str:
    """Modes of mTLS other than those of the scope around, and issuers of tokens; empty where there is neither."""
    modes = {port.number: port.mtls for port in workload.ports if port.protocol is not ir.Protocol.TLS}
    other = {number: mode for number, mode in modes.items() if mode is not inherited}
    jwts = dict.fromkeys(jwt for port in workload.ports for jwt in port.jwts)
    lines: list[str] = []
    if len(modes) == len(workload.ports) and len(set(modes.values())) == 1 and other:
        lines.append(f"  mtls {next(iter(other.values())).value}\n")
    else:
        lines += [f"  port {number} mtls {mode.value}\n" for number, mode in other.items()]
    lines += [f"  {_jwt(jwt)}\n" for jwt in jwts]
    return f"\nauthenticate {name} {{\n{''.join(lines)}}}\n" if lines else ""


def _jwt(jwt: ir.Jwt) -> str:
    parts = [f"issuer {show_text(jwt.issuer)}"]
    if jwt.audiences:
        parts.append(f"audiences {', '.join(map(show_text, jwt.audiences))}")
    parts.append(f"jwks {jwt.jwks_kind} {show_text(jwt.jwks)}")
    if jwt.from_headers != (("authorization", "Bearer "),):
        for name, prefix in jwt.from_headers:
            parts.append(f"from-header {show_text(name)}{f' {show_text(prefix)}' if prefix else ''}")
    parts += ["forward"] if jwt.forward else []
    parts += ["required"] if jwt.required else []
    return f"jwt {jwt.name} {{ {' '.join(parts)} }}"
