"""The melody of speech beside its words: a thread of its own for the detector of the end of turns.

It listens while the recognizer still works out the words of the same pause, so that nobody waits for it. Whoever is
asked for something newer forgets what it was asked before and has not begun.
"""

import threading
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import endofturn
from pipelines.engine import EngineError

PCM = NDArray[np.int16]


class Weighed(msgspec.Struct, frozen=True):
    """How the end of what was said so far sounds."""

    number: int  # that it was asked by
    melody: float  # how likely it is, 0..1, that the speaker is done
    at: int  # ns: when that was known
    engine_ms: float


class Melody:
    """``detector`` is None until it is ``loaded``, and where there is none."""

    def __init__(self, load: Callable[[], endofturn.Detector | None], wake: Callable[[], None]) -> None:
        """Both are called in the thread, ``wake`` when the detector is loaded or cannot be."""
        self.detector: endofturn.Detector | None = None
        self.loaded = False
        self.error: BaseException | None = None  # what the loading ended of
        self._load, self._wake = load, wake
        self._changed = threading.Condition()
        self._asked: tuple[int, Sequence[PCM], Callable[[Weighed | EngineError], None]] | None = None
        self._closed = False
        threading.Thread(target=self._work, name="melody", daemon=True).start()

    def listen(self, number: int, tail: Sequence[PCM], tell: Callable[[Weighed | EngineError], None]) -> None:
        """Listen to the end of what was said so far; ``tell`` is called in the thread. Nothing comes of it without a
        detector, or where something newer is asked first."""
        with self._changed:
            self._asked = (number, tail, tell)
            self._changed.notify()

    def close(self) -> None:
        """The thread ends after what it has in hand; it is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _work(self) -> None:
        try:
            self.detector = self._load()
            self.loaded = True
        except BaseException as error:  # the loop is told of any, and dies of it as if it were its own
            self.error = error
        self._wake()
        while self.detector is not None:
            with self._changed:
                while self._asked is None and not self._closed:
                    self._changed.wait()
                if self._asked is None or self._closed:
                    return
                (number, tail, tell), self._asked = self._asked, None
            tell(_weighed(self.detector, number, tail))


def _weighed(detector: endofturn.Detector, number: int, tail: Sequence[PCM]) -> Weighed | EngineError:
    began = time.monotonic_ns()
    try:
        melody = detector.complete(np.concatenate([np.zeros(0, np.int16), *tail]))
    except EngineError as error:
        return error
    now = time.monotonic_ns()
    return Weighed(number, melody, now, (now - began) / 1e6)
