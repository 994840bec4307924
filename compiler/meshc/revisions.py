"""Revisions: the files that a program may need, out of a git repository, without touching its work tree.

Only `git rev-parse`, `for-each-ref`, `ls-tree` and `cat-file` run: they read objects, and neither check anything out nor run
a filter or hook. The files go to a directory of our own; symbolic links are made again only where they stay inside of it.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from meshc.files import LARGEST_FILE
from meshc.suggest import closest

PREFIX: Final = "git:"
MARKER: Final = "meshc.yaml"
"""The file that makes a directory a project's root."""

MOST_FILES: Final = 50_000
MOST_BYTES: Final = 1024 * 1024 * 1024
_CHUNK_BYTES: Final = 32 * 1024 * 1024
_SECONDS: Final = 120
_WANTED: Final = (".mesh", ".yaml", ".yml", ".json")
_SPELLING: Final = re.compile(r"(?P<revision>(?:\{[^}]*\}|[^:{])*)(?::(?P<path>.*))?", re.DOTALL)
_ANCESTOR: Final = re.compile(r"(?:[~^][0-9]*)+$")
_QUIET: Final = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
_LINK, _MODULE = "120000", "160000"


class RevisionError(Exception):
    """A revision cannot be read; the text is meant for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What `git:REV[:PATH]` names. `path` is None where none is written; it starts at the repository's root, as in git, or
    with `./` at the working directory.
    """

    name: str
    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """Files of a revision below `root`. `path` is the place that was named, relative to it and with forward slashes.

    `is_named` is False where no path was given: then it is the working directory's place in the repository.
    """

    root: Path
    path: str
    is_named: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    oid: str
    size: int
    path: str


def read_revision(text: str) -> Revision:
    """The parts of `git:REV[:PATH]`; a colon inside of braces belongs to the revision. Raises RevisionError."""
    found = _SPELLING.fullmatch(text.removeprefix(PREFIX))
    if found is None or not found["revision"] or "\0" in text:
        raise RevisionError(f"`{text}` names no revision; write `git:HEAD~1`, or `git:main:policies/`")
    name = found["revision"]
    if name.startswith("-"):
        raise RevisionError(f"`{name}` is no revision: none starts with `-`")
    return Revision(name=name, path=found["path"] or None)


def extract(revision: Revision, here: Path, into: Path) -> Extracted:
    """Write the files of a revision that a program may need below `into`, an empty directory.

    `here` is a directory inside of the repository. Raises RevisionError.
    """
    git = _Git(here)
    git.check_repository()
    tree = _find_tree(git, revision.name)
    path = _place(git, revision)
    entries = _read_entries(git.run("ls-tree", "-r", "-z", "-l", "--full-tree", tree))
    _check_place(path, entries, revision)
    chosen = [one for one in entries if one.mode not in {_LINK, _MODULE} and one.path.endswith(_WANTED)]
    _check_size(chosen, revision)
    _write_files(git, chosen, into)
    _make_links(git, [one for one in entries if one.mode == _LINK], into)
    return Extracted(root=into, path=path, is_named=revision.path is not None)


