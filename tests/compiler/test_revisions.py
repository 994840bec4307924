"""Revisions: what is read out of a git repository, and that nothing else is touched or run."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from meshc.revisions import Extracted, Revision, RevisionError, extract, read_revision

Git = Callable[..., str]

OLD, NEW = "namespace shop\n", "namespace shop\nnamespace bank\n"


def run_git(folder: Path, *arguments: str) -> str:
    identity = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "commit.gpgsign=false",
    )
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def save(folder: Path, files: dict[str, str], message: str = "more") -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "-m", message)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: the second changes a file, renames one and adds what no program needs."""
    folder = tmp_path / "repository"
    folder.mkdir()
    run_git(folder, "init", "-q")
    save(folder, {"policies/shop.mesh": OLD, "policies/old.mesh": "# old\n", "k8s/web.yaml": "kind: Service\n"})
    run_git(folder, "mv", "policies/old.mesh", "policies/new.mesh")
    save(folder, {"policies/shop.mesh": NEW, "readme.md": "hello", "deep/a/b/keys.json": "{}"})
    return folder


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def extracted(text: str, here: Path, into: Path) -> Extracted:
    return extract(read_revision(text), here, into)


def files_below(folder: Path) -> dict[str, str]:
    return {
        one.relative_to(folder).as_posix(): one.read_text(encoding="utf-8")
        for one in sorted(folder.rglob("*"))
        if one.is_file()
    }


@pytest.mark.parametrize(
    ("text", "name", "path"),
    [
        ("git:HEAD", "HEAD", None),
        ("git:HEAD~1:policies/", "HEAD~1", "policies/"),
        ("git:main:", "main", None),
        ("git:v1.0:a:b.mesh", "v1.0", "a:b.mesh"),
        ("git:HEAD@{2026-01-01 10:00:00}:p", "HEAD@{2026-01-01 10:00:00}", "p"),
        ("git:HEAD^{/fix: a bug}", "HEAD^{/fix: a bug}", None),
    ],
)
def test_spelling(text: str, name: str, path: str | None) -> None:
    assert read_revision(text) == Revision(name=name, path=path)


@pytest.mark.parametrize("text", ["git:", "git::policies", "git:-v", "git:--output=x", "git:a\0b", "git:{open:x"])
def test_what_names_no_revision(text: str) -> None:
    with pytest.raises(RevisionError):
        read_revision(text)


def test_a_revision_never_becomes_an_option(repository: Path, into: Path) -> None:
    with pytest.raises(RevisionError, match="no revision"):
        extract(Revision(name="--all", path=None), repository, into)


def test_only_what_a_program_may_need(repository: Path, into: Path) -> None:
    found = extracted("git:HEAD", repository, into)
    assert (found.path, found.is_named) == ("", False)
    assert files_below(into) == {
        "deep/a/b/keys.json": "{}",
        "k8s/web.yaml": "kind: Service\n",
        "policies/new.mesh": "# old\n",
        "policies/shop.mesh": NEW,
    }


def test_an_earlier_revision_has_a_renamed_file_under_its_old_name(repository: Path, into: Path) -> None:
    extracted("git:HEAD~1:policies", repository, into)
    assert files_below(into / "policies") == {"old.mesh": "# old\n", "shop.mesh": OLD}


def test_the_work_tree_is_not_touched(repository: Path, into: Path) -> None:
    (repository / "policies" / "shop.mesh").write_text("half written", encoding="utf-8")
    before = {one: one.stat().st_mtime_ns for one in repository.rglob("*")}
    extracted("git:HEAD", repository, into)
    assert {one: one.stat().st_mtime_ns for one in repository.rglob("*")} == before
    assert (into / "policies" / "shop.mesh").read_text(encoding="utf-8") == NEW


def test_no_filter_and_no_hook_runs(repository: Path, into: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    run_git(repository, "config", "filter.bad.smudge", f"touch {ran}; cat")
    run_git(repository, "config", "core.fsmonitor", f"touch {ran}")
    run_git(repository, "config", "diff.bad.textconv", f"touch {ran}; cat")
    for hook in ("post-checkout", "post-index-change"):
        (repository / ".git" / "hooks" / hook).write_text(f"#!/bin/sh\ntouch {ran}\n", encoding="utf-8")
        (repository / ".git" / "hooks" / hook).chmod(0o755)
    save(repository, {".gitattributes": "*.mesh filter=bad diff=bad\n"})
    ran.unlink(missing_ok=True)
    extracted("git:HEAD", repository, into)
    assert not ran.exists()


def test_a_bare_repository(repository: Path, into: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    run_git(tmp_path, "clone", "-q", "--bare", str(repository), str(bare))
    extracted("git:main", bare, into)
    assert (into / "policies" / "shop.mesh").read_text(encoding="utf-8") == NEW


def test_paths_start_at_the_root_or_with_a_dot_here(repository: Path, into: Path) -> None:
    inside = repository / "policies"
    assert extracted("git:HEAD:policies/shop.mesh", inside, into).path == "policies/shop.mesh"
    for text, path in (
        ("git:HEAD:./shop.mesh", "policies/shop.mesh"),
        ("git:HEAD:../k8s", "k8s"),
        ("git:HEAD", "policies"),
    ):
        folder = into / path.replace("/", "-")
        folder.mkdir(exist_ok=True)
        assert extracted(text, inside, folder).path == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("git:HAED", "did you mean `HEAD`?"),
        ("git:HEAD-1", "did you mean `HEAD~1`?"),
        ("git:mian", "did you mean `main`?"),
        ("git:HEAD~17", "the history of `HEAD` does not reach that far"),
        ("git:nothing-like-it", "write a branch, a tag, a commit"),
        ("git:HEAD..main", "no revision `HEAD..main`"),
        ("git:HEAD:polices", "there is no `polices` at `HEAD`; did you mean `policies`?"),
        ("git:HEAD:policies/shop.mesh/x", "there is no"),
        ("git:HEAD:/policies", "is an absolute path"),
        ("git:HEAD:../x", "lies outside of the repository"),
    ],
)
def test_what_is_not_there(repository: Path, into: Path, text: str, message: str) -> None:
    with pytest.raises(RevisionError) as raised:
        extracted(text, repository, into)
    assert message in str(raised.value)
    assert str(repository) not in str(raised.value)


