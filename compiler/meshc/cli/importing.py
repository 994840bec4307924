"""`meshc import`: existing configuration -> a program, proven equal to what was read."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshc.cli.arguments import Arguments
from meshc.cli.configurations import ENVOY_KEYS, configuration_sources
from meshc.cli.console import Console, UsageError
from meshc.cli.texts import write_text
from meshc.diagnostics import Severity
from meshc.importing import (
    Imported,
    described,
    import_program,
    in_trust_domains,
    known_services,
    merge_readings,
)
from meshc.ir import Mesh
from meshc.load import CONFIG_NAME
from meshc.reading import Aspect, ConfigObject, Reading, Unknown, objects_of_source, read_objects
from meshc.reading.network_policies import FIREWALLS, is_network_policy, read_network_policies
from meshc.source import SourceFile
from meshc.targets import find_target

_POLICIES: Final = "policies"
_CONFIG: Final = "policies: policies/\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Objects of one kind of configuration: those of some API groups, or those that `is_one` picks; and the target that reads them."""

    target: str | None
    is_one: Callable[[ConfigObject], bool]
    is_of_cluster: bool = True
    """Whether it is read beside what else the cluster holds, such as pods that go without a proxy."""


def _of_groups(*endings: str) -> Callable[[ConfigObject], bool]:
    return lambda one: one.group.endswith(endings)


_KINDS: Final[Mapping[str, _Kind]] = {
    "networkpolicy": _Kind(target=None, is_one=_of_groups("networking.k8s.io", *FIREWALLS)),
    "istio": _Kind(
        target="istio",
        is_one=lambda one: one.group.endswith(".istio.io") or "meshConfig" in one.data,
    ),
    "linkerd": _Kind(target="linkerd", is_one=_of_groups("linkerd.io")),
    "gateway": _Kind(target="linkerd", is_one=_of_groups("gateway.networking.k8s.io")),
    "envoy": _Kind(target="envoy", is_one=lambda one: bool(ENVOY_KEYS & set(one.data)), is_of_cluster=False),
}
KINDS: Final = tuple(sorted(_KINDS))
"""What can be imported."""


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status: 0 only if everything was imported, and is proven to be."""
    directory = _directory(arguments)
    sources = list(_sources(arguments.paths))
    objects = _objects(sources, console)
    known, found = known_services(sources)
    for one in found:
        if one.severity is Severity.ERROR:
            console.complain(f"{one.span}: {one.message}")
    reading = merge_readings(known, list(_readings(objects, known, arguments.kind)))
    if reading.mesh.trust_domains != known.trust_domains:
        known = in_trust_domains(known, reading.mesh.trust_domains)
        reading = merge_readings(known, list(_readings(objects, known, arguments.kind)))
    if not reading.mesh.workloads:
        for unknown in reading.unknown:
            console.complain(f"{unknown.span}: not understood: {unknown.message}")
        raise UsageError("no Service among the files; name the manifests of the services too")
    imported = import_program(reading, "imported", described(objects))
    _write(directory, imported, console)
    return _report(imported, console)


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


def _readings(objects: Sequence[ConfigObject], known: Mesh, wanted: str | None) -> Iterator[Reading]:
    """One reading of each target with objects among the files; `--from` leaves the others out."""
    mine: dict[str | None, list[ConfigObject]] = {}
    for one in objects:
        name = _kind_of(one)
        # Linkerd's policies are for routes of the Gateway API, and mean nothing without them.
        if name is not None and (wanted in {None, name} or (wanted, name) == ("linkerd", "gateway")):
            mine.setdefault(_KINDS[name].target, []).append(one)
    for target, some in mine.items():
        if target is None:
            yield read_network_policies(objects, known, {})
            yield _unread((one for one in some if not is_network_policy(one)), known)
        elif (read := find_target(target).read) is None:
            yield _unread(some, known)
        else:
            around = [one for one in objects if _kind_of(one) is None] if _KINDS[target].is_of_cluster else []
            yield read_objects(read, [*around, *some], known, {})


def _kind_of(one: ConfigObject) -> str | None:
    """The kind of configuration that an object is; the longest group decides, None for what says nothing of calls."""
    if one.group == "gateway.networking.k8s.io":
        return "gateway"
    return next((name for name, kind in _KINDS.items() if kind.is_one(one)), None)


def _unread(objects: Iterable[ConfigObject], known: Mesh) -> Reading:
    """What nobody reads yet, although it decides about calls: it may refuse requests, so that nothing can be left open."""
    unknown: list[Unknown] = []
    for one in objects:
        shown = f"{one.kind} `{one.name}`" if one.kind else "configuration of Envoy"
        message = f"{shown} is not imported yet"
        unknown.append(Unknown(message=message, aspects=frozenset(Aspect), span=one.span("kind")))
    return Reading(mesh=known, unknown=tuple(unknown))


def _write(directory: Path, imported: Imported, console: Console) -> None:
    policies = directory / _POLICIES
    policies.mkdir(parents=True, exist_ok=True)
    if not (directory / CONFIG_NAME).exists():
        write_text(directory / CONFIG_NAME, _CONFIG)
    for path, text in imported.files.items():
        write_text(policies / path, text)
    console.say(f"{policies}: {len(imported.files)} files")


def _report(imported: Imported, console: Console) -> int:
    for omitted in imported.omitted:
        console.complain(f"{omitted.span}: not imported, {omitted.what}: {omitted.reason}")
    for one in imported.diagnostics:
        console.complain(f"{one.span}: {one.message}")
    if not imported.difference.is_empty:
        subjects = ", ".join(str(one.subject) for one in imported.difference.subjects)
        console.complain(f"the program does not say what was read, at {subjects}; that is a mistake in meshc")
    if imported.omitted or imported.diagnostics or not imported.difference.is_empty:
        return 1
    assumed = " and ".join(one.text for one in imported.assumptions)
    console.print(f"equal, assuming that {assumed}" if assumed else "equal")
    return 0
