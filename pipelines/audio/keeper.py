"""Keeps a sound device open: opens it, notices that it is lost, opens it or another again, with back-off.

All of that runs in a thread of its own: opening takes its time, and a sound server that is stuck holds up whoever calls
it. What happened is fetched as news by the one who uses the stream; the device's own loss never reaches it as an error.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from pipelines.audio import AudioError
from pipelines.audio.backoff import Backoff
from pipelines.audio.devices import Device, Kind, devices, find

log = logging.getLogger(__name__)

TICK_S = 0.25  # between looks at whether the device's thread still calls
QUIET_TICKS = 6  # without a call: counted, not timed, so that a process that was stopped does not blame the device
AGAIN_S = 10.0  # on another device than the wanted one: how often to try that again, when nothing plays


class Stream(Protocol):
    """What is kept open."""

    calls: int  # counts up while the device lives
    finished: threading.Event  # it stopped by itself

    def tend(self) -> None: ...

    def close(self) -> None: ...


S = TypeVar("S", bound=Stream)


class Opened(Generic[S]):
    """A device is open. ``instead``: why it is not the wanted one; "" if it is."""

    def __init__(self, stream: S, name: str, instead: str) -> None:
        self.stream, self.name, self.instead = stream, name, instead


class Closed:
    """The stream must not be used any more; another attempt is under way. ``why``: "" if nothing was lost."""

    def __init__(self, why: str) -> None:
        self.why = why


class Lost:
    """No device can be opened; it will be tried again."""

    def __init__(self, why: str) -> None:
        self.why = why


class Keeper(Generic[S]):
    """``names`` are parts of device names, the wanted one first; ``make`` opens one and is given what it should call
    when its stream finishes or wants tending; ``news_here`` is called, from the keeper's thread, when there are news;
    ``idle`` says whether a fallback may be given up for a moment."""

    def __init__(
        self,
        kind: Kind,
        names: Sequence[str],
        make: Callable[[Device, Callable[[], None]], S],
        news_here: Callable[[], None] = lambda: None,
        idle: Callable[[], bool] = lambda: True,
        backoff: Backoff | None = None,
    ) -> None:
        self._kind, self._names, self._make, self._idle = kind, tuple(names), make, idle
        self._news_here, self._backoff = news_here, backoff or Backoff()
        self._news: queue.SimpleQueue[Opened[S] | Closed | Lost] = queue.SimpleQueue()
        self._first = threading.Event()
        self._alarm = threading.Event()
        self._running = True
        self._thread = threading.Thread(target=self._work, name=f"{kind} device", daemon=True)
        self._thread.start()

    def await_first(self, timeout_s: float) -> bool:
        """Wait until the first attempt has succeeded or failed; False if it has done neither in time."""
        return self._first.wait(timeout_s)

    def news(self) -> list[Opened[S] | Closed | Lost]:
        """What has happened since the last call. Raises RuntimeError if the thread died."""
        if not self._thread.is_alive() and self._running:
            raise RuntimeError(f"the thread of the {self._kind} device died")
        taken = []
        while not self._news.empty():
            taken.append(self._news.get())
        return taken

    def close(self, timeout_s: float = 2.0) -> bool:
        """Close the device; False if that hangs: a sound server that is stuck, and it is closed when that goes on."""
        self._running = False
        self._alarm.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _tell(self, what: Opened[S] | Closed | Lost) -> None:
        self._news.put(what)
        if not isinstance(what, Closed):
            self._first.set()
        self._news_here()

    def _work(self) -> None:
        while self._running:
            opened = self._open()
            if opened is None:
                self._rest(self._backoff.failed())
                continue
            began = time.monotonic()
            self._tell(opened)
            why = self._watch(opened)
            if self._running:
                self._tell(Closed(why))
            opened.stream.close()
            if why:
                log.warning("%s: %s", opened.name, why)
                self._rest(self._backoff.failed(time.monotonic() - began))

    def _open(self) -> Opened[S] | None:
        """The first of the names that can be opened."""
        problems: dict[str, None] = {}
        for name in self._names:
            try:
                device = find(devices(fresh=True), name, self._kind)
                return Opened(self._make(device, self._alarm.set), device.name, "; ".join(problems))
            except AudioError as error:
                problems[str(error)] = None
        self._tell(Lost("; ".join(problems)))
        return None

    def _watch(self, opened: Opened[S]) -> str:
        """Return when the stream is to be closed: why the device is lost, or "" if it is not."""
        stream, calls, quiet, began = opened.stream, -1, 0, time.monotonic()
        while self._running:
            ticked = not self._alarm.wait(TICK_S)
            self._alarm.clear()
            stream.tend()
            if stream.finished.is_set():
                return "the device has stopped: it was unplugged, or the sound server ended"
            if ticked:
                quiet, calls = (quiet + 1 if stream.calls == calls else 0), stream.calls
            if quiet >= QUIET_TICKS:
                return f"the device has not moved for {QUIET_TICKS * TICK_S:g} s"
            if opened.instead and time.monotonic() - began > AGAIN_S and self._idle():
                return ""
        return ""

    def _rest(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._running and (left := deadline - time.monotonic()) > 0:
            self._alarm.wait(left)
            self._alarm.clear()
