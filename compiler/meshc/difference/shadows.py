"""Shadow rules: what they log without refusing it, compared by meaning, like the access that they would be."""

from dataclasses import replace

from meshc.difference.access import access_regions
from meshc.difference.model import Change, Region, SettingChange, Undecided
from meshc.difference.ports import Ports
from meshc.ir import Effect, Stage
from meshc.semantics.regions.ports import PortSide

_LOGGED, _NOT_LOGGED = "logged", "not logged"


def shadow_changes(ports: Ports) -> tuple[tuple[SettingChange, ...], tuple[Undecided, ...]]:
    """The requests that a shadow rule matches on one side alone, and what could not be decided."""
    settings: list[SettingChange] = []
    undecided: list[Undecided] = []
    for effect in Effect:
        if not any(_has_shadow(side, effect) for side in (ports.old, ports.new)):
            continue
        asked = replace(ports, old=_as_access(ports.old, effect), new=_as_access(ports.new, effect))
        regions, open_ends = access_regions(asked)
        settings += (_setting(one, effect) for one in regions if one.change is not Change.CHANGED)
        if open_ends:
            undecided.append(Undecided(changes=(Change.SETTINGS,), reason=f"shadow rules: {open_ends[0].reason}"))
    return tuple(settings), tuple(undecided)


def _has_shadow(side: PortSide, effect: Effect) -> bool:
    return any(stage.shadow and stage.effect is effect for stage in side.port.access)


def _as_access(side: PortSide, effect: Effect) -> PortSide:
    """The port as if its shadow rules of one effect were all that it allows: what they match is then what passes."""
    rules = tuple(rule for stage in side.port.access if stage.shadow and stage.effect is effect for rule in stage.rules)
    stage = Stage(effect=Effect.ALLOW, rules=rules, span=side.port.span)
    return replace(side, port=replace(side.port, access=(stage,)))


def _setting(region: Region, effect: Effect) -> SettingChange:
    """What a region of that access means for the log. The decisions of the example are of that access too, and left out."""
    old, new = (_NOT_LOGGED, _LOGGED) if region.change is Change.OPENED else (_LOGGED, _NOT_LOGGED)
    return SettingChange(
        name=f"shadow {effect.value}",
        old=old,
        new=new,
        scope=region.scope,
        witness=replace(region.witness, old=None, new=None),
        old_place=region.old.place if region.change is Change.CLOSED else None,
        new_place=region.new.place if region.change is Change.OPENED else None,
    )
