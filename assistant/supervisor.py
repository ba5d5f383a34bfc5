"""Starts the services of a profile in the foreground (on a board systemd does this instead).

All are started at once and awaited until they say ready; one that dies or falls silent is restarted with back-off; one
that dies too often, or says that its settings are not in order, stops everything.
"""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from assistant.bus import SIDES
from assistant.config import Settings
from assistant.core.restarts import Restarts
from assistant.lock import Lock, holder
from assistant.messages import SERVICES
from assistant.notify import Notifier, cut, lifeline
from assistant.nursery import Child, Nursery
from assistant.service import EXIT_CONFIG, MUTED, ORPHAN_S, RESOLVED, SUPERVISOR_LOCK, hand_over

log = logging.getLogger(__name__)

# All load at the same time. What answers a typed question goes first, then what hears one, last what sees.
START_ORDER = ("dialogue", "speaker", "microphone", "camera", "vision", "gateway")
# The door, ears and eyes first, so that nothing new begins; the mouth last, so that it can finish its last block.
STOP_ORDER = ("gateway", "microphone", "camera", "dialogue", "vision", "speaker")

# Spoken dialogue goes on without it: that it dies often stops nothing, and nothing waits for it to come back.
DISPENSABLE = ("gateway",)

IMPORTING_S = 60.0  # until a new process says otherwise it is importing
STALLED_S = 1.0  # this process itself was stopped, or its machine paused


class Supervision(Settings, frozen=True, kw_only=True):
    """Section [supervisor]."""

    services: tuple[str, ...] = SERVICES
    watchdog_s: float = 20.0  # a service silent for longer is killed and restarted
    restarts: int = 5  # at most this many of one service …
    restart_window_s: float = 60.0  # … within this time, then everything stops
    stop_patience_s: float = 3.0


