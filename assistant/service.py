"""What every process gets: its settings, logging, signals, ready, heartbeat, the inbox.

The heartbeat and the watchdog are fed from the service's own loop, each time it asks for a message: a loop that hangs
falls silent. A long blocking call is announced (``busy``), so that silence stays honest.
"""

import argparse
import contextlib
import faulthandler
import importlib
import logging
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec

from assistant.bus import SIDES, Bus
from assistant.config import ConfigError, Settings, from_resolved
from assistant.journal import Format, formatter, to_the_journal
from assistant.lock import Held, Lock
from assistant.messages import Heartbeat, Message
from assistant.notify import Notifier, cut, last_resort, lifeline
from assistant.wire import BusError, Received

log = logging.getLogger("assistant")

BEAT_S = 1.0
SUPERVISOR_LOCK, RESOLVED = "supervisor.lock", "settings.json"  # in the runtime directory
SIMULATED = "simulated-"  # prefix of the folder that a simulated board lies in, there too
MUTED = "muted"  # suffix of the file that says so
EXIT_CONFIG = 78  # EX_CONFIG: trying again without a change is of no use
ORPHAN_S = 2.0  # a service whose starter is gone ends within this time, whatever it is doing


class Unfit(Exception):
    """A service cannot work as it is configured (a missing model, a wrong option); the text says what to do."""


class Service:
    """One process's link to the rest. Not thread-safe, except ``wake``."""

    def __init__(self, bus: Bus, notifier: Notifier, state: Path, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.bus, self.name, self.state_dir, self.clock = bus, bus.name, state, clock
        self.running = True
        self.figures: dict[str, float] = {}
        self.ready_detail = ""
        self._notifier = notifier
        self._state: Literal["starting", "ready", "degraded", "stopping"] = "starting"
        self._detail = ""
        self._troubles: dict[str, str] = {}
        self._beat_at = 0.0
        self._watchers: list[Callable[[Message, int], None]] = []
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        bus.watch(self._wake_read)
        self._lifeline = lifeline()
        if self._lifeline is not None:
            bus.watch(self._lifeline)

    # --- the loop ---

    def listen(self, *kinds: type[Message]) -> None:
        self.bus.listen(*kinds)

    def watch(self, watcher: Callable[[Message, int], None]) -> None:
        """Show it each message that is received or published here, and when that was sent."""
        self._watchers.append(watcher)

    def messages(self, idle_s: float = 0.25) -> Iterator[Received | None]:
        """Messages until the service is told to stop; None whenever ``idle_s`` passed without one."""
        while self.running:
            yield self.receive(idle_s)

    def receive(self, timeout_s: float = 0.0) -> Received | None:
        """The next message, or None. Feeds the heartbeat; ends the service when its starter is gone."""
        self._beat()
        received = self.bus.receive(min(timeout_s, BEAT_S))
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        if self.running and self._lifeline is not None and cut(self._lifeline):
            log.warning("the supervisor is gone; stopping")
            self.running = False
        if received is not None:
            self._show(received.message, received.stamp.sent_at)
        return received

    def wake(self) -> None:
        """Let a waiting ``receive`` return at once; may be called from a thread or a signal handler."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"\0")

    def stop(self, *_: Any) -> None:
        self.running = False
        self.wake()

    def publish(self, message: Message, payload: Any = None, *, once: bool = False) -> None:
        self.bus.publish(message, payload, once=once)
        self._show(message, self.clock())

    def _show(self, message: Message, sent_at: int) -> None:
        for watcher in self._watchers:
            watcher(message, sent_at)

    # --- how it is ---

    def ready(self, detail: str = "") -> None:
        """Say that work can begin; ``detail`` tells with what (the engines that were found)."""
        self.ready_detail = detail
        self.well()
        self._notifier.tell(READY=1)

    def well(self) -> None:
        """All is as it should be (again)."""
        self.be("ready", self.ready_detail)

    def trouble(self, about: str, detail: str) -> None:
        """What is wrong with one thing, until "" says that it no longer is; health shows all that is. For a service
        that says nothing by ``be`` while it works."""
        if detail == self._troubles.get(about, ""):
            return
        if detail:
            self._troubles[about] = detail
        else:
            del self._troubles[about]
        if self._troubles:
            self.be("degraded", "; ".join(self._troubles.values()))
        else:
            self.well()

    def be(self, state: Literal["starting", "ready", "degraded", "stopping"], detail: str = "") -> None:
        """Change what health shows; at once, not at the next beat."""
        if (state, detail) != (self._state, self._detail):
            self._state, self._detail, self._beat_at = state, detail, 0.0
            self._notifier.tell(STATUS=f"{state}: {detail}" if detail else state)
            self._beat()

    @property
    def health(self) -> Heartbeat:
        """How this service is, without the figures of its process."""
        return Heartbeat(state=self._state, detail=self._detail, figures=dict(self.figures))

    def busy(self, what: str, at_most_s: float) -> None:
        """Announce a call that will not return to the loop for a while (loading a model, a long inference)."""
        self._notifier.busy(what, at_most_s)

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beat_at < BEAT_S:
            return
        self._beat_at = now
        self.publish(self.beat)
        self._notifier.alive()

    @property
    def beat(self) -> Heartbeat:
        """How this service is, with the figures of its process."""
        wire = self.bus.wire
        usage = resource.getrusage(resource.RUSAGE_SELF)
        told = self.health
        figures = {
            **told.figures,
            "pid": os.getpid(),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "bus_gaps": wire.gaps,
            "bus_refused": sum(wire.refused.values()),
        }
        return msgspec.structs.replace(told, figures=figures)

    # --- mute ---

    @property
    def muted(self) -> bool:
        """Was this service's device muted? Written down, so that a process that is killed comes back muted."""
        return (self.bus.runtime / f"{self.name}.{MUTED}").exists()

    def mute(self, muted: bool) -> None:
        mark = self.bus.runtime / f"{self.name}.{MUTED}"
        mark.touch() if muted else mark.unlink(missing_ok=True)

    def close(self) -> None:
        self.be("stopping")
        self.bus.close()


def hand_over(runtime: Path, state: Path, resolved: Mapping[str, Any]) -> None:
    """Make a daemon's two directories, and write its settings where the services read them."""
    for folder in (runtime, state):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = runtime / RESOLVED
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(resolved), indent=1))


