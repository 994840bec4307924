"""Configuration of a mesh as an operand of `meshc diff`: a file, a directory, or what `kubectl get -o yaml` prints."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from meshc.cli.console import Console, UsageError
from meshc.cli.project import target_options
from meshc.diagnostics import Diagnostic, Severity
from meshc.difference.compare import Comparer
from meshc.difference.model import Change, Difference, Presence, Side, Subject, SubjectDifference, Undecided
from meshc.files import CONFIGURATION_SUFFIXES, configuration_files, decode_source, read_source, reason
from meshc.ir import Mesh
from meshc.load import CONFIG_NAME
from meshc.project_config import Config
from meshc.reading import Aspect, ConfigObject, Reading, Unknown, objects_of_source, read_objects
from meshc.reading.plain import items, mapping
from meshc.revisions import PREFIX
from meshc.source import SourceFile
from meshc.target import Target
from meshc.targets import find_target
from meshc.verification import narrowed

_ISTIO_TRAVEL: Final = "networking.istio.io"
_ISTIO: Final = ".istio.io"
_LINKERD: Final = ("linkerd.io", "gateway.networking.k8s.io")
ENVOY_KEYS: Final = frozenset({"static_resources", "configs"})
"""What a bootstrap and a config dump have at their top."""
_CHANGES: Final[Mapping[Aspect, tuple[Change, ...]]] = {
    Aspect.ACCESS: (Change.OPENED, Change.CLOSED, Change.CHANGED, Change.WEAKENED_MTLS),
    Aspect.ROUTING: (Change.ROUTING,),
    Aspect.SETTINGS: (Change.SETTINGS,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Objects of a mesh, the files that they are from, and the target that reads them."""

    shown: str
    target: Target
    objects: tuple[ConfigObject, ...]
    sources: tuple[SourceFile, ...]


def is_configuration(text: str) -> bool:
    """Whether an operand is configuration rather than a program: YAML or JSON, or a directory of it without a program."""
    if text == "-" or text.startswith(PREFIX):
        return text == "-"
    path = Path(text)
    if not path.is_dir():
        return path.suffix in CONFIGURATION_SUFFIXES
    if (path / CONFIG_NAME).exists() or next(path.rglob("*.mesh"), None) is not None:
        return False
    return bool(_files(path))


def read_configuration(text: str, console: Console) -> Configuration:
    """Read an operand. Raises UsageError for what cannot be read, or not be understood as a whole."""
    objects: list[ConfigObject] = []
    sources = tuple(configuration_sources(text))
    for source in sources:
        found, wrong = objects_of_source(source)
        if any(one.severity is Severity.ERROR for one in wrong):
            console.report(wrong, {source.path: source})
            raise UsageError(f"`{text}` is not compared: it cannot be read")
        objects += found
    return Configuration(shown=text, target=target_of(objects, text), objects=tuple(objects), sources=sources)


def target_of(objects: Sequence[ConfigObject], text: str) -> Target:
    """The target that reads the objects of an operand. Raises UsageError if there is none, or more than one."""
    kinds = {kind for one in objects if (kind := _kind(one))}
    if not kinds:
        raise UsageError(f"`{text}` holds no configuration of Istio, Linkerd or Envoy")
    if len(kinds) > 1:
        raise UsageError(f"`{text}` holds configuration of several meshes; name one at a time")
    return find_target(kinds.pop())


def _kind(one: ConfigObject) -> str | None:
    """The target that reads an object; None where none does."""
    if one.group.endswith(_ISTIO) or "meshConfig" in one.data:
        return "istio"
    if one.group.endswith(_LINKERD):
        return "linkerd"
    return "envoy" if ENVOY_KEYS & set(one.data) else None


def compare_with(
    side: Side, configuration: Configuration, config: Config, console: Console, *, is_new: bool
) -> Difference:
    """What differs between a program and configuration; `is_new` says that the configuration is the new side."""
    target = configuration.target
    options = target_options(config, target.name)
    reading = _read(configuration, side.mesh, options)
    aspects = _compared(configuration)
    _say((reading,), aspects, console)
    expressed = side.mesh if target.expressed is None else target.expressed(side.mesh, options)
    if target.expected is not None:
        expressed = target.expected(expressed, reading.mesh)
    program = replace(side, mesh=narrowed(expressed, aspects))
    found = Side(mesh=narrowed(reading.mesh, aspects), groups=side.groups)
    pair = (program, found) if is_new else (found, program)
    unknown = tuple(one for one in reading.unknown if one.aspects & aspects)
    return _with_unknown(Comparer().compare(*pair), unknown)


