"""`meshc compile`: the configuration of the targets, written as a whole or not at all."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from meshc._version import __version__
from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.cli.project import (
    Project,
    ProjectInvalidError,
    analyze_project,
    chosen_targets,
    merge_findings,
    open_project,
    say_unread,
    show,
    target_options,
)
from meshc.compiled import compiled_text
from meshc.diagnostics import Diagnostic, Severity
from meshc.frontend import environments
from meshc.output import MANIFEST, Drift, ManifestInfo, OutputError, OutputFile, compare_output, write_output
from meshc.passes.support import has_errors
from meshc.target import Document
from meshc.targets import TargetError, find_target


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """The files of one environment, for one output folder."""

    directory: Path
    files: tuple[OutputFile, ...]
    documents: tuple[tuple[str, Document], ...]
    info: ManifestInfo


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    try:
        project = open_project(arguments.path, console)
    except ProjectInvalidError:
        return 1
    names = chosen_targets(project, arguments.targets)
    directory = _directory(project, arguments)
    compiled: list[_Compiled] = []
    found: list[tuple[str | None, tuple[Diagnostic, ...]]] = []
    for environment, folder in _environments(project, arguments, directory):
        diagnostics, result = _compile(project, environment, names, folder, proven=arguments.verify)
        found.append((environment, diagnostics))
        if result is not None:
            compiled.append(result)
    merged = merge_findings(found)
    show(project, merged, console)
    if any(one.severity is Severity.ERROR for one in merged):
        return 1
    if arguments.validate is not None and not _is_valid(arguments.validate, compiled, console):
        return 1
    for name in names if arguments.verify else ():
        say_unread(find_target(name), console)
    dropped = _dropped_environments(project, directory) if arguments.environment == "all" else ()
    try:
        return _compare(compiled, dropped, console) if arguments.check else _write(compiled, dropped, console)
    except OutputError as error:
        raise UsageError(str(error)) from error


def _is_valid(definitions: Path, compiled: list[_Compiled], console: Console) -> bool:
    from meshc.cli.validating import validate  # noqa: PLC0415  needs `meshc[validate]`

    documents = [document for one in compiled for document in one.documents]
    return validate(definitions, documents, console)


def _directory(project: Project, arguments: Arguments) -> Path:
    if arguments.out is not None:
        return arguments.out
    if project.directory is None or project.config.out is None:
        raise UsageError("nowhere to write; write `--out DIR`, or `out: deploy/` in meshc.yaml")
    return project.directory / project.config.out


def _environments(project: Project, arguments: Arguments, directory: Path) -> list[tuple[str | None, Path]]:
    if arguments.environment != "all":
        return [(arguments.environment, directory)]
    known = environments(project.loaded.modules)
    # One that is listed and not declared has its diagnostic already.
    names = tuple(name for name in project.config.environments if name in known) or known
    if not names:
        raise UsageError("`--env all` needs environments, and the program has none")
    return [(name, directory / name) for name in names]


def _compile(
    project: Project, environment: str | None, names: tuple[str, ...], directory: Path, *, proven: bool
) -> tuple[tuple[Diagnostic, ...], _Compiled | None]:
    analysis = analyze_project(project, environment)
    diagnostics = list(analysis.diagnostics)
    if analysis.mesh is None:
        return tuple(diagnostics), None
    documents: list[tuple[str, Document]] = []
    for name in names:
        try:
            target = find_target(name)
        except TargetError as error:
            raise UsageError(str(error)) from error
        emission = target.emit(analysis.mesh, target_options(project.config, name))
        diagnostics.extend(emission.diagnostics)
        if proven and target.read is not None and not has_errors(emission.diagnostics):
            from meshc.cli.verifying import prove_compiled  # noqa: PLC0415  loads the regions

            diagnostics.extend(prove_compiled(target, project, analysis, emission.documents))
        documents.extend((f"{name}/{document.path}", document) for document in emission.documents)
    info = ManifestInfo(compiler=__version__, program=_digest(project), environment=environment)
    files = tuple(_file(path, document) for path, document in documents)
    compiled = _Compiled(directory=directory, files=files, documents=tuple(documents), info=info)
    return tuple(diagnostics), compiled


def _file(path: str, document: Document) -> OutputFile:
    return OutputFile(path=path, text=compiled_text(document), sources=document.sources)


def _digest(project: Project) -> str:
    """A hash of every text that the program is made of."""
    digest = hashlib.sha256()
    for path, source in sorted(project.loaded.sources.items()):
        for part in (path, source.text):
            content = part.encode()
            digest.update(len(content).to_bytes(8, "big"))
            digest.update(content)
    return digest.hexdigest()


def _dropped_environments(project: Project, directory: Path) -> tuple[Path, ...]:
    """The folders of environments that were compiled here once, and that the program no longer has."""
    known = environments(project.loaded.modules)
    folders = (manifest.parent for manifest in sorted(directory.glob(f"*/{MANIFEST}")))
    return tuple(one for one in folders if one.name not in known and _environment_of(one / MANIFEST) == one.name)


def _environment_of(manifest: Path) -> str | None:
    try:
        content = json.loads(manifest.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    name = content.get("environment") if isinstance(content, dict) else None
    return name if isinstance(name, str) else None


def _write(compiled: list[_Compiled], dropped: tuple[Path, ...], console: Console) -> int:
    for one in compiled:
        written = write_output(one.directory, one.files, one.info)
        removed = f", {len(written.removed)} removed" if written.removed else ""
        changed = len(written.changed)
        console.say(f"{one.directory}: {len(one.files)} files, {changed} changed{removed}")
    for folder in dropped:
        # Its files may be what still runs somewhere, so removing them is the user's to decide.
        console.complain(f"`{folder}` is left from an environment that the program no longer has; remove it")
    return 0


def _compare(compiled: list[_Compiled], dropped: tuple[Path, ...], console: Console) -> int:
    drifted = bool(dropped)
    for folder in dropped:
        console.print(f"stale: {folder}")
    for one in compiled:
        drift = compare_output(one.directory, one.files, one.info)
        drifted = drifted or drift.has_any
        _print_drift(one.directory, drift, console)
    return 1 if drifted else 0


def _print_drift(directory: Path, drift: Drift, console: Console) -> None:
    for word, paths in (("missing", drift.missing), ("differs", drift.different), ("stale", drift.stale)):
        for path in paths:
            console.print(f"{word}: {directory / path}")
    if not drift.has_any:
        console.say(f"{directory}: up to date")
