"""A handle's life: one thing at a time on it, aborts at any time, no callback without its owner, destroyed once."""

import contextlib
import ctypes
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from pipelines.llm._librkllm_abi import CONTINUE, PAUSE, RUN_ERROR, RUN_FINISH, Abi
from pipelines.llm._librkllm_library import Library
from pipelines.llm._librkllm_types import Answer, Busy, Figures, RkllmError, Sink, Utf8Joiner

log = logging.getLogger(__name__)

EXIT_PATIENCE = 2.0  # seconds that a leaving process waits for a run to see its abort


class Call:
    """One run, as its callbacks see it."""

    def __init__(self, sink: Sink, pausable: bool) -> None:
        self._sink, self._pausable = sink, pausable
        self._joiner = Utf8Joiner()
        self._figures: Figures | None = None
        self._began = self._last = time.perf_counter()
        self._first, self._count = 0.0, 0
        self.paused = self.erred = False
        self.failure: BaseException | None = None

    def take(self, result: Any, state: int) -> int:
        """What C called back with; never raises. Gives what the callback returns."""
        try:
            return self._take(result, state)
        except BaseException as error:  # raised later, from run(): nothing may be raised into C
            self.failure = self.failure or error
            return CONTINUE

    def _take(self, result: Any, state: int) -> int:
        if state == RUN_ERROR:
            self.erred = True
        elif state == RUN_FINISH:
            self._figures = _perf(result.contents) if result else None
        elif result:
            return self._piece(result.contents.text or b"", int(result.contents.token_id))
        return CONTINUE

    def _piece(self, piece: bytes, token: int) -> int:
        self._last = time.perf_counter()
        self._first = self._first or self._last
        self._count += 1
        if self._sink(self._joiner.feed(piece), token) is Answer.PAUSE:
            if not self._pausable:
                raise RkllmError("a run is paused only if it was started with pausable")
            self.paused = True
            return PAUSE
        return CONTINUE

    def end(self) -> None:
        """Delivers a character that was never completed. Raises what the sink raised, now or before."""
        if self.failure is None and (rest := self._joiner.rest()):
            self._sink(rest, -1)
        if self.failure is not None:
            raise self.failure

    def figures(self) -> Figures:
        first = self._first or self._last
        return self._figures or Figures(
            prefill_ms=(first - self._began) * 1000,
            prefill_tokens=-1,
            decode_ms=(self._last - first) * 1000,
            decode_tokens=self._count,
            measured=True,
        )


def _perf(result: Any) -> Figures | None:
    perf = getattr(result, "perf", None)
    return perf and Figures(
        prefill_ms=perf.prefill_time_ms,
        prefill_tokens=perf.prefill_tokens,
        decode_ms=perf.generate_time_ms,
        decode_tokens=perf.generate_tokens,
        memory_mb=perf.memory_usage_mb,
    )


class Life:
    """Shared by a session and its finalizer, so that leaving the process in any ordinary way destroys the model."""

    def __init__(self, library: Library, param: Any) -> None:
        """``param``: the RKLLMParam of init, whose strings live as long as the handle."""
        self._library, self._param = library, param
        self._lock = threading.Lock()
        self._busy = self._aborted = self._alive = False
        self._again: threading.Thread | None = None
        self._inside = 0  # the thread that is in a callback
        self._call: Call | None = None
        self.handle = ctypes.c_void_p()
        self.callback = _callback(library.abi, self)
        if hasattr(library.abi, "RKLLMCallback"):
            self.callbacks = library.abi.RKLLMCallback(result_callback=self.callback)
        library.keep(self)

    def born(self, well: bool) -> None:
        self._alive = well
        if not well:
            self._library.let_go(self)

    @contextlib.contextmanager
    def exclusive(self, call: Call | None = None) -> Iterator[None]:
        """Nothing else is done with the handle inside; with a ``call`` it is a run. Raises Busy, or when destroyed."""
        with self._lock:
            self._check()
            self._busy, self._aborted, self._call = True, False, call
        try:
            yield
        finally:
            if self._again is not None:
                self._again.join()  # its abort must not meet the next run
                self._again = None
            with self._lock:
                self._busy, self._call = False, None

    def _check(self) -> None:
        if not self._alive:
            raise RkllmError("this model was closed")
        if self._busy:
            raise Busy("a run is under way on this model; abort it, or wait for its end")

    @property
    def aborted(self) -> bool:
        """Whether the latest run was to be aborted."""
        return self._aborted

    def abort(self) -> bool:
        with self._lock:
            if self._call is None or not self._alive:
                return False
            self._aborted = True
            if threading.get_ident() != self._inside:  # a sink's own abort is passed on with the next piece
                self._library.rkllm_abort(self.handle)
            return True

    def take(self, result: Any, state: int) -> int:
        call = self._call
        if call is None:
            return CONTINUE
        if state not in (RUN_ERROR, RUN_FINISH) and (self._aborted or call.failure is not None):
            self._abort_again()
            return CONTINUE
        self._inside = threading.get_ident()
        try:
            return call.take(result, state)
        finally:
            self._inside = 0

    def _abort_again(self) -> None:
        """An abort that came before the run had begun in C was lost, and a sink may have failed: say so once more. On
        another thread: nothing is known of aborts from inside a callback."""
        if self._again is None:
            self._again = threading.Thread(target=self._library.rkllm_abort, args=(self.handle,), daemon=True)
            self._again.start()

    def destroy(self, patience: float) -> bool:
        """Aborts what runs, waits for it, destroys the handle. False where it still ran after ``patience`` seconds."""
        until = time.monotonic() + patience
        while True:
            self.abort()
            with self._lock:
                if not self._busy:
                    return self._destroy()
            if time.monotonic() > until:
                return False
            time.sleep(0.02)

    def _destroy(self) -> bool:
        if self._alive:
            self._alive = False
            if code := self._library.rkllm_destroy(self.handle):
                log.warning("rkllm_destroy gave %d; the NPU's memory may stay taken until this process ends", code)
            self._library.let_go(self)
        return True

    def at_exit(self) -> None:
        self.destroy(EXIT_PATIENCE)


def _callback(abi: Abi, life: Life) -> Any:
    def answer(result: Any, _userdata: Any, state: int) -> int:
        try:
            return life.take(result, state)
        except BaseException:  # out of memory, an interrupt at the worst moment: still nothing is raised into C
            return CONTINUE

    return abi.LLMResultCallback(answer)
