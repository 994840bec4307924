"""Two programs as texts -> what differs."""

from dataclasses import replace

from meshc.cli.sides import groups_of
from meshc.difference.compare import Comparer
from meshc.difference.model import Change, Difference, Region, SettingChange, Side
from meshc_harness.compare import analyze_text

START = """
mesh shop { trust-domain "shop.example" also "ops.example" }
namespace shop
namespace bank
service web in shop { port 80 http }
service cart in shop { port 80 http }
service job in bank
service pay in bank { port 8080 http port 9090 grpc as admin version v1 version v2 }
service db in bank { port 5432 tcp }
service vault in bank { port 8443 tls }
external stripe in bank { host "api.stripe.com" port 443 https }
group edge = web, cart
"""


def side(text: str, path: str = "new.mesh", environment: str | None = None) -> Side:
    """A program as one side."""
    analysis = analyze_text(text, path, environment)
    assert analysis.mesh is not None, [f"{one.span}: {one.message}" for one in analysis.diagnostics]
    return Side(mesh=analysis.mesh, groups=groups_of(analysis.lowered))


def compared(old: str, new: str, *, start: str = START) -> Difference:
    """What differs between two programs that begin alike."""
    return Comparer().compare(side(start + old, "old.mesh"), side(start + new))


def regions(difference: Difference) -> list[tuple[str, str, str]]:
    """Each region as subject, kind and scope."""
    return [
        (str(one.subject), region.change.value, region.scope.text)
        for one in difference.subjects
        for region in one.regions
    ]


def settings(difference: Difference) -> list[tuple[str, str, str, str, str]]:
    """Each changed setting as subject, name, old, new and scope."""
    return [
        (str(subject.subject), one.name, one.old, one.new, "" if one.scope is None else one.scope.text)
        for subject in difference.subjects
        for one in subject.settings
    ]


def only(difference: Difference) -> Region:
    """The one region that there is."""
    found = [region for one in difference.subjects for region in one.regions]
    assert len(found) == 1, regions(difference)
    return found[0]


def only_setting(difference: Difference) -> SettingChange:
    """The one setting that there is."""
    found = [setting for one in difference.subjects for setting in one.settings]
    assert len(found) == 1, settings(difference)
    return found[0]


def without_places(difference: Difference) -> Difference:
    """The difference, places left out."""
    return replace(
        difference, subjects=tuple(replace(one, old_place=None, new_place=None) for one in difference.subjects)
    )


__all__ = ["START", "Change", "compared", "only", "only_setting", "regions", "settings", "side", "without_places"]