def sweep(runtime: Path) -> None:
    """Remove what a supervisor that was killed left behind, unless a new one has taken over."""
    with contextlib.suppress(Held, FileNotFoundError):
        lock = Lock(runtime / SUPERVISOR_LOCK)
        (runtime / RESOLVED).unlink(missing_ok=True)
        for mark in runtime.glob(f"*.{MUTED}"):
            mark.unlink(missing_ok=True)
        for board in runtime.glob(f"{SIMULATED}*"):
            shutil.rmtree(board, ignore_errors=True)
        lock.release()


# --- starting one: ``python -m assistant.services NAME`` ---------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Run one service until it is told to stop. Exit codes: 0 told to, 78 settings or models are not in order."""
    parser = argparse.ArgumentParser(prog="python -m assistant.services", description="Run one service.")
    parser.add_argument("name")
    parser.add_argument("--settings", type=Path, required=True, help="the resolved settings (JSON)")
    parser.add_argument("--runtime", type=Path, required=True, help="directory of the sockets")
    parser.add_argument("--state", type=Path, required=True, help="directory for what outlives the process")
    parser.add_argument("--module", help="what to import instead of assistant.services.NAME (a stand-in for a test)")
    asked = parser.parse_args(arguments)
    faulthandler.enable()
    starter = lifeline()
    if starter is not None:
        mine = [asked.runtime / f"{asked.name}.{suffix}" for suffix in (*SIDES, "lock")]
        last_resort(starter, ORPHAN_S, mine)
    try:
        return _start(asked, Notifier())
    finally:
        if starter is not None and cut(starter):
            sweep(asked.runtime)


def _start(asked: argparse.Namespace, notifier: Notifier) -> int:
    try:
        module = importlib.import_module(asked.module or f"assistant.services.{asked.name}")
        everything = msgspec.json.decode(asked.settings.read_bytes(), type=dict[str, Any])
        kind: type[Settings] = module.Settings
        settings = from_resolved(everything, asked.name, kind)
        chosen = everything.get("log", {})
        logs(chosen.get("level", "info"), asked.name, chosen.get("format", "text"))
        bus = Bus(asked.runtime, asked.name)
    except (ConfigError, BusError, OSError, ImportError, msgspec.DecodeError) as error:
        return _give_up(asked.name, notifier, error, EXIT_CONFIG)
    except Held as error:  # the other one may be on its way out: trying again can help
        return _give_up(asked.name, notifier, error, 1)
    return _run(module, settings, Service(bus, notifier, asked.state), notifier)


def _run(module: ModuleType, settings: Settings, service: Service, notifier: Notifier) -> int:
    signal.signal(signal.SIGTERM, service.stop)
    signal.signal(signal.SIGINT, service.stop)
    failure: Exception | None = None
    try:
        module.run(service, settings)
    except Unfit as error:
        failure = error
    except Exception as error:
        log.exception("failed")
        failure = error
    finally:
        service.close()  # before the failure is told: of all that is told, the last status is the one that is shown
    if failure is None:
        return 0
    return _give_up(service.name, notifier, failure, EXIT_CONFIG if isinstance(failure, Unfit) else 1)


def _give_up(name: str, notifier: Notifier, error: Exception, code: int) -> int:
    print(f"{name}: {error}", file=sys.stderr)
    notifier.tell(STATUS=f"failed: {error}")
    return code


def logs(level: str, name: str, style: Format = "text") -> None:
    """Log lines of one process, on stderr; see assistant.journal."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(style, name, to_the_journal(sys.stderr)))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
