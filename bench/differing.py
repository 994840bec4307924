"""Exact differences: two versions of one large policy, beside z3 on the same question, and two versions of a large mesh."""

import random
from collections.abc import Iterator
from importlib.util import find_spec

from deciding import Rule, rules_of
from measure import Figure, best_of
from meshc import ir
from meshc.semantics.languages import path_signatures
from meshc.semantics.regions.ports import PortSide, is_alike, sides_of
from meshc.semantics.regions.space import Space
from programs import analyze_text, mesh_text

_RULES = 500
_SERVICES = 1000
_CHANGED = 10


def figures() -> Iterator[Figure]:
    """One pair of policies, and one pair of meshes."""
    old = rules_of(_RULES)
    new = _edited(old)
    sides = [_side(rules) for rules in (old, new)]
    ours = best_of(lambda: _count(sides[0], sides[1]))
    peer, note = None, "`z3` is not installed"
    if find_spec("z3") is not None:
        peer = best_of(lambda: _z3_differs(old, new), runs=1)
        note = f"z3 gives one example, this all {_count(sides[0], sides[1])} classes of requests"
    yield Figure(
        name="exact difference of two policies of 500 rules",
        peer="z3 over the same classes",
        unit="s",
        value=ours,
        peer_value=peer,
        goal=10,
        is_rate=False,
        note=note,
    )
    meshes = _meshes()
    seconds = best_of(lambda: _mesh_count(*meshes))
    yield Figure(
        name=f"exact difference of two meshes of {_SERVICES} services, {_CHANGED} changed",
        peer="one second",
        unit="s",
        value=seconds,
        peer_value=1.0,
        goal=1,
        is_rate=False,
        note="after parsing",
    )


def _edited(rules: list[Rule]) -> list[Rule]:
    """The same rules with one path widened and one method changed."""
    first, second, *others = rules
    return [
        Rule(first.effect, first.source, first.method, first.path, covers=not first.covers),
        Rule(second.effect, second.source, "PATCH", second.path, covers=second.covers),
        *others,
    ]


def _side(rules: list[Rule]) -> PortSide:
    names = sorted({rule.source for rule in rules})
    listed = [
        f"  {rule.effect} {rule.source} to {rule.method} {rule.path}{'/**' if rule.covers else ''}" for rule in rules
    ]
    services = [f"service {name} in shop" for name in names]
    text = "\n".join(
        ["namespace shop", *services, "service target in shop { port 80 http }", "access target {", *listed, "}"]
    )
    mesh = analyze_text(text).mesh
    assert mesh is not None
    return sides_of(mesh)["shop", "target", 80]


def _count(old: PortSide, new: PortSide) -> int:
    """How many classes of requests are let through on one side alone, and one example that `decide` has judged."""
    space = Space.of([old, new])
    before, after = space.allowed(old), space.allowed(new)
    opened, closed = after - before, before - after
    for region in (opened, closed):
        if not region.is_empty:
            space.witness(region)
    return opened.size + closed.size


def _meshes() -> tuple[ir.Mesh, ir.Mesh]:
    text = mesh_text(_SERVICES)
    chance = random.Random(3)  # noqa: S311 - no secret
    changed = text
    for number in chance.sample(range(_SERVICES), _CHANGED):
        start = changed.index(f"access s{number} {{")
        changed = changed[:start] + changed[start:].replace("GET|POST /r0", "GET|PUT /r0", 1)
    old, new = analyze_text(text).mesh, analyze_text(changed).mesh
    assert old is not None
    assert new is not None
    return old, new


def _mesh_count(old: ir.Mesh, new: ir.Mesh) -> int:
    before, after = sides_of(old), sides_of(new)
    pairs = [(before[key], after[key]) for key in before]
    return sum(_count(one, other) for one, other in pairs if not is_alike(one, other))


def _z3_differs(old: list[Rule], new: list[Rule]) -> bool:
    """Whether z3 finds a difference. It gets the classes of paths as numbers: over strings it does not end in minutes."""
    import z3  # noqa: PLC0415 - a peer

    patterns = list(dict.fromkeys((rule.path, rule.covers) for rule in (*old, *new)))
    classes = path_signatures([_pattern(*one) for one in patterns])
    places = {
        one: [at for at, signature in enumerate(classes) if signature.holds >> number & 1]
        for number, one in enumerate(patterns)
    }
    names = {name: number for number, name in enumerate(sorted({rule.source for rule in (*old, *new)}))}
    methods = {name: number for number, name in enumerate(sorted({rule.method for rule in (*old, *new)}))}
    source, method, path = z3.Ints("source method path")

    def allowed(rules: list[Rule]) -> object:
        def matches(rule: Rule) -> object:
            where = z3.Or([path == one for one in places[rule.path, rule.covers]])
            return z3.And(source == names[rule.source], method == methods[rule.method], where)

        denied = z3.Or([matches(rule) for rule in rules if rule.effect == "deny"])
        return z3.And(z3.Not(denied), z3.Or([matches(rule) for rule in rules if rule.effect == "allow"]))

    solver = z3.Solver()
    solver.add(allowed(old) != allowed(new), path >= 0, path < len(classes))
    return bool(solver.check() == z3.sat)


def _pattern(path: str, covers: bool) -> ir.PathPattern:  # noqa: FBT001
    return ir.TemplatePath(tuple(path[1:].split("/")), (), rest=True) if covers else ir.ExactPath(path)
