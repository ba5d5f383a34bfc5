"""The language model works in a thread of its own: whatever it does, and however long, the bus is looked at meanwhile.

One run (a prompt to be computed, a reply) after the other, in the order in which they were begun. A run that is closed
ends between two events, as its generator would; what comes after it waits for that, and nobody else does.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator

import msgspec

from assistant.journal import about
from assistant.messages import NpuCost, Turn, Usage
from pipelines import llm


class Happened(msgspec.Struct, frozen=True):
    """What a run gave."""

    event: llm.Event | None  # None: it ended, or failed with ``error``
    at: int  # CLOCK_MONOTONIC ns
    engine_ms: float  # in the model since the event before
    error: Exception | None = None


class Run:
    """``take`` what happened, until ``over``; or ``close`` it, or ``leave`` it where it is."""

    def __init__(
        self, events: Generator[llm.Event, None, None], wake: Callable[[], None], turn: Turn | None = None
    ) -> None:
        """``turn``: that it is for, as its log lines have it."""
        self._events, self._wake, self._turn = events, wake, turn
        self._happened: deque[Happened] = deque()
        self._closed = self.left = self.over = False
        self._seen: llm.Event | None = None
        self.progress_at = self.began_at = time.monotonic_ns()  # something came that was not just the same again

    @property
    def waiting(self) -> bool:
        """Is there something to take?"""
        return bool(self._happened)

    def take(self) -> Happened | None:
        """What happened next. The last one has no event."""
        if not self._happened:
            return None
        happened = self._happened.popleft()
        self.over = happened.event is None
        if not _same(happened.event, self._seen):
            self._seen, self.progress_at = happened.event, happened.at
        return happened

    def close(self) -> None:
        """It need not go on; nothing more comes of it."""
        self._closed = True
        self._happened.clear()

    def leave(self) -> None:
        """It need not go on now; what it has given may still be taken, up to its end."""
        self.left = True

    def work(self) -> None:
        """In the thread."""
        with about(self._turn):
            self._work()

    def _work(self) -> None:
        began, error = time.perf_counter(), None
        try:
            while not (self._closed or self.left):
                event = next(self._events, None)
                if event is None:
                    break
                now = time.perf_counter()
                self._tell(Happened(event, time.monotonic_ns(), (now - began) * 1000))
                began = time.perf_counter()
            self._events.close()
        except Exception as problem:  # an EngineError is answered for, any other one ends the service
            error = problem
        self._tell(Happened(None, time.monotonic_ns(), (time.perf_counter() - began) * 1000, error))

    def _tell(self, happened: Happened) -> None:
        if not self._closed:
            self._happened.append(happened)
            self._wake()


class Thinker:
    """The thread. It ends with the process at the latest: a model that never returns does not keep that."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._runs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def begin(self, events: Generator[llm.Event, None, None], turn: Turn | None = None) -> Run:
        run = Run(events, self._wake, turn)
        self._runs.put(run)
        return run

    def close(self, patience_s: float) -> None:
        """Let the thread end after the runs that were begun: a process that leaves with a library still at work may
        crash on its way."""
        self._runs.put(None)
        self._thread.join(patience_s)

    def _work(self) -> None:
        while (run := self._runs.get()) is not None:
            run.work()


def _same(one: llm.Event | None, other: llm.Event | None) -> bool:
    """Does a prompt stand where it stood?"""
    if not isinstance(one, llm.Prefilled) or not isinstance(other, llm.Prefilled):
        return False
    return (one.done, one.total) == (other.done, other.total)  # whatever waiting for the NPU has cost meanwhile


def usage_of(ended: llm.Ended) -> Usage:
    """What a reply cost, as its model told it at the end."""
    cost = ended.npu
    return Usage(
        prompt_tokens=ended.prompt_tokens,
        cached_tokens=ended.cached_tokens,
        completion_tokens=ended.completion_tokens,
        prefill_ms=ended.prefill_ms,
        decode_ms=ended.decode_ms,
        memory_mb=ended.memory_mb,
        npu=None if cost is None else NpuCost(cost.wait_ms, cost.hold_ms, cost.behind),
    )