# ---- git ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Git:
    """Runs git in a directory."""

    here: Path

    def run(self, *arguments: str, standard_input: bytes = b"") -> bytes:
        """What git prints. Raises RevisionError with what it complains of."""
        answer = self.ask(*arguments, standard_input=standard_input)
        if answer.returncode != 0:
            raise RevisionError(f"git {arguments[0]}: {_complaint(answer)}")
        return answer.stdout

    def ask(self, *arguments: str, standard_input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """The same, with git's own verdict. Raises RevisionError if git cannot run."""
        command = ["git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments]
        try:
            return subprocess.run(  # noqa: S603  the revision is resolved behind `--end-of-options`
                command,
                cwd=self.here,
                env={**os.environ, **_QUIET},
                input=standard_input,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise RevisionError("`git` is not installed, and a revision needs it") from None
        except subprocess.TimeoutExpired:
            raise RevisionError(f"git {arguments[0]} did not end within {_SECONDS} s") from None

    def check_repository(self) -> None:
        answer = self.ask("rev-parse", "--git-dir")
        if answer.returncode == 0:
            return
        complaint = _complaint(answer)
        if "not a git repository" in complaint:
            raise RevisionError("the working directory is in no git repository")
        raise RevisionError(f"git: {complaint}")

    def lines(self, *arguments: str) -> list[str]:
        """The lines that git prints; none if it complains."""
        answer = self.ask(*arguments)
        return answer.stdout.decode(errors="replace").splitlines() if answer.returncode == 0 else []


def _complaint(answer: subprocess.CompletedProcess[bytes]) -> str:
    lines = answer.stderr.decode(errors="replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ").removeprefix("error: ") if lines else f"exit status {answer.returncode}"


def _find_tree(git: _Git, name: str) -> str:
    """The object id of the tree that a revision stands for."""
    found = git.lines("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{tree}}")
    if len(found) == 1:
        return found[0]
    raise RevisionError(f"the repository has no revision `{name}`{_advice(git, name)}")


def _advice(git: _Git, name: str) -> str:
    if git.lines("rev-parse", "--is-shallow-repository") == ["true"]:
        return "; this clone is shallow, and `git fetch --unshallow` or a deeper fetch may bring it"
    start = _ANCESTOR.sub("", name)
    if start != name and git.lines("rev-parse", "--verify", "--quiet", "--end-of-options", start):
        return f"; the history of `{start}` does not reach that far"
    refs = git.lines("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes")
    near = closest(name, ["HEAD", "HEAD~1", *refs])
    return f"; did you mean `{near}`?" if near else "; write a branch, a tag, a commit, or one such as `HEAD~1`"


# ---- places ---------------------------------------------------------------------------------------------------------


def _place(git: _Git, revision: Revision) -> str:
    """The path that is meant, from the repository's root; empty for the root itself."""
    written = revision.path
    if written is not None and not written.startswith(("./", "../")) and written not in {".", ".."}:
        return _normal(written, revision)
    prefix = (git.lines("rev-parse", "--show-prefix") or [""])[0]
    return _normal(f"{prefix}{written or ''}", revision)


def _normal(path: str, revision: Revision) -> str:
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        if part == "/":
            raise RevisionError(
                f"`{revision.path}` is an absolute path; paths in a revision start at the repository's root"
            )
        if part == ".." and not parts:
            raise RevisionError(f"`{revision.path}` lies outside of the repository")
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _check_place(path: str, entries: Sequence[_Entry], revision: Revision) -> None:
    """Raises RevisionError if there is nothing at the path, or if it lies in another repository or behind a link."""
    below = f"{path}/"
    if not path or any(one.path == path or one.path.startswith(below) for one in entries):
        return
    for one in entries:
        if path.startswith(f"{one.path}/"):
            if one.mode == _MODULE:
                raise RevisionError(f"`{one.path}` is a submodule at `{revision.name}`; name its own checkout instead")
            if one.mode == _LINK:
                return
    known = {str(parent) for one in entries for parent in (PurePosixPath(one.path), *PurePosixPath(one.path).parents)}
    near = closest(path, known)
    advice = f"; did you mean `{near}`?" if near else ""
    raise RevisionError(f"there is no `{path}` at `{revision.name}`{advice}")


# ---- files ----------------------------------------------------------------------------------------------------------


def _read_entries(listed: bytes) -> tuple[_Entry, ...]:
    return tuple(_read_entry(record) for record in listed.split(b"\0") if record)


def _read_entry(record: bytes) -> _Entry:
    head, _, path = record.partition(b"\t")
    mode, _, oid, size = head.decode("ascii").split()
    return _Entry(mode, oid, 0 if size == "-" else int(size), path.decode("utf-8", "surrogateescape"))


def _check_size(entries: Sequence[_Entry], revision: Revision) -> None:
    total = sum(one.size for one in entries if one.size <= LARGEST_FILE)
    if len(entries) > MOST_FILES or total > MOST_BYTES:
        raise RevisionError(
            f"`{revision.name}` has {len(entries)} files of {total // 1024**2} MiB that a program may need, which is too much;"
            " compare checkouts instead, such as two made with `git worktree add`"
        )


def _write_files(git: _Git, entries: Iterable[_Entry], into: Path) -> None:
    for chunk in _chunks(entry for entry in entries if _is_safe(entry.path)):
        contents = _contents(git, [one for one in chunk if one.size <= LARGEST_FILE])
        for one in chunk:
            file = into / one.path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as opened:
                if one.size > LARGEST_FILE:
                    opened.truncate(
                        one.size
                    )  # as large as it is, so that whoever reads it says so; its bytes do not matter
                else:
                    opened.write(contents[one.oid])


def _chunks(entries: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    chunk: list[_Entry] = []
    size = 0
    for one in entries:
        chunk.append(one)
        size += one.size
        if size > _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _contents(git: _Git, entries: Sequence[_Entry]) -> dict[str, bytes]:
    """The bytes of each object. Source: git-cat-file(1), BATCH OUTPUT."""
    wanted = list(dict.fromkeys(one.oid for one in entries))
    if not wanted:
        return {}
    out = git.run("cat-file", "--batch", standard_input="".join(f"{oid}\n" for oid in wanted).encode())
    contents: dict[str, bytes] = {}
    at = 0
    for oid in wanted:
        end = out.index(b"\n", at)
        parts = out[at:end].split()
        if len(parts) != 3 or parts[1] != b"blob":
            raise RevisionError(f"the object {oid} is not in this clone; fetch it first")
        start, size = end + 1, int(parts[2])
        contents[oid] = out[start : start + size]
        at = start + size + 1
    return contents


def _is_safe(path: str) -> bool:
    """Whether a name from a tree, which anybody may have made, stays below the directory it is written to."""
    parts = path.split("/")
    return all(part not in {"", ".", ".."} and "\0" not in part and "\\" not in part for part in parts)


# ---- links ----------------------------------------------------------------------------------------------------------


def _make_links(git: _Git, entries: Sequence[_Entry], into: Path) -> None:
    """Make symbolic links after all files, so that no file is written through one, and take away those that lead outside."""
    usable = [one for one in entries if _is_safe(one.path) and one.size < os.pathconf("/", "PC_PATH_MAX")]
    targets = _contents(git, usable[:MOST_FILES])
    made: dict[Path, None] = {}
    for one in usable[:MOST_FILES]:
        target, link = os.fsdecode(targets[one.oid]), into / one.path
        if "\0" in target or not target or not made.keys().isdisjoint(link.parents):
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists() and not link.is_symlink():
            link.symlink_to(target)
            made[link] = None
    root = os.path.realpath(into)
    for link in made:
        if not Path(os.path.realpath(link)).is_relative_to(root):
            link.unlink()
