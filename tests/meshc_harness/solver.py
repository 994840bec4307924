"""Ports as formulas of z3, over strings and bit vectors: a second engine for the same questions, sharing no code with the first.

Requests are made of lower-case letters and digits, in paths with slashes; the policies of `meshc_strategies` tell no others
apart. Ports have no token providers here. A header has as many values as there are tests of it, which are enough to pass any
of them together.
"""

from collections import Counter
from collections.abc import Iterator

import z3

from meshc import ir
from meshc.semantics.regions import PortSide

TRUE = z3.And()
LETTERS = z3.Union(z3.Range("a", "z"), z3.Range("0", "9"))
ANY = z3.Star(LETTERS)
SEGMENT = z3.Plus(LETTERS)
SLASH = z3.Re("/")
PATH = z3.Concat(z3.Star(z3.Concat(SLASH, SEGMENT)), z3.Option(SLASH))
DIGITS = z3.Plus(z3.Range("0", "9"))
EXPRESSIONS = {
    "[0-9]+": DIGITS,
    "a.?": z3.Concat(z3.Re("a"), z3.Option(LETTERS)),
    "": z3.Re(""),
    ".*": ANY,
    "/a/[0-9]+": z3.Concat(z3.Re("/a/"), DIGITS),
    "/(a|b)(/.*)?": z3.Concat(
        SLASH,
        z3.Union(z3.Re("a"), z3.Re("b")),
        z3.Option(z3.Concat(SLASH, z3.Star(z3.Union(LETTERS, SLASH)))),
    ),
}


class Formulas:
    """One request as z3 constants. `facts` are what is so of every request."""

    def __init__(self, sides: list[PortSide]) -> None:
        self.facts: list[z3.BoolRef] = []
        self.has_identity, self.identity = z3.Bool("has-identity"), z3.String("identity")
        self.is_v6 = {"peer": z3.Bool("peer-v6")}
        self.address = {"peer": z3.BitVec("peer", 128)}
        for hops in {side.mesh.trusted_hops for side in sides} - {0}:
            self.is_v6[hops], self.address[hops] = z3.Bool(f"client-v6-{hops}"), z3.BitVec(f"client-{hops}", 128)
        for family, address in zip(self.is_v6.values(), self.address.values(), strict=True):
            self.facts.append(z3.Or(family, z3.ULT(address, 1 << 32)))
        self.method = self.text("method", SEGMENT)
        self.path = self.text("path", z3.Intersect(PATH, z3.Concat(SLASH, z3.Star(z3.Union(LETTERS, SLASH)))))
        self.host = self.text("host", z3.Star(z3.Union(LETTERS, z3.Re("."))))
        self.sni = z3.Bool("has-sni"), self.text("sni", z3.Star(z3.Union(LETTERS, z3.Re("."))))
        self.queries = {name: (z3.Bool(f"has-{name}"), self.text(f"query-{name}", ANY)) for name in "qr"}
        tests = Counter(atom.name for side in sides for atom in atoms_of(side) if isinstance(atom, ir.HeaderIs))
        self.headers = {
            name: [(z3.Bool(f"has-{name}-{at}"), self.text(f"{name}-{at}", ANY)) for at in range(tests[name])]
            for name in tests
        }

    def text(self, name: str, language: z3.ReRef) -> z3.SeqRef:
        constant = z3.String(name)
        self.facts.append(z3.InRe(constant, language))
        return constant

    # ---- a port -----------------------------------------------------------------------------------------------------

    def connected(self, side: PortSide) -> z3.BoolRef:
        if side.port.mtls is ir.MtlsMode.OFF:
            return z3.BoolVal(val=True)
        known = z3.And(
            self.has_identity,
            z3.Or(
                *(self.identity == f"spiffe://{one}" for one in side.mesh.trust_domains),
                *(z3.PrefixOf(f"spiffe://{one}/", self.identity) for one in side.mesh.trust_domains),
            ),
        )
        return known if side.port.mtls is ir.MtlsMode.STRICT else z3.Or(known, z3.Not(self.has_identity))

    def allowed(self, side: PortSide) -> z3.BoolRef:
        parts = [self.connected(side)]
        for stage in side.port.access:
            if stage.shadow:
                continue
            matched = z3.Or(*(self.rule(side, rule) for rule in stage.rules))
            parts.append(z3.Not(matched) if stage.effect is ir.Effect.DENY else matched)
        return z3.And(*parts)

    def rule(self, side: PortSide, rule: ir.Rule) -> z3.BoolRef:
        included = z3.Or(*(self.principal(side, one) for one in rule.principals.include))
        excluded = z3.Or(*(self.principal(side, one) for one in rule.principals.exclude))
        return z3.And(included, z3.Not(excluded), self.condition(side, rule.condition))

    def principal(self, side: PortSide, principal: ir.Principal) -> z3.BoolRef:
        seen = z3.And(self.has_identity, side.port.mtls is not ir.MtlsMode.OFF)
        match principal:
            case ir.AnyPeer():
                return z3.BoolVal(val=True)
            case ir.AnyIdentity():
                return seen
            case ir.ExactIdentity(identity=identity):
                return z3.And(seen, self.identity == identity)
            case ir.IdentityPrefix(prefix=prefix):
                return z3.And(seen, z3.PrefixOf(prefix, self.identity))

    # ---- conditions -------------------------------------------------------------------------------------------------

    def condition(self, side: PortSide, condition: ir.Condition) -> z3.BoolRef:
        match condition:
            case ir.AllOf(conditions=parts):
                return z3.And(*(self.condition(side, part) for part in parts))
            case ir.AnyOf(conditions=parts):
                return z3.Or(*(self.condition(side, part) for part in parts))
            case ir.Not(condition=inner):
                return z3.Not(self.condition(side, inner))
            case _:
                return self.atom(side, condition)

    def atom(self, side: PortSide, atom: ir.Atom) -> z3.BoolRef:
        match atom:
            case ir.MethodIs(methods=methods):
                return z3.Or(*(self.method == method.lower() for method in methods))
            case ir.PathIs(pattern=pattern):
                return z3.InRe(self.path, path_language(pattern))
            case ir.HostIs(test=test):
                return text_test(self.host, test)
            case ir.SniIs(test=test):
                return z3.And(self.sni[0], text_test(self.sni[1], test))
            case ir.QueryIs(name=name, test=test):
                present, value = self.queries[name]
                return z3.And(present, text_test(value, test))
            case ir.HeaderIs(name=name, test=test):
                return z3.Or(*(z3.And(present, text_test(value, test)) for present, value in self.headers[name]))
            case ir.ClaimIs():
                return z3.BoolVal(val=False)
            case ir.AddressIn(address=address, blocks=blocks):
                hops = side.mesh.trusted_hops if address is ir.AddressOf.CLIENT else 0
                return z3.Or(*(self.inside(hops or "peer", block) for block in blocks))

    def inside(self, key: object, block: ir.IpBlock) -> z3.BoolRef:
        low, high = int(block.network_address), int(block.broadcast_address)
        address = self.address[key]
        return z3.And(self.is_v6[key] == (block.version == 6), z3.UGE(address, low), z3.ULE(address, high))


