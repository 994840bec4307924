"""`meshc import`: existing configuration -> a program, proven equal to what was read."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from meshc.cli.arguments import Arguments
from meshc.cli.configurations import ENVOY_KEYS, configuration_sources
from meshc.cli.console import Console, UsageError
from meshc.cli.texts import write_text
from meshc.diagnostics import Severity
from meshc.importing import Imported, import_program, known_services, merge_readings
from meshc.ir import Mesh
from meshc.load import CONFIG_NAME
from meshc.reading import Aspect, ConfigObject, Reading, Unknown, objects_of_source
from meshc.reading.network_policies import FIREWALLS, is_network_policy, read_network_policies
from meshc.source import SourceFile
from meshc.targets import find_target

KINDS: Final = ("istio", "networkpolicy")
"""What can be imported so far."""

_POLICIES: Final = "policies"
_CONFIG: Final = "policies: policies/\n"
_ISTIO: Final = "security.istio.io"
_TRAVEL: Final = frozenset({"networking.istio.io", "telemetry.istio.io"})
_ISTIO_KINDS: Final = frozenset({"AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"})
_MESHES: Final = (".istio.io", "linkerd.io", "gateway.networking.k8s.io", "networking.k8s.io")
"""What the groups of objects that decide about calls end in."""


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status: 0 only if everything was imported, and is proven to be."""
    directory = _directory(arguments)
    sources = list(_sources(arguments.paths))
    objects = _objects(sources, console)
    known, found = known_services(sources)
    for one in found:
        if one.severity is Severity.ERROR:
            console.complain(f"{one.span}: {one.message}")
    if not known.workloads:
        raise UsageError("no Service among the files; name the manifests of the services too")
    reading = merge_readings(
        known, [*_readings(objects, known, arguments.kind), _unread(objects, known, arguments.kind)]
    )
    imported = import_program(reading, "imported")
    _write(directory, imported, console)
    return _report(reading, imported, console)


def _directory(arguments: Arguments) -> Path:
    if arguments.out is None:
        raise UsageError("nowhere to write; name a directory with `-o DIR`")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise UsageError(f"`{arguments.out}` is no directory")
    if arguments.out.is_dir() and any(arguments.out.iterdir()) and not arguments.force:
        raise UsageError(
            f"`{arguments.out}` is not empty; `--force` writes into it, and replaces files of the same name"
        )
    return arguments.out


def _sources(paths: Iterable[str]) -> Iterator[SourceFile]:
    for path in paths:
        if path != "-" and not Path(path).exists():
            raise UsageError(f"`{path}` does not exist")
        yield from configuration_sources(path)


def _objects(sources: Sequence[SourceFile], console: Console) -> list[ConfigObject]:
    objects: list[ConfigObject] = []
    for source in sources:
        read, wrong = objects_of_source(source)
        if wrong:
            console.report(wrong, {source.path: source})
            raise UsageError("nothing is imported from files that cannot be read as a whole")
        objects += read
    return objects


def _readings(objects: Sequence[ConfigObject], known: Mesh, kind: str | None) -> Iterator[Reading]:
    if kind in {None, "networkpolicy"} and any(map(is_network_policy, objects)):
        yield read_network_policies(objects, known, {})
    istio = find_target("istio")
    if kind in {None, "istio"} and istio.read is not None and any(one.group == _ISTIO for one in objects):
        yield istio.read(objects, known, {})


def _unread(objects: Iterable[ConfigObject], known: Mesh, kind: str | None) -> Reading:
    """What nobody reads yet, although it decides about calls; unless `--from` leaves it out."""
    unknown: list[Unknown] = []
    for one in objects:
        if kind is None and (_decides(one) or one.group.endswith(FIREWALLS)) and not _is_read(one):
            shown = f"{one.kind} `{one.name}`" if one.kind else "configuration of Envoy"
            # What travels is the callers' to say. All else may refuse requests, so that nothing can be left open.
            aspects = frozenset({Aspect.ROUTING, Aspect.SETTINGS}) if _is_travel(one) else frozenset(Aspect)
            unknown.append(Unknown(message=f"{shown} is not imported yet", aspects=aspects, span=one.span("kind")))
    return Reading(mesh=known, unknown=tuple(unknown))


def _decides(one: ConfigObject) -> bool:
    return one.group.endswith(_MESHES) or bool(ENVOY_KEYS & set(one.data))


def _is_travel(one: ConfigObject) -> bool:
    return one.group in _TRAVEL and one.kind != "EnvoyFilter"


def _is_read(one: ConfigObject) -> bool:
    return is_network_policy(one) or (one.group == _ISTIO and one.kind in _ISTIO_KINDS)


def _write(directory: Path, imported: Imported, console: Console) -> None:
    policies = directory / _POLICIES
    policies.mkdir(parents=True, exist_ok=True)
    if not (directory / CONFIG_NAME).exists():
        write_text(directory / CONFIG_NAME, _CONFIG)
    for path, text in imported.files.items():
        write_text(policies / path, text)
    console.say(f"{policies}: {len(imported.files)} files")


def _report(reading: Reading, imported: Imported, console: Console) -> int:
    for omitted in imported.omitted:
        console.complain(f"{omitted.span}: not imported, {omitted.what}: {omitted.reason}")
    for one in imported.diagnostics:
        console.complain(f"{one.span}: {one.message}")
    if not imported.difference.is_empty:
        subjects = ", ".join(str(one.subject) for one in imported.difference.subjects)
        console.complain(f"the program does not say what was read, at {subjects}; that is a mistake in meshc")
    if imported.omitted or imported.diagnostics or not imported.difference.is_empty:
        return 1
    assumed = " and ".join(one.text for one in reading.assumptions)
    console.print(f"equal, assuming that {assumed}" if assumed else "equal")
    return 0
