"""What the settings of a port ask of Istio's DestinationRule beyond what it can say."""

from collections.abc import Iterator

from meshc import ir
from meshc.source import Span
from meshc_istio.directory import Called, Directory, is_wildcard
from meshc_istio.obstacles import Obstacle

Found = tuple[Obstacle, Span]
"""An obstacle, and the place to blame."""


def port_obstacles(directory: Directory, called: Called) -> Iterator[Found]:
    """What of a port's settings cannot be said."""
    yield from _bounds(directory, called)
    yield from _outliers(called.port.settings)
    yield from _locality(called)
    if isinstance(called.owner, ir.External) and any(is_wildcard(host) for host in called.owner.hosts):
        yield from _wildcard(called.port)


def _bounds(directory: Directory, called: Called) -> Iterator[Found]:
    bounds = called.port.settings.circuit_breaker
    if (
        bounds is not None
        and bounds.retries is not None
        and (called.owner.namespace, called.owner.name) in directory.budgets
    ):
        reason = "bound retries by their number and by a budget, which some route to here has, at once"
        yield Obstacle(reason=reason, advice="leave out one of the two"), bounds.span


def _outliers(settings: ir.Settings) -> Iterator[Found]:
    detection = settings.outlier_detection
    if detection is None:
        return
    if detection.max_ejected != int(detection.max_ejected):
        yield (
            Obstacle(reason="eject a share of endpoints with a fraction", advice="write a whole share"),
            detection.span,
        )
    elif detection.max_ejected == 0:
        # A 0 is what is not set, and that is 10 %.
        yield Obstacle(reason="eject at most 0%", advice="leave `outlier-detection` out"), detection.span


def _locality(called: Called) -> Iterator[Found]:
    locality = called.port.settings.locality
    if locality is None:
        return
    if called.port.settings.outlier_detection is None:
        reason = "prefer near endpoints without knowing which of them are in trouble"
        yield Obstacle(reason=reason, advice="add `outlier-detection`"), locality.span
    if any("/" in place for pair in locality.failover for place in pair):
        yield Obstacle(reason="fail over between zones", advice="name regions alone"), locality.span
    if any(source == target for source, target in locality.failover):
        yield Obstacle(reason="fail over to the same region", advice="name another"), locality.span


def _wildcard(port: ir.PortPolicy) -> Iterator[Found]:
    settings = port.settings
    if port.protocol is ir.Protocol.HTTPS:
        reason = "originate tls for a wildcard host, since it connects where the application wanted to"
        yield Obstacle(reason=reason, advice="name each host, or make the port `tls`"), port.span
    named = (
        ("load-balance", settings.load_balance),
        ("outlier-detection", settings.outlier_detection),
    )
    for what, setting in named:
        if setting is not None:
            reason = f"apply `{what}` to a wildcard host, behind which the application finds the servers"
            yield Obstacle(reason=reason, advice="name each host"), setting.span
