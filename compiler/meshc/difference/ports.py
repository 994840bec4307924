"""Pairs of ports: one port on both sides of a comparison, or the stand-in for one that a side lacks."""

from dataclasses import dataclass, replace

from meshc.difference.model import Presence, Side
from meshc.difference.naming import Naming
from meshc.ir import ALWAYS, ANY_PATH, Destination, Effect, Forward, MtlsMode, PortPolicy, Route, Settings, Stage
from meshc.semantics.regions.ports import PortSide


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """One port on both sides. Of a port that is ADDED or REMOVED, the side that lacks it has a stand-in, which refuses all."""

    old: PortSide
    new: PortSide
    old_side: Side
    new_side: Side
    presence: Presence
    naming: Naming

    @property
    def is_http(self) -> bool:
        """Whether requests are seen on either side."""
        return self.old.is_http or self.new.is_http


def pair_ports(old: PortSide | None, new: PortSide | None, sides: tuple[Side, Side], naming: Naming) -> Ports:
    """The pair of two ports, of which at least one is there."""
    present = new or old
    if present is None:
        raise ValueError("a port that neither side has")
    presence = Presence.ADDED if old is None else Presence.REMOVED if new is None else Presence.BOTH
    return Ports(
        old=old or _stand_in(present),
        new=new or _stand_in(present),
        old_side=sides[0],
        new_side=sides[1],
        presence=presence,
        naming=naming,
    )


def _stand_in(side: PortSide) -> PortSide:
    """The same port as the language has it where nothing is said of it: closed, strict, and without any setting."""
    return PortSide(mesh=side.mesh, owner=side.owner, port=_closed(side))


def _closed(side: PortSide) -> PortPolicy:
    port = side.port
    namespace, service, number = side.key
    itself = Destination(namespace=namespace, service=service, port=number)
    route = Route(
        methods=(),
        path=ANY_PATH,
        condition=ALWAYS,
        callers=None,
        action=Forward(destinations=(itself,)),
        settings=Settings(),
        span=port.span,
    )
    return replace(
        port,
        mtls=MtlsMode.OFF if side.is_external else MtlsMode.STRICT,
        access=(Stage(effect=Effect.ALLOW, rules=(), span=port.span),),
        jwts=(),
        limits=(),
        routes=(route,),
        settings=Settings(),
    )