def test_no_repository(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(RevisionError, match="in no git repository"):
        extracted("git:HEAD", tmp_path, into)


def test_no_git(repository: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(into))
    with pytest.raises(RevisionError, match="`git` is not installed"):
        extracted("git:HEAD", repository, into)


def test_a_shallow_clone_says_so(repository: Path, into: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    run_git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", str(shallow))
    extracted("git:HEAD", shallow, into)
    with pytest.raises(RevisionError, match="this clone is shallow"):
        extracted("git:HEAD~2", shallow, into)


def test_links_are_made_again_only_inside(repository: Path, into: Path) -> None:
    (repository / "linked").symlink_to("policies")
    (repository / "outside").symlink_to("../../etc")
    (repository / "absolute").symlink_to("/etc")
    (repository / "policies" / "up").symlink_to("../k8s/web.yaml")
    # Read as text this stays inside; followed, it does not: `deep/a` leads to the root first.
    (repository / "deep" / "c").symlink_to("..")
    (repository / "deep" / "d").symlink_to("c/../..")
    save(repository, {})
    extracted("git:HEAD", repository, into)
    assert (into / "linked" / "shop.mesh").read_text(encoding="utf-8") == NEW
    assert (into / "policies" / "up").read_text(encoding="utf-8") == "kind: Service\n"
    for name in ("outside", "absolute", "deep/d"):
        assert not (into / name).is_symlink(), name


def write_tree(repository: Path, entries: list[tuple[str, bytes, str]]) -> str:
    """A commit with a tree that no git command would make; gives its id."""
    content = b"".join(f"{mode} ".encode() + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
    made = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
        cwd=repository,
        input=content,
        capture_output=True,
        check=True,
    )
    return run_git(repository, "commit-tree", "-m", "hostile", made.stdout.decode().strip())


def test_a_hostile_tree_cannot_write_outside(repository: Path, into: Path, tmp_path: Path) -> None:
    blob = run_git(repository, "rev-parse", "HEAD:policies/shop.mesh")
    (tmp_path / "target").write_text("../escaped", encoding="utf-8")
    link = run_git(repository, "hash-object", "-w", str(tmp_path / "target"))
    commit = write_tree(
        repository,
        [("100644", b"../escaped.mesh", blob), ("120000", b"a", link), ("120000", b"a/b.mesh", link)],
    )
    extracted(f"git:{commit}", repository, into)
    assert [one.name for one in tmp_path.iterdir() if "escaped" in one.name] == []
    assert list(into.rglob("*")) == []


def test_a_submodule_is_named(repository: Path, into: Path) -> None:
    commit = run_git(repository, "rev-parse", "HEAD")
    run_git(repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},vendor")
    run_git(repository, "commit", "-q", "-m", "module")
    with pytest.raises(RevisionError, match="`vendor` is a submodule"):
        extracted("git:HEAD:vendor/policies", repository, into)


def test_names_that_are_no_text(repository: Path, into: Path) -> None:
    (repository / "policies" / 'a b\n"ü.mesh').write_text("# odd\n", encoding="utf-8")
    save(repository, {})
    extracted("git:HEAD", repository, into)
    assert (into / "policies" / 'a b\n"ü.mesh').read_text(encoding="utf-8") == "# odd\n"


def test_a_file_that_is_too_large_keeps_its_size(repository: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshc.revisions.LARGEST_FILE", 20)
    extracted("git:HEAD", repository, into)
    assert (into / "policies" / "shop.mesh").stat().st_size == len(NEW)
    assert b"\0" * 20 in (into / "policies" / "shop.mesh").read_bytes()


def test_too_much_is_refused(repository: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshc.revisions.MOST_FILES", 2)
    with pytest.raises(RevisionError, match="which is too much"):
        extracted("git:HEAD", repository, into)
