"""Differences made by hand, for what shows them."""

from dataclasses import replace

from meshc.difference.model import (
    Answer,
    Blame,
    Change,
    Difference,
    Place,
    Presence,
    Region,
    Scope,
    SettingChange,
    Subject,
    SubjectDifference,
    Undecided,
    Witness,
)
from meshc.request import Decision, Request

OLD = Place(path="policies/shop.mesh", line=12, column=3, revision="main")
NEW = Place(path="policies/shop.mesh", line=14, column=3)

WITNESS = Witness(
    request=Request(
        identity="spiffe://a/ns/shop/sa/web", namespace="bank", service="pay", port=80, method="GET", path="/x"
    ),
    caller="shop.web",
    command="curl http://pay.bank:80/x",
    notes=("from the address 10.0.0.1",),
    old=Decision(allowed=False, status=403, reason="no allow rule matches"),
    new=Decision(allowed=True),
)
REGION = Region(
    change=Change.OPENED,
    scope=Scope(sources="shop.web", operations="GET /x", conditions=('header "x-a" == "1"',)),
    old=Answer(text="403: no allow rule matches", blame=(Blame(text="access bank.pay", place=OLD),)),
    new=Answer(text="allowed", blame=(Blame(text="allow shop.web to GET /x", because="they asked", place=NEW),)),
    witness=WITNESS,
)
SETTING = SettingChange(
    name="timeout",
    old="2s",
    new="5s",
    scope=Scope(operations="GET /x"),
    witness=WITNESS,
    old_place=OLD,
    new_place=NEW,
)
PORT = SubjectDifference(
    subject=Subject(namespace="bank", service="pay", port=80),
    kind="http port",
    regions=(REGION,),
    settings=(SETTING,),
    old_place=OLD,
    new_place=NEW,
)
NOTHING = Difference(subjects=(), compared=7)
ONE = Difference(subjects=(PORT,), compared=7)


def with_everything() -> Difference:
    """Every kind of finding, several environments, a port that is new, and a caller that is gone."""
    regions = tuple(replace(REGION, change=change) for change in (Change.CLOSED, Change.CHANGED, Change.ROUTING))
    weaker = SettingChange(name="mtls", old="strict", new="permissive", weakens=True)
    undecided = Undecided(changes=(Change.OPENED, Change.CLOSED), reason="its expressions combine in too many ways")
    return Difference(
        subjects=(
            SubjectDifference(subject=Subject(), kind="", settings=(replace(SETTING, scope=None, witness=None),)),
            replace(PORT, regions=(*regions, REGION), settings=(weaker, SETTING), undecided=(undecided,)),
            replace(PORT, environments=("prod",)),
            replace(PORT, subject=Subject(namespace="shop", service="new", port=81), presence=Presence.ADDED),
            SubjectDifference(
                subject=Subject(namespace="shop", service="job"),
                kind="service",
                presence=Presence.REMOVED,
                old_place=OLD,
                environments=(None, "prod", "staging"),
            ),
        ),
        compared=9,
        environments=(None, "prod", "staging"),
        added_environments=("staging",),
    )


def with_many(count: int) -> Difference:
    """One port with many regions and settings."""
    regions = tuple(
        replace(REGION, scope=Scope(sources="shop.web", operations=f"GET /{number}")) for number in range(count)
    )
    settings = tuple(replace(SETTING, name=f"setting-{number}") for number in range(count))
    return Difference(subjects=(replace(PORT, regions=regions, settings=settings),), compared=1)


HOSTILE = (
    "<script>alert(1)</script>",
    "</title></textarea>'\"><img src=x onerror=alert(1)>",
    "| a | `b` | ``c`` | **d** | [e](http://f) | @g #1 | ~~h~~",
    "${7*7}{{7*7}}{% raw %}{# x",
    "\x1b[31mred\x07\x00\r\n\u202eevil\u2066",
    'end"]; click n0 "javascript:alert(1)"',
    "--> <!-- ]]> &amp; &#60;",
    "a\\|b\\",
    "\udcff\ud800",
)


def hostile(text: str) -> Difference:
    """A text of users in every place that can hold one."""
    place = Place(path=text, line=1, column=1, revision=text)
    answer = Answer(text=text, blame=(Blame(text=text, because=text, place=place),))
    witness = replace(
        WITNESS,
        request=replace(WITNESS.request, path=f"/{text}", headers=(("x-a", text),), claims={text: text}),
        caller=text,
        command=text,
        notes=(text,),
        old=Decision(allowed=False, status=403, reason=text),
    )
    scope = Scope(sources=text, addresses=text, operations=text, conditions=(text, text))
    region = Region(change=Change.OPENED, scope=scope, old=answer, new=answer, witness=witness)
    setting = SettingChange(
        name=text, old=text, new=text, scope=scope, witness=witness, old_place=place, new_place=place, weakens=True
    )
    subject = SubjectDifference(
        subject=Subject(namespace=text, service=text, port=80),
        kind=text,
        regions=(region, replace(region, change=Change.ROUTING)),
        settings=(setting,),
        undecided=(Undecided(changes=(Change.OPENED,), reason=text),),
        old_place=place,
        new_place=place,
        environments=(text,),
    )
    return Difference(
        subjects=(subject,),
        compared=1,
        environments=(None, text),
        added_environments=(text,),
        removed_environments=(text,),
    )
