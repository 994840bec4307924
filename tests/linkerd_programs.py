"""Random programs of one http port, small enough that rules and requests often speak of the same things."""

import random
from typing import Final

HEAD: Final = """
mesh m {{ default access {default} mtls {mtls} }}
namespace a
namespace b
service web in a {{ port 80 http target 8080 {probe} }}
service front in a
service back in b
service data in b
access web {{
{rules}
}}
"""
SOURCES: Final = (
    *("front", "back", "front, back", "namespace b", "authenticated", "anyone", "namespace b except back"),
    *("authenticated except front", 'identity "spiffe://cluster.local/ns/b/sa/*"'),
)
NETWORKS: Final = ("", "", "", " from 10.0.0.0/8", " from 10.1.0.0/16, 192.168.0.0/24", " from 10.1.2.3, 2001:db8::/32")
OPERATIONS: Final = (
    *("", "", " to GET", " to GET|POST", " to /a", " to GET /a", " to /a/**", " to /a/b/**", " to POST /a/{{id}}"),
    *(" to /a/{{id}}/c, /a/b", " to /{{x}}/b", " to /a/", " to /", " to /**", " to /%20x/**", " to DELETE /a/**"),
)
REGEXES: Final = (' to re"/a/[0-9]+"', ' to GET re"/(a|b)(/.*)?"', ' to re"/v[12]/.*"')
CONDITIONS: Final = (
    *("", "", "", ' when header "x-a" == "1"', ' when header "x-a" in ("1", "2")', ' when not header "x-a" == "1"'),
    *(' when header "x-a" == "1" and header "x-b" == "y"', ' when header "x-b" != "y"', ' when host == "web.a"'),
    *(' when host ends with ".a"', ' when host == "web.a" or header "x-a" == "1"', ' when header "x-b" is present'),
    *(' when header "x-c" starts with "ab"', ' when not (header "x-a" == "1" and host == "other")'),
    *(' when query "q" == "1"', ' when source ip in (10.1.0.0/16) or header "x-b" == "y"'),
    *(" when not source ip in (10.0.0.0/8)", ' when header "x-d" matches re"[a-c]+"'),
)


def random_program(chance: random.Random) -> str:
    def rule() -> str:
        operations = OPERATIONS if chance.random() < 0.9 else REGEXES
        said = (
            f"{chance.choice(SOURCES)}{chance.choice(NETWORKS)}{chance.choice(operations)}{chance.choice(CONDITIONS)}"
        )
        return f"  {chance.choice(('allow', 'allow', 'deny'))} {said.replace('{{', '{').replace('}}', '}')}"

    return HEAD.format(
        default=chance.choice(("deny", "allow")),
        mtls=chance.choice(("strict", "strict", "permissive", "off")),
        probe=chance.choice(("", "", "probe GET /healthz on 8080", "probe GET /a/b on 8080")),
        rules="\n".join(rule() for _ in range(chance.randint(1, 4))),
    )