class Supervisor:
    """``run`` returns an exit code: 0 asked to stop, 1 a service died too often, 78 settings are not in order."""

    def __init__(
        self,
        settings: Supervision,
        resolved: Mapping[str, Any],
        runtime: Path,
        state: Path,
        say: Callable[[str], None],
        modules: Mapping[str, str] | None = None,
    ) -> None:
        """``modules``: what is imported instead of assistant.services.NAME."""
        self._settings, self._resolved, self._say, self._modules = settings, resolved, say, modules or {}
        self._runtime, self._state = runtime, state
        self._notifier = Notifier()
        self._nursery = Nursery()
        self._policies = {n: Restarts(settings.restarts, settings.restart_window_s) for n in settings.services}
        self._ready: set[str] = set()
        self._due: dict[str, float] = {}  # service -> when to start it again
        self._silent_after: dict[str, float] = {}
        self._woke_at = time.monotonic()
        self._stopping = False
        self._exit = 0
        self._lifeline = lifeline()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Raises Held where another supervisor, or a service that is none of ours, uses the runtime directory."""
        self._hear_signals()
        self._runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as undo:
            undo.callback(self._nursery.close)
            # A service that lost its supervisor takes this lock for a moment, to remove what was left.
            undo.callback(Lock(self._runtime / SUPERVISOR_LOCK, patience_s=0.2).release)
            self._await_orphans()
            undo.callback(self._clean)
            undo.callback(self._stop_all)
            self._clean()
            hand_over(self._runtime, self._state, self._resolved)
            self._watch_over()
        return self._exit

    def stop(self, *_: Any) -> None:
        self._stopping = True

    def _watch_over(self) -> None:
        began, told = time.monotonic(), "ready in {:.1f} s"
        services = self._settings.services
        for name in sorted(
            services, key=lambda name: START_ORDER.index(name) if name in START_ORDER else len(services)
        ):
            self._start(name)
        while not self._stopping:
            was_ready = self._all_ready
            self._step()
            if not was_ready and self._all_ready and not self._stopping:
                self._say(told.format(time.monotonic() - began))
                self._notifier.tell(READY=1, STATUS="ready")
                told = "ready again"

    @property
    def _all_ready(self) -> bool:
        return all(
            name in self._ready or (name in DISPENSABLE and name in self._due) for name in self._settings.services
        )

    def _await_orphans(self) -> None:
        """Services of a supervisor that was killed end by themselves; until then their names are taken."""
        deadline = time.monotonic() + ORPHAN_S + 1.0
        for name in SERVICES:
            Lock(self._runtime / f"{name}.lock", patience_s=max(0.0, deadline - time.monotonic())).release()

    def _hear_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._nursery.watch(self._wake_read)
        if self._lifeline is not None:
            self._nursery.watch(self._lifeline)

    def _start(self, name: str) -> None:
        command = [sys.executable, "-m", "assistant.services", name]
        command += ["--settings", str(self._runtime / RESOLVED), "--runtime", str(self._runtime)]
        command += ["--state", str(self._state)]
        command += ["--module", self._modules[name]] if name in self._modules else []
        self._nursery.start(name, command)
        self._silent_after[name] = time.monotonic() + IMPORTING_S

    def _step(self) -> None:
        timeout = min([0.5, *(max(0.0, due - time.monotonic()) for due in self._due.values())])
        for child, fields in self._nursery.wait(timeout):
            self._note(child, fields)
        before, self._woke_at = self._woke_at, time.monotonic()
        now = self._woke_at
        if now - before > timeout + STALLED_S:  # whoever stopped us may have stopped them as well
            patience = now + self._settings.watchdog_s
            self._silent_after = {name: max(after, patience) for name, after in self._silent_after.items()}
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        if self._lifeline is not None and cut(self._lifeline):
            self._stopping = True
        for name in [name for name, due in self._due.items() if due <= now]:
            del self._due[name]
            self._start(name)
        for name, child in list(self._nursery.children.items()):
            if child.process.poll() is not None:
                self._died(child, now)
            elif now > self._silent_after[name]:
                log.error("%s fell silent (%s); it is killed", name, child.status or "no status")
                child.process.kill()
                self._silent_after[name] = now + 5.0

    def _note(self, child: Child, fields: Mapping[str, str]) -> None:
        microseconds = fields.get("EXTEND_TIMEOUT_USEC", "0")
        extra = int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0
        if "WATCHDOG" in fields or extra:
            self._silent_after[child.name] = time.monotonic() + self._settings.watchdog_s + extra
        status = fields.get("STATUS", "")
        if status.startswith("degraded: "):
            self._say(f"{child.name}: {status[10:]}")
        elif status.startswith("ready") and child.name not in self._ready:
            self._say(f"{child.name}: {status}")
        if "READY" in fields:
            self._ready.add(child.name)

    def _died(self, child: Child, now: float) -> None:
        child.news()
        code = child.process.returncode
        self._ready.discard(child.name)
        self._nursery.forget(child.name)
        why = f"signal {-code}" if code < 0 else f"exit {code}"
        if child.status.startswith("failed: "):
            why = child.status[8:]
        wait = None if code == EXIT_CONFIG else self._policies[child.name].died(now)
        if wait is None and code != EXIT_CONFIG and child.name in DISPENSABLE:
            self._say(f"{child.name}: {why}; it is tried again in {self._settings.restart_window_s:g} s")
            wait = self._settings.restart_window_s
        if wait is None:
            cannot = "cannot work" if code == EXIT_CONFIG else f"died {self._settings.restarts + 1} times"
            message = f"{child.name} {cannot}: {why}"
            self._say(message)
            self._notifier.tell(STATUS=f"failed: {message}")
            self._exit = EXIT_CONFIG if code == EXIT_CONFIG else 1
            self._stopping = True
            return
        log.warning("%s died (%s); starting it again", child.name, why)
        self._due[child.name] = now + wait

    def _stop_all(self) -> None:
        order = [name for name in STOP_ORDER if name in self._nursery.children]
        order += [name for name in self._nursery.children if name not in order]
        for name in order:
            self._nursery.stop(name, self._settings.stop_patience_s)

    def _clean(self) -> None:
        """Remove what a service that was killed left behind; the supervisor's lock says that none is running."""
        for name in SERVICES:
            for suffix in (*SIDES, "lock", MUTED):
                (self._runtime / f"{name}.{suffix}").unlink(missing_ok=True)
        (self._runtime / RESOLVED).unlink(missing_ok=True)


def children_of(services: Sequence[str], runtime: Path) -> dict[str, int]:
    """The process ids of the services that run in a runtime directory."""
    pids = {name: holder(runtime / f"{name}.lock") for name in services}
    return {name: pid for name, pid in pids.items() if pid is not None}
