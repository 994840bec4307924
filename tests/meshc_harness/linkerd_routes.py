"""Random programs about how calls travel on Linkerd, small and of what it can express, and requests that nearly fit their routes."""

from random import Random

from meshc.request import Request

_PATHS = ("/a", "/a/**", "/a/{id}", "/a/b", "/a/b/**", "/b/**", "/b", "/{x}/c", "/**", "/a/{id}/c", "/")
_EXPRESSIONS = ('re"/a/[0-9]+"', 're"/(a|b)/x"')
_TESTS = ('== "yes"', 'in ("yes", "no")', 'starts with "y"', "is present")
_RETRIES = (
    "retry 2 on 5xx",
    "retry 1 on gateway-error, 429 { per-try 300ms }",
    "retry 3 on retriable-4xx, 503",
    "retry never",
)
_ACTIONS = (
    "-> cart@v1",
    "-> cart@v2",
    "-> stock:90",
    "{ split cart@v1 30%, cart@v2 70% }",
    "{ timeout 2s }",
    '{ redirect "/new" }',
    '{ redirect "https://Shop.example/x" status 302 }',
    '{ set request header "x-z" "1" remove response header "server" }',
    '-> cart@v1 { timeout 700ms add request header "x-y" "2" }',
)
_SETTINGS = (
    "timeout 10s",
    "idle-timeout 5m",
    "outlier-detection { consecutive-5xx 4 ejection 20s }",
    'set response header "x-w" "3"',
)
_LIMITS = ("100/s", "10/s per source", "6000/m", "50/s burst 50")


def travel_program(rng: Random) -> str:
    """A program; a few of them are more than Linkerd can express."""
    lines = [
        "namespace a",
        "service cart in a { port 80 http target 8080 version v1 version v2 }",
        "service stock in a { port 90 http2 port 91 grpc }",
        "service web in a",
        "access cart { allow web }",
        "access stock { allow web }",
    ]
    test = f'header "x-a" {rng.choice(_TESTS)}'
    retry = [rng.choice(_RETRIES)] if rng.random() < 0.4 else []
    chosen = retry + rng.sample(_SETTINGS, rng.choice((0, 0, 1, 2)))
    routes = {_match(rng, test): rng.choice(_ACTIONS) for _ in range(rng.choice((0, 1, 2, 2, 3)))}
    written = [f"  route {match} {action}" for match, action in routes.items()]
    if chosen or written:
        lines += ["traffic cart {", *(f"  {one}" for one in chosen), *written, "}"]
    if rng.random() < 0.3:
        lines.append(
            f"traffic stock:91 {{ retry 2 on {rng.choice(('unavailable', 'cancelled, internal'))} timeout 3s }}"
        )
    if rng.random() < 0.3:
        lines.append(f"rate-limit cart {{ {' '.join(rng.sample(_LIMITS, 2))} }}")
    return "\n".join(lines) + "\n"


def _match(rng: Random, test: str) -> str:
    method = rng.choice(("", "", "", "GET ", "POST ", "GET|PUT "))
    path = rng.choice(_EXPRESSIONS) if rng.random() < 0.08 else rng.choice(_PATHS)
    condition = rng.choice(("", "", "", f" when {test}", ' when query "q" == "1"', f" when not {test}"))
    return f"{method}{path}{condition}"


_STEMS = ("/a", "/a/b", "/a/1", "/a/1/c", "/a/b/c", "/b", "/b/x", "/ab", "/", "/x/c", "/a/", "/new", "/a/1/2", "/b/c")
_VALUES = ("yes", "no", "y", "other", "")


def travel_request(rng: Random) -> Request:
    """A request to the port with the routes."""
    query = rng.choice(("", "", "?q=1", "?q=2"))
    return Request(
        identity="spiffe://cluster.local/ns/a/sa/web",
        namespace="a",
        service="cart",
        port=80,
        method=rng.choice(("GET", "GET", "POST", "PUT", "DELETE")),
        path=rng.choice(_STEMS) + query,
        headers=(("x-a", rng.choice(_VALUES)),) if rng.random() < 0.6 else (),
        source_ip="10.1.2.3",
    )
