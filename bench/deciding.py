"""Decisions a second on one port, beside other policy engines, all of which must decide alike."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec

from measure import Figure, rate_of
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.normalize import Malformed
from programs import analyze_text

_SEED = 7
_METHODS = ("GET", "POST", "PUT", "DELETE")
_REQUESTS = 400


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; a path that `covers` stands for everything below it as well."""

    effect: str
    source: str
    method: str
    path: str
    covers: bool


Call = tuple[str, str, str]
"""Source, method and path of a request."""

Decider = Callable[[Call], bool]


def rules_of(count: int) -> list[Rule]:
    """Rules of which up to 50 concern one source and method; every tenth denies, every third covers a subtree."""
    chance = random.Random(_SEED)  # noqa: S311 - no secret
    sources = max(5, count // 100)
    return [
        Rule(
            "deny" if number % 10 == 0 else "allow",
            f"s{chance.randrange(sources)}",
            chance.choice(_METHODS),
            f"/api/v{chance.randrange(9)}/item{number}",
            number % 3 == 0,
        )
        for number in range(count)
    ]


def calls_of(rules: list[Rule]) -> list[Call]:
    chance = random.Random(_SEED + 1)  # noqa: S311 - no secret
    calls = []
    for _ in range(_REQUESTS):
        rule = chance.choice(rules)
        below = "/below/this" if chance.random() < 0.4 else ""
        source = rule.source if chance.random() < 0.8 else "s0"
        calls.append((source, rule.method, rule.path + below))
    return calls


def ours(rules: list[Rule]) -> Decider:
    """Our verdict on a normalized request."""
    names = sorted({rule.source for rule in rules})
    listed = [
        f"  {rule.effect} {rule.source} to {rule.method} {rule.path}{'/**' if rule.covers else ''}" for rule in rules
    ]
    text = "\n".join(
        [
            "namespace shop",
            *(f"service {name} in shop" for name in names),
            "service target in shop { port 80 http }",
            "access target {",
            *listed,
            "}",
        ]
    )
    mesh = analyze_text(text).mesh
    assert mesh is not None
    evaluator = Evaluator(mesh)
    port = evaluator.port(("shop", "target", 80))
    assert port is not None
    known = {}
    for call in calls_of(rules):
        source, method, path = call
        request = Request(
            identity=f"spiffe://cluster.local/ns/shop/sa/{source}",
            namespace="shop",
            service="target",
            port=80,
            method=method,
            path=path,
        )
        facts = evaluator.observe(port, request)
        assert not isinstance(facts, Malformed)
        known[call] = facts
    judge = port.access.judge
    return lambda call: judge(known[call]).allowed


def cedar(rules: list[Rule]) -> Decider:
    import cedarpy  # noqa: PLC0415 - a peer

    def policy(rule: Rule) -> str:
        word = "permit" if rule.effect == "allow" else "forbid"
        below = f' || context.path like "{rule.path}/*"' if rule.covers else ""
        scope = f'principal == User::"{rule.source}", action == Action::"{rule.method}", resource'
        return f'{word}({scope}) when {{ context.path == "{rule.path}"{below} }};'

    policies = cedarpy.PolicySet.from_str("\n".join(policy(rule) for rule in rules))
    entities = cedarpy.Entities.from_json_str("[]")

    def decide(call: Call) -> bool:
        request = {
            "principal": f'User::"{call[0]}"',
            "action": f'Action::"{call[1]}"',
            "resource": 'Port::"80"',
            "context": {"path": call[2]},
        }
        return bool(cedarpy.is_authorized(request, policies, entities).allowed)

    return decide


def casbin(rules: list[Rule]) -> Decider:
    import casbin as library  # noqa: PLC0415 - a peer

    model = library.Model()
    model.load_model_from_text(
        "[request_definition]\nr = sub, act, obj\n[policy_definition]\np = sub, act, obj, eft\n"
        "[policy_effect]\ne = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n"
        "[matchers]\nm = r.sub == p.sub && r.act == p.act && keyMatch(r.obj, p.obj)"
    )
    enforcer = library.Enforcer(model)
    for rule in rules:
        enforcer.add_policy(rule.source, rule.method, rule.path, rule.effect)
        if rule.covers:
            enforcer.add_policy(rule.source, rule.method, f"{rule.path}/*", rule.effect)
    return lambda call: bool(enforcer.enforce(*call))


def common_expressions(rules: list[Rule]) -> Decider:
    import cel  # noqa: PLC0415 - a peer

    def test(rule: Rule) -> str:
        below = f' || path.startsWith("{rule.path}/")' if rule.covers else ""
        return f'(source == "{rule.source}" && method == "{rule.method}" && (path == "{rule.path}"{below}))'

    def any_of(effect: str) -> list[object]:
        # One expression of a thousand alternatives is nested too deeply for the parser, so they are cut in pieces.
        tests = [test(rule) for rule in rules if rule.effect == effect]
        return [cel.compile(" || ".join(tests[start : start + 20])) for start in range(0, len(tests), 20)]

    denies, allows = any_of("deny"), any_of("allow")

    def decide(call: Call) -> bool:
        facts = {"source": call[0], "method": call[1], "path": call[2]}
        if any(one.execute(facts) for one in denies):
            return False
        return any(one.execute(facts) for one in allows)

    return decide


def rego(rules: list[Rule]) -> Decider:
    import regopy  # noqa: PLC0415 - a peer

    interpreter = regopy.Interpreter()
    interpreter.add_module(
        "bench.rego",
        "package bench\ndefault allowed := false\n"
        "matches(rule) if { rule.source == input.source; rule.method == input.method; rule.path == input.path }\n"
        "matches(rule) if { rule.source == input.source; rule.method == input.method; rule.covers\n"
        '  startswith(input.path, concat("", [rule.path, "/"])) }\n'
        'denied if { some rule in data.rules; rule.effect == "deny"; matches(rule) }\n'
        'allowed if { not denied; some rule in data.rules; rule.effect == "allow"; matches(rule) }\n',
    )
    listed = [
        {"effect": one.effect, "source": one.source, "method": one.method, "path": one.path, "covers": one.covers}
        for one in rules
    ]
    interpreter.add_data_json(json.dumps({"rules": listed}))

    def decide(call: Call) -> bool:
        interpreter.set_input_term(json.dumps({"source": call[0], "method": call[1], "path": call[2]}))
        answer = json.loads(str(interpreter.query("x = data.bench.allowed")))
        return answer.get("bindings", {}).get("x") is True

    return decide


_PEERS: tuple[tuple[str, str, Callable[[list[Rule]], Decider], int], ...] = (
    ("Cedar (cedarpy)", "cedarpy", cedar, 200),
    ("CEL in Rust", "cel", common_expressions, 100),
    ("pycasbin", "casbin", casbin, 50),
    ("Rego (regopy)", "regopy", rego, 50),
)


def figures() -> Iterator[Figure]:
    """Our rate at 1,000 rules beside each peer's, and beside our own at 100 rules."""
    rules = rules_of(1000)
    calls = calls_of(rules)
    decide = ours(rules)
    expected = {call: decide(call) for call in calls}
    rate = rate_of(lambda number: decide(calls[number % _REQUESTS]), 200_000)
    row = Figure(name="decisions, 1,000 rules", peer="", unit="/s", value=rate, peer_value=None, goal=250, is_rate=True)
    for name, module, make, count in _PEERS:
        peer_rate, note = None, f"`{module}` is not installed"
        if find_spec(module) is not None:
            peer = make(rules)
            wrong = [call for call in calls[:count] if peer(call) != expected[call]]
            note = f"decides {len(wrong)} of {count} otherwise" if wrong else "same decisions"
            peer_rate = rate_of(lambda number, peer=peer: peer(calls[number % _REQUESTS]), count, runs=1)
        yield replace(row, peer=name, peer_value=peer_rate, note=note)
    few = rules_of(100)
    few_calls, few_decide = calls_of(few), ours(few)
    few_rate = rate_of(lambda number: few_decide(few_calls[number % _REQUESTS]), 200_000)
    yield replace(row, peer="meshc at 100 rules", peer_value=few_rate, goal=0.8, note="near-flat")
