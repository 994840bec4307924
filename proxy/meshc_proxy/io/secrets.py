"""What a sidecar proves who it is with, and whom it believes: files of certificates, and contexts made of them."""

import ssl
import time
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath

from meshc_proxy.wire.tls import PeerMode, Tls, client_context, server_context
from meshc_proxy.wire.trust import Trust


class SecretsError(Exception):
    """Files of certificates that are missing or unfit; the text names them."""


class Secrets:
    """One generation of a sidecar's certificates: rotating them makes a new one.

    The directory holds `cert.pem`, `key.pem`, and `<trust domain>.pem` for each domain. Raises SecretsError.
    """

    def __init__(self, directory: PurePosixPath, trust_domains: tuple[str, ...], ca_file: PurePosixPath) -> None:
        self._directory = Path(directory)
        self._ca_file = Path(ca_file)
        try:
            self._bundles = {domain: (self._directory / f"{domain}.pem").read_bytes() for domain in trust_domains}
            self._trust = Trust.from_pem(self._bundles)
            self._servers = {mode: self._own(server_context(self._trust, mode)) for mode in PeerMode}
            self._clients: dict[tuple[str, ...], ssl.SSLContext] = {}
        except OSError as error:
            raise SecretsError(f"{error.filename or self._directory}: {error.strerror or error}") from error
        except ValueError as error:
            raise SecretsError(f"{self._directory}: {error}") from error

    def trusts_all_of(self, other: "Secrets") -> bool:
        """Whether the authorities are the same, so that who was verified by `other` would be verified again."""
        return self._bundles == other._bundles

    def serve(self, mode: PeerMode) -> Tls:
        """The TLS of a connection that has come in."""
        return Tls(self._servers[mode], server=True, trust=self._trust, at=_wall(), now=time.monotonic())

    def call(self, protocols: tuple[str, ...]) -> Tls:
        """The TLS of a connection to a sidecar of the mesh."""
        if protocols not in self._clients:
            self._clients[protocols] = self._own(client_context(self._trust, protocols=protocols))
        context = self._clients[protocols]
        return Tls(context, server=False, trust=self._trust, at=_wall(), now=time.monotonic())

    def call_out(self, name: str, protocols: tuple[str, ...], ca_file: str | None) -> Tls:
        """The TLS of a connection to an external, whose name is verified. Raises SecretsError without authorities."""
        try:
            context = self._outside if ca_file is None else _outside(Path(ca_file))
        except OSError as error:
            raise SecretsError(f"{ca_file or self._ca_file}: {error.strerror or error}") from error
        context.set_alpn_protocols(list(protocols))
        return Tls(context, server=False, trust=None, at=_wall(), now=time.monotonic(), server_name=name)

    @cached_property
    def _outside(self) -> ssl.SSLContext:
        return _outside(self._ca_file)

    def _own(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.load_cert_chain(self._directory / "cert.pem", self._directory / "key.pem")
        return context


def _outside(ca_file: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _wall() -> datetime:
    return datetime.now(UTC)