def text_test(value: z3.SeqRef, test: ir.TextTest) -> z3.BoolRef:
    match test:
        case ir.Equals(value=wanted):
            return value == wanted
        case ir.StartsWith(value=wanted):
            return z3.PrefixOf(wanted, value)
        case ir.EndsWith(value=wanted):
            return z3.SuffixOf(wanted, value)
        case ir.Matches(pattern=pattern):
            return z3.InRe(value, EXPRESSIONS[pattern])
        case ir.IsPresent():
            return z3.BoolVal(val=True)


def path_language(pattern: ir.PathPattern) -> z3.ReRef:
    match pattern:
        case ir.ExactPath(path=path):
            return z3.Re(path)
        case ir.RegexPath(pattern=expression):
            return EXPRESSIONS[expression]
        case ir.TemplatePath(segments=segments, rest=rest):
            below = z3.Option(z3.Concat(SLASH, z3.Star(z3.Union(LETTERS, SLASH))))
            steps = [part for one in segments for part in (SLASH, SEGMENT if one is None else z3.Re(one))]
            return z3.Concat(z3.Re(""), *steps, below if rest else z3.Re(""))


def atoms_of(side: PortSide) -> Iterator[ir.Atom]:
    waiting = [rule.condition for stage in side.port.access for rule in stage.rules]
    while waiting:
        match waiting.pop():
            case ir.AllOf(conditions=parts) | ir.AnyOf(conditions=parts):
                waiting += parts
            case ir.Not(condition=inner):
                waiting.append(inner)
            case atom:
                yield atom


def is_opened(before: PortSide, after: PortSide, timeout_ms: int) -> bool | None:
    """Whether some request is refused before and let through after; None where the solver does not know."""
    formulas = Formulas([before, after])
    solver = z3.Solver()
    solver.set("timeout", timeout_ms)
    solver.add(*formulas.facts, formulas.allowed(after), z3.Not(formulas.allowed(before)))
    answer = solver.check()
    return None if answer == z3.unknown else answer == z3.sat
