"""Rate limits and telemetry, as they are written."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshc import ir
from meshc.importing.naming import Naming
from meshc.importing.origins import Origins
from meshc.importing.pieces import Line, Piece, port_piece
from meshc.importing.rules import scope_text
from meshc.importing.unsayable import NotSayableError
from meshc.semantics import wording
from meshc.semantics.show import show_condition, show_text
from meshc.source import Span
from meshc.target import PortKey

_PER: Final = {1_000: "s", 60_000: "m", 3_600_000: "h"}

# ---- limits ---------------------------------------------------------------------------------------------------------


def limit_lines(
    workload: ir.Workload, naming: Naming, origins: Origins, unsayable: list[tuple[Piece, str]]
) -> Iterator[Line]:
    """The limits of a workload's ports; one block where all of its ports have the same."""
    blocks = [(port, list(_limits(workload, port, naming, unsayable))) for port in workload.ports if port.limits]
    texts = {tuple(line.text for line in lines) for _, lines in blocks}
    if len(blocks) == len(workload.ports) > 1 and len(texts) == 1:
        same = [
            Line(some[0].text, tuple(piece for line in some for piece in line.pieces))
            for some in zip(*(lines for _, lines in blocks), strict=True)
        ]
        named = [(naming.service(workload.namespace, workload.name), blocks[0][0], same)]
    else:
        named = [(naming.port((workload.namespace, workload.name, port.number)), port, lines) for port, lines in blocks]
    for target, port, lines in named:
        if lines:
            yield Line("")
            yield from origins.comment(one.span for one in port.limits)
            yield Line(f"rate-limit {target} {{")
            yield from lines
            yield Line("}")


def _limits(
    workload: ir.Workload, port: ir.PortPolicy, naming: Naming, unsayable: list[tuple[Piece, str]]
) -> Iterator[Line]:
    for limit in port.limits:
        key = (workload.namespace, workload.name, port.number)
        piece = _limit_piece(key, limit)
        try:
            yield Line(f"  {_limit(limit, naming)}", (piece,))
        except NotSayableError as error:
            unsayable.append((piece, str(error)))


def _limit_piece(key: PortKey, limit: ir.RateLimit) -> Piece:
    return port_piece(
        key,
        f"a limit of {limit.tokens} in {wording.duration(limit.per_ms)}",
        limit.span,
        lambda port: replace(port, limits=tuple(one for one in port.limits if one != limit)),
    )


def _limit(limit: ir.RateLimit, naming: Naming) -> str:
    if limit.per_ms not in _PER:
        raise NotSayableError("a rate is so much a second, a minute or an hour", limit.span)
    a_second = max(1, limit.tokens * 1000 // limit.per_ms)
    burst = "" if limit.burst == a_second else f" burst {limit.burst}"
    per = ""
    if limit.per is not None:
        kind, _, name = limit.per.partition(":")
        per = f" per {kind} {show_text(name)}" if name else f" per {kind}"
    scope = scope_text(limit.condition, naming.identities, limit.span)
    return f"{limit.tokens}/{_PER[limit.per_ms]}{burst}{per}{scope}"


# ---- telemetry ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of report of a workload: its lines, and their pieces."""

    texts: tuple[str, ...]
    pieces: tuple[Piece, ...]
    spans: tuple[Span, ...]


def _kinds(workload: ir.Workload) -> tuple[_Kind, ...]:
    """Access logs, traces and metrics, each perhaps nothing."""
    telemetry = workload.telemetry
    logs = [(_log(one), _log_piece(workload, one), one.span) for one in telemetry.access_logs]
    trace = telemetry.trace
    traces = [] if trace is None else [(_trace(trace), _trace_piece(workload, trace), trace.span)]
    span = telemetry.metrics_span or workload.span
    metrics = [("metrics", _metrics_piece(workload, span), span)] if telemetry.metrics else []
    return tuple(
        _Kind(tuple(one[0] for one in some), tuple(one[1] for one in some), tuple(one[2] for one in some))
        for some in (logs, traces, metrics)
    )


def _log(log: ir.AccessLog) -> str:
    when = "" if log.condition == ir.ALWAYS else f" when {show_condition(log.condition)}"
    return f"access-log {log.format}{when}"


def _trace(trace: ir.Trace) -> str:
    host, _, port = trace.collector.rpartition(":")
    collector = f"[{host}]:{port}" if ":" in host and not host.startswith("[") else trace.collector
    return f"trace {wording.percent(trace.percent)} to otlp {show_text(collector)}"


def _log_piece(workload: ir.Workload, log: ir.AccessLog) -> Piece:
    def removal(one: ir.Workload) -> ir.Workload:
        logs = tuple(each for each in one.telemetry.access_logs if each != log)
        return replace(one, telemetry=replace(one.telemetry, access_logs=logs))

    return Piece(
        owner=(workload.namespace, workload.name), port=None, what="an access log", span=log.span, from_workload=removal
    )


def _trace_piece(workload: ir.Workload, trace: ir.Trace) -> Piece:
    return Piece(
        owner=(workload.namespace, workload.name),
        port=None,
        what="traces",
        span=trace.span,
        from_workload=lambda one: replace(one, telemetry=replace(one.telemetry, trace=None)),
    )


def _metrics_piece(workload: ir.Workload, span: Span) -> Piece:
    return Piece(
        owner=(workload.namespace, workload.name),
        port=None,
        what="metrics",
        span=span,
        from_workload=lambda one: replace(one, telemetry=replace(one.telemetry, metrics=False)),
    )


Reported = tuple[tuple[str, ...], ...]
"""Lines of each kind: access logs, traces, metrics."""

NOTHING: Final[Reported] = ((), (), ())


def reported(workloads: Sequence[ir.Workload]) -> Reported:
    """What most of some workloads report of each kind; nothing of a kind where some of them report nothing.

    A nearer block can say something else of a kind, but not nothing.
    """
    if len(workloads) < 2:
        return NOTHING
    return tuple(_most_common(some) for some in zip(*map(_kinds, workloads), strict=True))


def _most_common(kinds: Sequence[_Kind]) -> tuple[str, ...]:
    if not all(one.texts for one in kinds):
        return ()
    return Counter(one.texts for one in kinds).most_common(1)[0][0]


def telemetry_lines(
    scope: str, workloads: Sequence[ir.Workload], said: Reported, outer: Reported, origins: Origins
) -> Iterator[Line]:
    """The block of a scope that says `said` to some of its workloads; what the scope around says is left out."""
    lines: list[Line] = []
    spans: list[Span] = []
    for some, texts, around in zip(zip(*map(_kinds, workloads), strict=True), said, outer, strict=True):
        if texts and texts != around:
            speaking = [one for one in some if one.texts == texts]
            spans += [span for one in speaking for span in one.spans]
            lines += [Line(f"  {text}", tuple(one.pieces[at] for one in speaking)) for at, text in enumerate(texts)]
    if lines:
        yield Line("")
        yield from origins.comment(spans)
        yield Line(f"telemetry {scope} {{")
        yield from lines
        yield Line("}")


def own_report(workload: ir.Workload) -> Reported:
    """What one workload reports."""
    return tuple(one.texts for one in _kinds(workload))


def within(said: Reported, outer: Reported) -> Reported:
    """What holds inside a scope that says something, inside another."""
    return tuple(one or around for one, around in zip(said, outer, strict=True))
