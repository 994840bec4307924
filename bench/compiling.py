"""Compiling: the front end beside lark alone, printing beside PyYAML, the whole compile beside PyYAML's printing."""

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from lark import Transformer, Tree

from measure import Figure, best_of, process_time
from meshc.parse import parse
from meshc.source import SourceFile
from meshc.targets import find_target
from meshc.yaml_printer import print_documents
from meshc_grammar import load
from programs import analyze_text, mesh_text

_SERVICES = 1000
_TARGETS = ("envoy", "istio", "linkerd")
_MEGABYTE = 1_000_000


class _Inline(Transformer[object, object]):
    """Callbacks that keep nothing but what lark itself puts into other rules: the least that it can do inline."""

    def __default__(self, data: str, children: list[object], _meta: object) -> object:
        return Tree(data, children) if str(data).startswith("_") else None


def figures() -> Iterator[Figure]:
    """Parsing, checking, printing, starting."""
    yield from _front_end()
    yield from _printing()
    yield from _starting()


def _front_end() -> Iterator[Figure]:
    unit = mesh_text(500)
    text = mesh_text(500 * _MEGABYTE // len(unit))
    size = len(text) / _MEGABYTE
    lark = load(transformer=_Inline())
    alone = size / best_of(lambda: lark.parse(text), runs=2)
    parsing = size / best_of(lambda: parse(SourceFile("bench.mesh", text)), runs=2)
    checking = size / best_of(lambda: analyze_text(text), runs=2)
    for name, rate, goal in (("parse 1 MB", parsing, None), ("parse and check 1 MB", checking, 0.7)):
        yield Figure(
            name=name,
            peer="lark with empty inline callbacks",
            unit="MB/s",
            value=rate,
            peer_value=alone,
            goal=goal,
            is_rate=True,
            note=f"{size:.2f} MB",
        )


def _printing() -> Iterator[Figure]:
    text = mesh_text(_SERVICES)
    mesh = analyze_text(text).mesh
    assert mesh is not None
    documents = [one for name in _TARGETS for one in find_target(name).emit(mesh, {}).documents]
    sample = documents[:: len(documents) // 60]
    ours = best_of(lambda: [print_documents(one.resources) for one in sample])
    theirs = best_of(
        lambda: [yaml.dump_all(one.resources, Dumper=yaml.CSafeDumper, sort_keys=False) for one in sample], runs=1
    )
    same = all(
        list(yaml.load_all(print_documents(one.resources), yaml.CSafeLoader)) == list(one.resources)
        for one in sample[:5]
    )
    yield Figure(
        name="print YAML",
        peer="PyYAML's C dumper",
        unit="documents/s",
        value=len(sample) / ours,
        peer_value=len(sample) / theirs,
        goal=10,
        is_rate=True,
        note="read back equal" if same else "NOT read back equal",
    )
    whole = theirs * len(documents) / len(sample)
    with TemporaryDirectory() as folder:
        program = Path(folder, "bench.mesh")
        program.write_text(text, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "meshc",
            "compile",
            "-q",
            str(program),
            "--target",
            ",".join(_TARGETS),
            "--out",
            f"{folder}/out",
        ]
        seconds = process_time(command, runs=1)
    yield Figure(
        name="cold compile, 1,000 services, 5,000 rules, 2,000 routes, to three meshes",
        peer="PyYAML's C dumper printing the same documents",
        unit="s",
        value=seconds,
        peer_value=whole,
        goal=1,
        is_rate=False,
        note=f"peer measured on {len(sample)} of {len(documents)} documents; {_children_megabytes():.0f} MB at most",
    )


def _children_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _starting() -> Iterator[Figure]:
    nothing = process_time([sys.executable, "-c", "pass"])
    with TemporaryDirectory() as folder:
        program = Path(folder, "small.mesh")
        program.write_text(mesh_text(3), encoding="utf-8")
        check = process_time([sys.executable, "-m", "meshc", "check", "-q", str(program)])
    yield Figure(
        name="`meshc check` of a small file",
        peer="`python -c pass`",
        unit="ms",
        value=check * 1000,
        peer_value=nothing * 1000,
        goal=0.1,
        is_rate=False,
    )
