"""What an emission may be told that the program does not say: where things are on the machine that runs a sidecar."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath
from typing import Final

_TLS_DIRECTORY: Final = PurePosixPath("/etc/meshc/tls")
_SDS_SOCKET: Final = PurePosixPath("/run/spire/sockets/agent.sock")
_ACCESS_LOG: Final = PurePosixPath("/dev/stdout")
_METRICS_SOCKET: Final = PurePosixPath("/run/meshc/metrics.sock")
_CA_FILE: Final = PurePosixPath("/etc/ssl/certs/ca-certificates.crt")


class Certificates(Enum):
    """Where a sidecar takes its certificate and its trust bundles from."""

    FILES = "files"
    SDS = "sds"


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketAddress:
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitOptions:
    """How the sidecars of one emission are placed; the defaults are for one sidecar a machine or container.

    `listen_addresses` maps `(namespace, service)` to the addresses that its inbound listeners bind, else
    `default_listen_address`; `application_addresses` likewise maps to the address at which the application listens, and
    `outbound_addresses` to the one that outbound listeners bind (both else 127.0.0.1). `source_address` is the one that all
    connections come from, None for whichever the system picks. `admin` is None for no admin
    interface; `admins` and `tls_directories` place single workloads elsewhere than `admin` and `tls_directory`. With FILES, `tls_directory` holds `cert.pem`, `key.pem` and `<trust domain>.pem` for each trust domain; with
    SDS, the SPIFFE Workload API's secrets are asked for at the Unix socket `sds_socket`. `external_addresses` replaces the
    address of an external's host. `ca_file` holds the authorities that external servers are verified with. `xds` is the
    management server that `discover eds` asks. Access logs go to the file `access_log`. Where metrics are asked for and
    there is no admin interface, one that answers nothing else listens at the Unix socket `metrics_socket`.
    """

    listen_addresses: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    default_listen_address: str = "0.0.0.0"  # noqa: S104 - a sidecar serves its peers
    application_addresses: Mapping[tuple[str, str], str] = field(default_factory=dict)
    outbound_addresses: Mapping[tuple[str, str], str] = field(default_factory=dict)
    source_address: str | None = None
    admin: SocketAddress | None = SocketAddress(host="127.0.0.1", port=15000)
    admins: Mapping[tuple[str, str], SocketAddress] = field(default_factory=dict)
    certificates: Certificates = Certificates.FILES
    tls_directory: PurePosixPath = _TLS_DIRECTORY
    tls_directories: Mapping[tuple[str, str], PurePosixPath] = field(default_factory=dict)
    sds_socket: PurePosixPath = _SDS_SOCKET
    external_addresses: Mapping[str, SocketAddress] = field(default_factory=dict)
    ca_file: PurePosixPath = _CA_FILE
    xds: SocketAddress = SocketAddress(host="127.0.0.1", port=18000)
    access_log: PurePosixPath = _ACCESS_LOG
    metrics_socket: PurePosixPath = _METRICS_SOCKET
