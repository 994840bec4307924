"""`meshc run`: a whole program on this machine, with every request shown and what was decided of it."""

import asyncio
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError, drop_output
from meshc.cli.engines import Errand, errands_of
from meshc.cli.project import ProjectInvalidError, analyze_project, open_project, show
from meshc.cli.via import NotCompiledError, mesh_via
from meshc.engine.jobs import maker
from meshc.engine.placement import PlacedMesh
from meshc.engine.processes import EnvoyError
from meshc.engine.scene import Scene
from meshc.engine.sidecars import Sidecars
from meshc.engine.translate import EngineError
from meshc.ir import Mesh, Workload
from meshc.site import Address
from meshc.target import WorkloadKey

try:
    from meshc.engine.proxies import ProxySidecars
    from meshc_proxy.io.logs import Names
    from meshc_proxy.io.records import Record
except ModuleNotFoundError as error:
    raise UsageError(f"sidecars need `{error.name}`: pip install 'meshc[proxy]'") from error

_OUTBOUND: Final = 15001
_LAST_PORT: Final = 65535
_PRIVILEGED: Final = 1024


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    try:
        project = open_project(arguments.path, console)
    except ProjectInvalidError:
        return 1
    analysis = analyze_project(project, arguments.environment)
    if analysis.mesh is None:
        show(project, analysis.diagnostics, console)
        return 1
    mesh = analysis.mesh
    try:
        mesh = mesh_via(arguments.via or "envoy", project, mesh, console)
    except NotCompiledError:
        return 1
    _apps(arguments, mesh)
    errands = errands_of(mesh, [case for suite in analysis.tests for case in suite.cases])
    try:
        with tempfile.TemporaryDirectory(prefix="meshc-") as directory:
            asyncio.run(_run(arguments, mesh, errands, Path(directory), console))
    except (EngineError, EnvoyError) as error:
        raise UsageError(str(error)) from error
    return 0


def _apps(arguments: Arguments, mesh: Mesh) -> Mapping[WorkloadKey, Address]:
    found: dict[WorkloadKey, Address] = {}
    for text in arguments.apps:
        name, equals, address = text.partition("=")
        host, _, port = address.rpartition(":")
        if not equals or not port.isdecimal() or not 0 < int(port) <= _LAST_PORT:
            raise UsageError(f"`{text}` names no application; write it as `payments=127.0.0.1:9000`")
        meant = [one for one in mesh.workloads if name in {one.name, f"{one.namespace}.{one.name}"}]
        if len(meant) != 1:
            raise UsageError(f"`{name}` is {'several services' if meant else 'no service of the program'}")
        found[meant[0].namespace, meant[0].name] = Address(host=host or "127.0.0.1", port=int(port))
    if found and arguments.engine != "proxy":
        raise UsageError("applications of your own need `--engine proxy`")
    return found


async def _run(arguments: Arguments, mesh: Mesh, errands: Sequence[Errand], directory: Path, console: Console) -> None:
    view = _View(mesh, console)
    apps = _apps(arguments, mesh)
    sidecars = _maker(arguments.engine, view, apps)
    async with Scene(mesh, sidecars, directory, has_ipv6=False, lowest_port=_lowest_port(), own=apps.keys()) as scene:
        if not arguments.once:
            _say_where(scene.placed, errands, console)
        try:
            await scene.observe([one for one in errands if _can_send(one)])
        except EngineError as error:
            if arguments.once:
                raise
            # An application of one's own that is not there yet, or fails, ends nothing.
            console.say(f"not every test could be sent: {error}")
        is_shown = arguments.engine == "proxy"
        if is_shown:
            view.summarize()
        else:
            console.say("what Envoys decide is not shown here; it is with `--engine proxy`")
        if not arguments.once:
            _end_when_asked(view.ended)
            console.say("every request is shown here; Ctrl-C ends" if is_shown else "Ctrl-C ends")
            await view.ended.wait()


