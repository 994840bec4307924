"""Random programs that are well formed and need not mean anything: every construct, laid out at random."""

from collections.abc import Callable
from random import Random

from meshc.source import SourceFile

Words = list[str]


class Programs:
    """Random programs, token by token, from the constructs of the language reference."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def maybe(self, part: Callable[[], Words]) -> Words:
        return part() if self.random.random() < 0.4 else []

    def listed(self, part: Callable[[], Words], most: int = 3) -> Words:
        words = part()
        for _ in range(self.random.randrange(most)):
            words += [",", *part()]
        return words

    def repeated(self, part: Callable[[], Words], most: int = 4) -> Words:
        return [word for _ in range(self.random.randrange(most)) for word in part()]

    def name(self) -> str:
        return self.pick(
            "a",
            "payments",
            "route",
            "timeout",
            "v1",
            "a-b",
            "x0",
            "service",
            "from",
            "3a",
            "re",
            "checkout-of-the-whole-shop",
        )

    def ref(self) -> str:
        return self.name() + self.pick("", ".bank") + self.pick("", "", ":8080", ":admin")

    def value(self) -> str:
        return self.pick(
            "5",
            "250ms",
            "1.5s",
            "12.5%",
            "100/s",
            "64KiB",
            "10.0.0.0/8",
            "2001:db8::/32",
            "5xx",
            '"x"',
            "$total",
            "$r.x",
        )

    def text(self) -> str:
        return self.pick(
            '"x"',
            '""',
            '"a \\"b\\" \\\\ \\n \\u{e9}"',
            '"# no comment {"',
            "$t",
            '"a rather long text that makes lines break"',
        )

    def path(self) -> str:
        return self.pick("/", "/charge", "/charge/{id}", "/a/**", '"/with,comma"', 're"/v[0-9]+\\"x"', "/x-{a}.b")

    def source(self) -> Words:
        return self.random.choice(
            (
                [self.name()],
                [self.name() + ".shop"],
                ["namespace", self.name()],
                ["group", self.name()],
                ["identity", self.text()],
                ["authenticated"],
                ["anyone"],
            )
        )

    def sources(self) -> Words:
        return self.listed(self.source) + self.maybe(lambda: ["except", *self.listed(self.source)])

    def operation(self) -> Words:
        methods = ["GET", *self.repeated(lambda: ["|", self.pick("POST", "M-SEARCH")], 3)]
        return self.random.choice(
            (methods, [*methods, self.path()], [self.path()], ["rpc", self.pick("a.B/*", "B/C", "$r", '"a.B/C"')])
        )

    def condition(self, depth: int = 0) -> Words:
        kind = self.random.randrange(5 if depth < 4 else 1)
        if kind <= 1:
            return self.test()
        if kind == 2:
            return ["not", *self.condition(depth + 1)]
        if kind == 3:
            return ["(", *self.condition(depth + 1), ")"]
        return [*self.condition(depth + 1), self.pick("and", "or"), *self.condition(depth + 1)]

    def test(self) -> Words:
        subject = self.random.choice(
            (["header", self.text()], ["query", '"q"'], ["claim", '"a"', '"b"'], ["issuer"], ["source", "ip"], ["host"])
        )
        predicate = self.random.choice(
            (
                [self.pick("==", "!=", "has"), self.value()],
                ["in", "(", *self.listed(lambda: [self.value()]), ")"],
                [self.pick("starts", "ends"), "with", self.text()],
                ["matches", 're"a|b\\\\"'],
                ["is", self.pick("present", "absent")],
            )
        )
        return subject + predicate

    def clauses(self) -> Words:
        return (
            self.maybe(lambda: ["from", *self.listed(lambda: [self.value()])])
            + self.maybe(lambda: ["to", *self.listed(self.operation)])
            + self.maybe(lambda: ["when", *self.condition()])
        )

    def rule(self) -> Words:
        notes = self.repeated(lambda: self.random.choice((["because", self.text()], ["until", "2027-03-31"])), 2)
        return [*self.maybe(lambda: ["shadow"]), self.pick("allow", "deny"), *self.sources(), *self.clauses(), *notes]

    def options(self) -> Words:
        return [
            "{",
            *self.repeated(
                lambda: [self.pick("backoff", "timeout", "from", "retry"), *self.maybe(lambda: [self.value()])]
            ),
            "}",
        ]

    def setting(self) -> Words:
        return self.random.choice(
            (
                [self.pick("timeout", "idle-timeout", "connect-timeout"), self.value()],
                [
                    "retry",
                    self.value(),
                    "on",
                    *self.listed(lambda: [self.pick("5xx", "reset", "503")]),
                    *self.maybe(self.options),
                ],
                ["retry", "never"],
                ["load-balance", "maglev", *self.maybe(lambda: ["by", "header", '"x"'])],
                [self.pick("circuit-breaker", "outlier-detection"), *self.options()],
                ["circuit-breaker", "{", "backoff", "25ms", "..", "$high", "}"],
                ["health-check", "GET", "/healthz", *self.maybe(self.options)],
                ["locality", "failover", '"a"', "->", '"b"'],
                ["fault", "delay", "1s", "for", "1%", *self.maybe(lambda: ["when", *self.condition()])],
                ["mirror", "10%", "to", "a@v2"],
                ["split", *self.listed(lambda: ["a@v1", self.pick("50%", "$share")])],
                [self.pick("set", "add"), self.pick("request", "response"), "header", '"n"', self.text()],
                ["remove", "request", "header", '"n"'],
                ["rewrite", "path", self.pick("/v2/{id}", '"/x"')],
                ["redirect", '"/x"', *self.maybe(lambda: ["status", "308"])],
                ["respond", "404", *self.maybe(lambda: [self.text()])],
                ["tls", "{", *self.repeated(lambda: ["sni", self.text()]), "}"],
            )
        )

    def route(self) -> Words:
        return [
            "route",
            *self.listed(self.operation),
            *self.maybe(lambda: ["when", *self.condition()]),
            *self.maybe(lambda: ["by", *self.listed(self.source)]),
            *self.maybe(lambda: ["->", *self.listed(lambda: ["a@v1", *self.maybe(lambda: ["5%"])])]),
            *self.maybe(lambda: ["{", *self.repeated(self.setting), "}"]),
        ]

    def request(self) -> Words:
        return [
            *self.source(),
            "GET",
            self.ref(),
            *self.maybe(lambda: [self.pick("/x", '"/a,b"', "a.B/C")]),
            *self.maybe(lambda: ["from", "10.1.2.3"]),
            *self.maybe(lambda: ["with", *self.listed(lambda: ["header", '"n"', '"v"'])]),
        ]

    def uses(self) -> Words:
        return [
            "uses",
            *self.listed(
                lambda: [self.name(), *self.maybe(lambda: ["(", *self.listed(lambda: ["x", ":", "5s"]), ")"])]
            ),
        ]

    def service_item(self) -> Words:
        return self.random.choice(
            (
                ["port", "80", "http", *self.maybe(lambda: ["target", "8080"]), *self.maybe(lambda: ["as", "web"])],
                ["labels", *self.listed(lambda: [self.pick("app", '"k/e"'), "=", self.text()])],
                ["version", self.name(), *self.maybe(lambda: ["{", "labels", "a", "=", '"b"', "}"])],
                ["endpoint", '"h:1"', *self.maybe(lambda: ["{", "zone", '"a/b"', "weight", "5", "}"])],
                ["probe", "GET", "/healthz", *self.maybe(lambda: ["on", "80"])],
                ["default", "access", "allow"],
            )
        )

    def scope(self) -> Words:
        return self.random.choice((["mesh"], ["namespace", self.name()], [self.ref()]))

    def declaration(self) -> Words:
        block = self.random.choice
        name = self.name()
        jwt = [
            "jwt",
            name,
            "{",
            "issuer",
            self.text(),
            "audiences",
            *self.listed(lambda: [self.text()]),
            "required",
            "}",
        ]
        limit = ["100/s", *self.maybe(lambda: ["burst", "5"]), *self.maybe(lambda: ["per", "source"])]
        claim = [self.pick("never", "only"), *self.sources(), "reaches", *self.scope(), *self.clauses()]
        case = block(
            (
                ["allow", *self.request()],
                ["expect", *self.request(), "->", "status", "404"],
                ["route", *self.request(), "->", "a@v1"],
            )
        )
        return block(
            (
                ["mesh", name, "{", *self.repeated(lambda: ["mtls", "strict"]), "}"],
                ["namespace", name, *self.maybe(lambda: ["{", "default", "access", "deny", "}"])],
                ["service", name, "in", "shop", *self.maybe(lambda: ["{", *self.repeated(self.service_item), "}"])],
                [
                    "external",
                    name,
                    "in",
                    "shop",
                    "{",
                    "host",
                    *self.listed(lambda: ['"a.b"']),
                    "port",
                    "443",
                    "https",
                    "}",
                ],
                ["let", name, "=", *self.listed(lambda: [self.value()])],
                ["group", name, "=", *self.listed(self.source)],
                [
                    "profile",
                    name,
                    *self.maybe(lambda: ["(", "x", ":", "int", "=", "5", ")"]),
                    "{",
                    *self.repeated(self.setting),
                    "}",
                ],
                ["access", *self.scope(), "{", *self.repeated(self.rule), "}"],
                [
                    "traffic",
                    self.ref(),
                    *self.maybe(self.uses),
                    "{",
                    *self.repeated(self.setting),
                    *self.repeated(self.route),
                    "}",
                ],
                [
                    "rate-limit",
                    self.ref(),
                    "{",
                    *self.repeated(lambda: [*limit, *self.maybe(lambda: ["to", *self.operation()])]),
                    "}",
                ],
                ["authenticate", *self.scope(), "{", *jwt, "port", "80", "mtls", "off", "}"],
                ["telemetry", *self.scope(), "{", "access-log", "json", "metrics", "}"],
                ["invariant", '"t"', "{", *claim, "encrypted", *self.scope(), "}"],
                ["test", '"t"', "{", *case, "}"],
            )
        )

    def program(self) -> Words:
        words: Words = []
        for _ in range(self.random.randrange(6)):
            nested = self.random.random() < 0.1
            words += (
                ["environment", "e", "{", *self.declaration(), *self.declaration(), "}"]
                if nested
                else self.declaration()
            )
        return words

    def spaced(self, words: Words) -> str:
        """The words with random white space and comments between them."""
        gaps = (
            " ",
            " ",
            " ",
            " ",
            "\n",
            "\n  ",
            "\r\n",
            "\t",
            "\n\n\n",
            "  # beside\n",
            "\n  # own line \n",
            "\n## doc\n",
            "\n\n# apart\n\n",
        )
        weights = (9, 9, 9, 9, 4, 4, 1, 1, 1, 1, 1, 1, 1)
        return "".join(
            gap + word for gap, word in zip(self.random.choices(gaps, weights, k=len(words)), words, strict=True)
        )


def source_of(seed: int) -> SourceFile:
    programs = Programs(Random(seed))
    return SourceFile("p.mesh", programs.spaced(programs.program()))
