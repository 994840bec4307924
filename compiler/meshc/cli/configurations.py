"""Configuration of a mesh as an operand of `meshc diff`: a file, a directory, or what `kubectl get -o yaml` prints."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from meshc.cli.console import Console, UsageError
from meshc.cli.project import target_options
from meshc.diagnostics import Diagnostic, Severity
from meshc.difference.compare import Comparer
from meshc.difference.model import Change, Difference, Presence, Side, Subject, SubjectDifference, Undecided
from meshc.files import decode_source, read_source
from meshc.load import CONFIG_NAME
from meshc.project_config import Config
from meshc.reading import Aspect, ConfigObject, Reading, bare, objects_of_source
from meshc.revisions import PREFIX
from meshc.source import SourceFile
from meshc.target import Target
from meshc.targets import find_target
from meshc.verification import narrowed

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_ISTIO_TRAVEL: Final = "networking.istio.io"
_ISTIO: Final = ".istio.io"
ENVOY_KEYS: Final = frozenset({"static_resources", "configs"})
"""What a bootstrap and a config dump have at their top."""
_OTHERS: Final[Mapping[str, str]] = {
    "policy.linkerd.io": "Linkerd",
    "linkerd.io": "Linkerd",
    "gateway.networking.k8s.io": "the Gateway API",
}
_CHANGES: Final[Mapping[Aspect, tuple[Change, ...]]] = {
    Aspect.ACCESS: (Change.OPENED, Change.CLOSED, Change.CHANGED, Change.WEAKENED_MTLS),
    Aspect.ROUTING: (Change.ROUTING,),
    Aspect.SETTINGS: (Change.SETTINGS,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Objects of a mesh, and the target that reads them."""

    shown: str
    target: Target
    objects: tuple[ConfigObject, ...]


def is_configuration(text: str) -> bool:
    """Whether an operand is configuration rather than a program: YAML or JSON, or a directory of it without a program."""
    if text == "-" or text.startswith(PREFIX):
        return text == "-"
    path = Path(text)
    if not path.is_dir():
        return path.suffix in _SUFFIXES
    if (path / CONFIG_NAME).exists() or next(path.rglob("*.mesh"), None) is not None:
        return False
    return next(_files(path), None) is not None


def read_configuration(text: str, console: Console) -> Configuration:
    """Read an operand. Raises UsageError for what cannot be read, or not be understood as a whole."""
    objects: list[ConfigObject] = []
    for source in configuration_sources(text):
        found, wrong = objects_of_source(source)
        if any(one.severity is Severity.ERROR for one in wrong):
            console.report(wrong, {source.path: source})
            raise UsageError(f"`{text}` is not compared: it cannot be read")
        objects += found
    for one in objects:
        if one.group in _OTHERS:
            raise UsageError(f"`{one.file}`: configuration of {_OTHERS[one.group]} cannot be read yet")
    kinds = {kind for one in objects if (kind := _kind(one))}
    if not kinds:
        raise UsageError(f"`{text}` holds no configuration of Istio or Envoy, which is what can be read so far")
    if len(kinds) > 1:
        raise UsageError(f"`{text}` holds configuration of several meshes; compare with one at a time")
    return Configuration(shown=text, target=find_target(kinds.pop()), objects=tuple(objects))


def _kind(one: ConfigObject) -> str | None:
    """The target that reads an object; None where none does."""
    if one.group.endswith(_ISTIO) or "meshConfig" in one.data:
        return "istio"
    return "envoy" if ENVOY_KEYS & set(one.data) else None


def compare_with(
    side: Side, configuration: Configuration, config: Config, console: Console, *, is_new: bool
) -> Difference:
    """What differs between a program and configuration; `is_new` says that the configuration is the new side."""
    target = configuration.target
    options = target_options(config, target.name)
    reading = _read(configuration, side, options, console)
    expressed = side.mesh if target.expressed is None else target.expressed(side.mesh, options)
    aspects = _compared(configuration, console)
    program = replace(side, mesh=narrowed(expressed, aspects))
    found = Side(mesh=narrowed(reading.mesh, aspects), groups=side.groups)
    pair = (program, found) if is_new else (found, program)
    return _with_unknown(Comparer().compare(*pair), reading)


def _read(configuration: Configuration, side: Side, options: Mapping[str, str], console: Console) -> Reading:
    target = configuration.target
    if target.read is None:
        raise UsageError(f"configuration of {target.name} cannot be read yet")
    reading = target.read(configuration.objects, bare(side.mesh), options)
    for one in reading.assumptions:
        console.say(f"assuming that {one.text}")
    for unknown in reading.unknown:
        console.complain(f"{unknown.span}: not understood: {unknown.message}")
    return reading


def _compared(configuration: Configuration, console: Console) -> frozenset[Aspect]:
    """What is compared. Policies alone, as `kubectl get` is asked for them, say nothing of how calls travel."""
    target = configuration.target
    has_travel = target.name != "istio" or any(one.group == _ISTIO_TRAVEL for one in configuration.objects)
    if has_travel and target.reads == set(Aspect):
        return target.reads
    console.say("compared is who may call the services: nothing that is read here says how calls travel")
    return frozenset({Aspect.ACCESS})


def _with_unknown(difference: Difference, reading: Reading) -> Difference:
    """The difference, with what is unknown of a port as undecided: it counts as a difference of each kind that it may be."""
    if not reading.unknown:
        return difference
    subjects = {one.subject: one for one in difference.subjects}
    for unknown in reading.unknown:
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
        yield _checked(decode_source(sys.stdin.buffer.read(), "<stdin>"))
        return
    path = Path(text)
    for file in _files(path) if path.is_dir() else (path,):
        yield _checked(read_source(file, file.as_posix()))


def _checked(source: SourceFile | Diagnostic) -> SourceFile:
    if isinstance(source, Diagnostic):
        raise UsageError(source.message)
    return source


def _files(directory: Path) -> Iterator[Path]:
    return (one for one in sorted(directory.rglob("*")) if one.suffix in _SUFFIXES and one.is_file())
