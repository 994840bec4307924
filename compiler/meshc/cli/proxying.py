"""`meshc proxy`: one reference proxy that runs what was compiled, or what somebody else configured."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path, PurePosixPath
from typing import Final

from meshc.cli.arguments import Arguments
from meshc.cli.configurations import configuration_sources, target_of
from meshc.cli.console import Console, UsageError
from meshc.cli.project import ProjectInvalidError, analyze_project, open_project
from meshc.cli.via import as_far_as_read
from meshc.diagnostics import Severity
from meshc.importing import known_services
from meshc.ir import Mesh
from meshc.reading import Aspect, ConfigObject, Reading, Unknown, bare, objects_of_source
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.site import LOOPBACK, TLS_DIRECTORY, Address, Site, site_of
from meshc.source import BUILTIN, SourceFile
from meshc.target import Target, WorkloadKey

try:
    from meshc_proxy.io.standalone import ConfigurationError, Running, Source
    from meshc_proxy.io.standalone import run as run_proxy
except ModuleNotFoundError as error:
    raise UsageError(f"the proxy needs `{error.name}`: pip install 'meshc[proxy]'") from error

_SCHEME: Final = "spiffe://"
_SOMEWHERE: Final = "192.0.2.1"
"""An address that is nobody's (RFC 5737)."""


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status: 1 if there is no configuration that can be run."""
    loader = _Loader(arguments, console)
    admin = None if arguments.admin == "off" else _address(arguments.admin)
    try:
        run_proxy(
            Source(load=loader.load, stamp=loader.stamp), Running(admin=admin, drain_s=arguments.drain, say=console.say)
        )
    except ConfigurationError as error:
        console.complain(str(error))
        return 1
    return 0


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"`{text}` is no address; write it as `127.0.0.1:15000`")
    return Address(host=host.strip("[]") or LOOPBACK, port=int(port))


class _Loader:
    """Reads the configuration, each time as a whole."""

    def __init__(self, arguments: Arguments, console: Console) -> None:
        if arguments.config is None:
            raise UsageError("nothing to run; name a compiled file or directory with `--config`")
        self._arguments = arguments
        self._console = console
        self._config = arguments.config
        self._tls = PurePosixPath(arguments.tls) if arguments.tls is not None else None

    def stamp(self) -> Hashable:
        """Names, times and sizes of all files that are read."""
        paths = [Path(self._config)]
        tls = Path(self._tls or TLS_DIRECTORY)
        files = [file for path in (*paths, tls) for file in (path.rglob("*") if path.is_dir() else (path,))]
        found: list[tuple[str, int, int]] = []
        for file in files:
            try:
                status = file.stat()
            except OSError:
                continue
            found.append((str(file), status.st_mtime_ns, status.st_size))
        return tuple(sorted(found))

    def load(self) -> tuple[Mesh, Site]:
        """Read everything. Raises ConfigurationError."""
        try:
            return self._load()
        except UsageError as error:
            raise ConfigurationError(str(error)) from error

    def _load(self) -> tuple[Mesh, Site]:
        sources = list(configuration_sources(self._config))
        objects = _objects(sources)
        target = target_of(objects, self._config)
        if target.read is None:
            raise UsageError(f"configuration of {target.name} cannot be read yet")
        program = None if self._arguments.program is None else self._of_program(self._arguments.program)
        known = self._known(sources, target) if program is None else bare(program)
        reading, sites = _read(target, objects, known)
        key = self._chosen(reading.mesh, sites)
        if known.span == BUILTIN:
            # Nothing but its own certificate says what its trust domain is called.
            domain = self._own_trust_domain(sites.get(key))
            reading, sites = _read(target, objects, replace(known, trust_domains=(domain,)))
        for one in _that_matter(reading, key, target):
            raise UsageError(f"{one.span}: not understood, so nothing is run: {one.message}")
        if target.reads == set(Aspect):
            mesh = reading.mesh
        elif program is None:
            raise UsageError(
                f"how calls travel is not read from files of {target.name}; name the program with `--program`"
            )
        else:
            mesh = as_far_as_read(program, reading.mesh, target)
        if program is not None and (number := _opened(program, mesh, key)) is not None:
            raise UsageError(
                f"`{self._config}` lets anybody call port {number} of `{'/'.join(key)}`, which the program refuses;"
                " are the files of the service missing?"
            )
        return mesh, self._placed(mesh, key, sites)

    def _known(self, sources: Sequence[SourceFile], target: Target) -> Mesh:
        """The services that there are: by manifests beside the configuration, or by itself."""
        declared, _ = known_services(sources)
        if declared.workloads:
            return declared
        if target.sites is None:
            raise UsageError(
                f"files of {target.name} do not say which services there are; name the program with `--program`,"
                " or put the manifests of the services beside them"
            )
        return replace(declared, span=BUILTIN)

    def _of_program(self, path: Path) -> Mesh:
        try:
            project = open_project(path, self._console)
        except ProjectInvalidError:
            raise UsageError(f"the program `{path}` has errors") from None
        mesh = analyze_project(project, self._arguments.environment).mesh
        if mesh is None:
            raise UsageError(f"the program `{path}` has errors; `meshc check` shows them")
        return mesh

    def _own_trust_domain(self, site: Site | None) -> str:
        """That of the certificate that this proxy proves itself with."""
        directory = Path(self._tls or (TLS_DIRECTORY if site is None else site.tls_directory))
        try:
            names = own_names(directory / "cert.pem")
        except (OSError, ValueError) as error:
            raise UsageError(f"{directory / 'cert.pem'}: {getattr(error, 'strerror', None) or error}") from error
        for name in names:
            if name.startswith(_SCHEME):
                return name.removeprefix(_SCHEME).partition("/")[0]
        raise UsageError(f"{directory / 'cert.pem'}: the certificate has no SPIFFE id")

    def _chosen(self, mesh: Mesh, sites: Mapping[WorkloadKey, Site]) -> WorkloadKey:
        names = {f"{one.namespace}/{one.name}": (one.namespace, one.name) for one in mesh.workloads}
        wanted = self._arguments.services
        if wanted:
            found = names.get(wanted[0].replace(".", "/", 1)) if len(wanted) == 1 else None
            if found is None:
                raise UsageError(f"there is no service `{','.join(wanted)}`; there are {', '.join(sorted(names))}")
            return found
        if len(sites) == 1:
            return next(iter(sites))
        raise UsageError(f"whose proxy this is must be said with `--service`: {', '.join(sorted(names))}")

    def _placed(self, mesh: Mesh, key: WorkloadKey, sites: Mapping[WorkloadKey, Site]) -> Site:
        site = sites.get(key)
        if site is None:
            workload = next(one for one in mesh.workloads if (one.namespace, one.name) == key)
            listen = self._arguments.listen or "0.0.0.0"  # noqa: S104  a sidecar serves the whole network
            ip_address(listen)
            site = site_of(mesh, workload, listen=(listen,), application=self._arguments.application or LOOPBACK)
        return site if self._tls is None else replace(site, tls_directory=self._tls)


def _opened(program: Mesh, mesh: Mesh, key: WorkloadKey) -> int | None:
    """A port that the configuration opens to callers without an identity, and the program does not: a mesh without the service's own
    files lets everybody in.
    """
    before, after = Evaluator(program), Evaluator(mesh)
    workload = next((one for one in program.workloads if (one.namespace, one.name) == key), None)
    for port in () if workload is None else workload.ports:
        request = Request(identity=None, namespace=key[0], service=key[1], port=port.number, source_ip=_SOMEWHERE)
        if port.protocol.is_http:
            request = replace(request, method="GET", path="/")
        if before.decide(request).allowed is False and after.decide(request).allowed:
            return port.number
    return None


def _read(target: Target, objects: Sequence[ConfigObject], known: Mesh) -> tuple[Reading, Mapping[WorkloadKey, Site]]:
    assert target.read is not None
    reading = target.read(objects, known, {})
    return reading, {} if target.sites is None else target.sites(objects, reading.mesh)


def own_names(certificate: Path) -> tuple[str, ...]:
    """The URI names of a certificate. Raises OSError and ValueError."""
    from cryptography import x509  # noqa: PLC0415  takes a while to load

    leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier))


def _objects(sources: Sequence[SourceFile]) -> list[ConfigObject]:
    objects: list[ConfigObject] = []
    for source in sources:
        found, wrong = objects_of_source(source)
        for one in wrong:
            if one.severity is Severity.ERROR:
                raise UsageError(f"{one.span}: {one.message}")
        objects += found
    return objects


def _that_matter(reading: Reading, key: WorkloadKey, target: Target) -> list[Unknown]:
    """What is not understood and concerns this proxy: its own ports, and how its calls to others travel."""
    if target.sites is None and Aspect.ACCESS not in target.reads:
        raise UsageError(f"who may call is not read from files of {target.name} yet")
    return [one for one in reading.unknown if one.aspects & target.reads and _matters(one, key)]


def _matters(unknown: Unknown, key: WorkloadKey) -> bool:
    if unknown.ports is None or any(port[:2] == key for port in unknown.ports):
        return True
    # Who may call another service is decided there.
    return unknown.aspects != {Aspect.ACCESS}