def _maker(engine: str, view: "_View", apps: Mapping[WorkloadKey, Address]) -> Callable[[PlacedMesh, Path], Sidecars]:
    if engine == "envoy":
        return maker(engine)
    return lambda placed, _: ProxySidecars(placed, sink=view.take, applications=apps)


def _can_send(errand: Errand) -> bool:
    """Addresses beyond this machine's own can only be had in a network of its own, where nobody could watch."""
    return errand.request.source_ip.startswith("127.")


def _lowest_port() -> int:
    if os.geteuid() == 0:
        return 0
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return _PRIVILEGED


def _end_when_asked(ended: asyncio.Event) -> None:
    """By the user, or by whoever supervises this."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)


def _say_where(placed: PlacedMesh, errands: Sequence[Errand], console: Console) -> None:
    """Where each service calls others from, and a call to try: the first of the tests, else one of the first service."""
    workloads = placed.mesh.workloads
    width = max((len(_name(one)) for one in workloads), default=0)
    outbound = {one.identity: placed.placement.instances[one.namespace, one.name][0].outbound for one in workloads}
    for workload in workloads:
        console.say(f"{_name(workload):<{width}}  calls others at http://{outbound[workload.identity]}:{_OUTBOUND}")
    named = {one.identity: one for one in workloads}
    names = {(one.namespace, one.name) for one in workloads}
    asked = (one.request for one in errands if (one.request.namespace, one.request.service) in names)
    tested = (one for one in asked if one.method == "GET" and one.identity in named)
    served = (one for one in workloads if any(port.protocol.is_http for port in one.ports))
    if (request := next(tested, None)) is not None and request.identity is not None:
        caller, host, path = named[request.identity], f"{request.service}.{request.namespace}", request.path
    elif (called := next(served, None)) is not None:
        caller, host, path = workloads[0], _name(called), "/"
    else:
        return
    url = shlex.quote(f"http://{outbound[caller.identity]}:{_OUTBOUND}{path}")
    console.say(f"as {_name(caller)}: curl -H 'Host: {host}' {url}")


def _name(workload: Workload) -> str:
    return f"{workload.name}.{workload.namespace}"


class _View:
    """The live view: a line for each request. `ended` is set once nobody looks any more."""

    def __init__(self, mesh: Mesh, console: Console) -> None:
        self.ended = asyncio.Event()
        self._console = console
        self._names = Names(mesh)
        self._people = {one.identity: f"{one.namespace}.{one.name}" for one in mesh.workloads}
        self._allowed = 0
        self._denied = 0

    def take(self, record: Record) -> None:
        """Show what a server's sidecar decided, and what a caller's answered by itself."""
        if record.direction == "outbound" and record.upstream:
            return
        words = self._verdict(record)
        time = datetime.fromtimestamp(record.started, UTC).astimezone().strftime("%H:%M:%S")
        caller = self._people.get(record.source or "", record.source or "nobody")
        asked = "connects" if record.method is None else f"{record.method} {record.path}"
        try:
            self._console.print(
                f"{time}  {caller} -> {record.to or record.host}  {asked}  {words}  {record.duration_ms} ms"
            )
            sys.stdout.flush()
        except BrokenPipeError:
            # As after `meshc run | head`: the request goes on, and the run ends after it.
            drop_output()
            self.ended.set()

    def summarize(self) -> None:
        """Say how much there was."""
        self._console.say(f"{self._allowed} allowed, {self._denied} denied")

    def _verdict(self, record: Record) -> str:
        status = "" if record.status is None else f" {record.status}"
        rule = self._names.rules.get(record.rule) if record.rule is not None else None
        by = "" if rule is None else f" by {rule}"
        if record.direction == "outbound":
            return f"answered{status} {record.details}"
        if record.upstream:
            self._allowed += 1
            return f"allowed{by}{status}"
        self._denied += 1
        return f"DENIED{by}{status} {record.details}".rstrip()
