"""What a project's `meshc.yaml` says, as plain values. Reading one is in `meshc.config`, which is slow to load."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from meshc.source import Span

Unsupported = Literal["error", "warn"]
"""What to do about a feature that a target cannot express and that may be left out."""

Certificates = Literal["files", "sds"]
"""How sidecars get their certificates: from files on disk, or from a secret discovery service."""

Dataplane = Literal["sidecar", "ambient"]
"""How Istio enforces: in a sidecar beside each workload, or in ztunnel and waypoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoyConfig:
    """What the Envoy target is told: `tls_directory` is an absolute path on the sidecar's machine."""

    certificates: Certificates = "files"
    tls_directory: str = "/etc/meshc/tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class IstioConfig:
    """What the Istio target is told: `root_namespace` is where Istio takes mesh-wide resources from."""

    dataplane: Dataplane = "sidecar"
    root_namespace: str = "istio-system"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkerdConfig:
    """What the Linkerd target is told: `namespace` is the control plane's, which is a part of identities.

    `probe_networks` are the blocks that the kubelets' health checks come from.
    """

    namespace: str = "linkerd"
    probe_networks: tuple[str, ...] = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What `meshc.yaml` says. Paths are as written: relative ones start at the project's root.

    Whether the targets are installed and the environments declared is for those who know. `places` has where a setting is
    written, by its path: `targets`, `targets.0`, `envoy.certificates`; defaults have no place.
    """

    policies: str = "policies/"
    targets: tuple[str, ...] = ()
    out: str = "deploy/"
    environments: tuple[str, ...] = ()
    unsupported: Unsupported = "error"
    envoy: EnvoyConfig = field(default_factory=EnvoyConfig)
    istio: IstioConfig = field(default_factory=IstioConfig)
    linkerd: LinkerdConfig = field(default_factory=LinkerdConfig)
    places: Mapping[str, Span] = field(default_factory=dict, compare=False)