def compare_two(
    pair: tuple[Configuration, Configuration], meshes: tuple[Mesh, Mesh], config: Config, console: Console
) -> Difference:
    """What differs between two configurations, each of the services of a mesh, as far as the readers of both go."""
    aspects = _compared(pair[0]) & _compared(pair[1])
    is_one_mesh = pair[0].target.name == pair[1].target.name
    readings = [
        _read(one, mesh, target_options(config, one.target.name)) for one, mesh in zip(pair, meshes, strict=True)
    ]
    _say(readings, aspects, console)
    found = [narrowed(one.mesh, aspects) for one in readings]
    old, new = (Side(mesh=one if is_one_mesh else _with_issuers(one)) for one in found)
    return _with_unknown(Comparer().compare(old, new), [one for reading in readings for one in reading.unknown])


def _with_issuers(mesh: Mesh) -> Mesh:
    """The mesh with issuers called by what they are: not every mesh gives them names."""
    return replace(
        mesh,
        workloads=tuple(
            replace(
                one,
                ports=tuple(
                    replace(port, jwts=tuple(replace(jwt, name=jwt.issuer) for jwt in port.jwts)) for port in one.ports
                ),
            )
            for one in mesh.workloads
        ),
    )


def _read(configuration: Configuration, mesh: Mesh, options: Mapping[str, str]) -> Reading:
    target = configuration.target
    if target.read is None:
        raise UsageError(f"configuration of {target.name} cannot be read yet")
    return read_objects(target.read, configuration.objects, mesh, options)


def _say(readings: Sequence[Reading], aspects: AbstractSet[Aspect], console: Console) -> None:
    """What was read, each assumption once, and all that was not understood."""
    if aspects != set(Aspect):
        console.say("compared is who may call the services, and not how calls travel")
    for text in dict.fromkeys(one.text for reading in readings for one in reading.assumptions):
        console.say(f"assuming that {text}")
    for unknown in (one for reading in readings for one in reading.unknown):
        console.complain(f"{unknown.span}: not understood: {unknown.message}")


def _compared(configuration: Configuration) -> frozenset[Aspect]:
    """What is compared. Policies alone, as `kubectl get` is asked for them, say nothing of how calls travel."""
    target = configuration.target
    travels = _TRAVELS.get(target.name)
    has_travel = travels is None or any(map(travels, configuration.objects))
    return target.reads if has_travel else frozenset({Aspect.ACCESS})


def _travels_on_linkerd(one: ConfigObject) -> bool:
    """Whether an object of Linkerd says how calls travel: routes on servers do not, and the annotations of Services do."""
    if one.kind == "HTTPRoute":
        parents = items(mapping(one.data.get("spec")).get("parentRefs"))
        return any(mapping(parent).get("kind") == "Service" for parent in parents)
    return one.kind in {"EgressNetwork", "GRPCRoute", "HTTPLocalRateLimitPolicy", "Service", "ServiceProfile"}


_TRAVELS: Final[Mapping[str, Callable[[ConfigObject], bool]]] = {
    "istio": lambda one: one.group == _ISTIO_TRAVEL,
    "linkerd": _travels_on_linkerd,
}
"""Whether an object says how calls travel, by target; those of others always do."""


def _with_unknown(difference: Difference, unknowns: Sequence[Unknown]) -> Difference:
    """The difference, with what is unknown of a port as undecided: it counts as a difference of each kind that it may be."""
    if not unknowns:
        return difference
    subjects = {one.subject: one for one in difference.subjects}
    for unknown in unknowns:
        changes = tuple(change for aspect in sorted(unknown.aspects, key=str) for change in _CHANGES[aspect])
        undecided = Undecided(changes=changes, reason=f"{unknown.span}: {unknown.message}")
        for subject in _subjects(unknown.ports):
            known = subjects.get(subject) or SubjectDifference(
                subject=subject, kind="" if subject.port is None else "port", presence=Presence.BOTH
            )
            subjects[subject] = replace(known, undecided=tuple(dict.fromkeys((*known.undecided, undecided))))
    return replace(difference, subjects=tuple(subjects[one] for one in sorted(subjects, key=str)))


def _subjects(ports: tuple[tuple[str, str, int], ...] | None) -> Iterator[Subject]:
    if ports is None:
        yield Subject()
        return
    for namespace, service, port in ports:
        yield Subject(namespace=namespace, service=service, port=port)


def configuration_sources(text: str) -> Iterator[SourceFile]:
    """The files of an operand: standard input for `-`, one file, or all YAML and JSON below a directory. Raises UsageError."""
    if text == "-":
        # Python has no standard input where the process was started with it closed.
        if sys.__stdin__ is None:
            raise UsageError("standard input is closed")
        yield _checked(decode_source(sys.stdin.buffer.read(), "<stdin>"))
        return
    path = Path(text)
    for file in _files(path) if path.is_dir() else (path,):
        yield _checked(read_source(file, file.as_posix()))


def _checked(source: SourceFile | Diagnostic) -> SourceFile:
    if isinstance(source, Diagnostic):
        raise UsageError(source.message)
    return source


def _files(directory: Path) -> tuple[Path, ...]:
    try:
        return configuration_files(directory)
    except OSError as error:
        raise UsageError(f"cannot read `{error.filename}`: {reason(error)}") from error
