"""Speech synthesis beside the loop: the mouth can fall silent in the middle of a sentence.

What is to be said aloud goes before what programs ask for; an engine does one sentence at a time.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec

from assistant.journal import about
from assistant.messages import ReplySentence, Synthesize, Turn
from pipelines import tts
from pipelines.engine import EngineError


class Piece(msgspec.Struct, frozen=True):
    """Out of the synthesis thread: a chunk of what was asked for, or its end, or why it failed."""

    job: ReplySentence | Synthesize
    number: int  # counts the pieces of the job
    chunk: tts.Chunk | None
    engine_ms: float = 0.0  # from the start of the sentence's synthesis
    error: str = ""


class Synthesis:
    """The engine in a thread of its own. Should the thread die, ``collect`` raises and the process ends."""

    def __init__(self, voice: tts.Voice, wake: Callable[[], None]) -> None:
        self.rate = voice.rate
        self._voice, self._wake = voice, wake
        self._changed = threading.Condition()
        self._aloud: deque[ReplySentence] = deque()
        self._asked: deque[Synthesize] = deque()
        self._pieces: deque[Piece] = deque()
        self._unwanted: set[Turn] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="synthesis", daemon=True)
        self._thread.start()

    def begin(self, job: ReplySentence | Synthesize) -> None:
        with self._changed:
            self._aloud.append(job) if isinstance(job, ReplySentence) else self._asked.append(job)
            self._changed.notify()

    def cancel(self, turn: Turn) -> None:
        """Synthesise nothing more of this turn."""
        self._unwanted.add(turn)

    def collect(self) -> list[Piece]:
        pieces = []
        while self._pieces:
            pieces.append(self._pieces.popleft())
        if not pieces and not self._thread.is_alive():
            raise RuntimeError("the synthesis thread died")
        return pieces

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=1.0)

    def _next(self) -> ReplySentence | Synthesize | None:
        with self._changed:
            while not (self._aloud or self._asked or self._closed):
                self._changed.wait()
            if self._closed:
                return None
            return self._aloud.popleft() if self._aloud else self._asked.popleft()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            error, began, number = "", time.perf_counter(), 0
            turn = job.turn if isinstance(job, ReplySentence) else None
            try:
                with about(turn):
                    for chunk in self._voice.speak(job.text, job.language):
                        if turn in self._unwanted:
                            break
                        self._put(Piece(job, number, chunk, (time.perf_counter() - began) * 1000))
                        number += 1
            except EngineError as problem:
                error = str(problem)
            self._put(Piece(job, number, None, error=error))

    def _put(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._wake()
