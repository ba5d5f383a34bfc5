"""Recognition beside the loop: one thread does all that the recognizer is asked, in order, while the loop listens on.

A recognizer is not safe among threads, and a decoder may hold its thread for seconds: so everything that is asked of it
goes through one queue, from the loading on. Whoever is asked for something newer forgets what it was asked before and
has not begun. Sound that is fed while the recognizer is still being loaded waits in the queue. Beside it another
thread listens to the melody of what is guessed (assistant.melody).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.core.completeness import Completeness
from assistant.journal import about
from assistant.melody import Melody, Weighed
from assistant.messages import Turn
from pipelines import asr, endofturn
from pipelines.engine import EngineError

PCM = NDArray[np.int16]

TAIL = 8 * asr.RATE  # samples at the end of what was said, to whose melody is listened
STUCK_S = 120.0  # a recognizer that takes longer than this, also to load, will not come back


class Partial(msgspec.Struct, frozen=True):
    """What was understood so far, while it is being said."""

    text: str


class Guessed(msgspec.Struct, frozen=True):
    """What was said, if nothing but silence follows; None where the engine is not asked on suspicion, or failed."""

    number: int  # of the guess that was asked for
    result: asr.Recognition | None
    complete: float  # how likely it is by the words that this is all, 0..1


class Final(msgspec.Struct, frozen=True):
    result: asr.Recognition


class Failed(msgspec.Struct, frozen=True):
    """An engine could not; the words are its own. A Guessed or a Final comes all the same."""

    error: str


Said: TypeAlias = Partial | Guessed | Weighed | Final | Failed
Task: TypeAlias = Literal["feed", "guess", "finish"]


class Dictation:
    """One utterance on its way through the thread. All methods return at once."""

    def __init__(
        self, scribe: "Scribe", deliver: Callable[[Said], None], turn: Turn | None, language: str, patient: bool
    ) -> None:
        self._scribe, self.deliver, self.turn = scribe, deliver, turn
        self.language, self.patient = language, patient
        self.void = False
        self.utterance: asr.Utterance | None = None  # the thread's own
        self._tail: deque[PCM] = deque()
        self._tail_samples = 0

    def feed(self, pcm: PCM) -> None:
        """More sound, int16 [samples] at 16 kHz, which nobody changes any more. A Partial may come of it."""
        self._tail.append(pcm)
        self._tail_samples += len(pcm)
        while self._tail_samples - len(self._tail[0]) >= TAIL:
            self._tail_samples -= len(self._tail.popleft())
        self._scribe.ask(self, "feed", pcm)

    def guess(self, number: int) -> None:
        """A Guessed comes of it, unless another one is asked for first."""
        self._scribe.ask(self, "guess", number=number)

    def listen(self, number: int) -> None:
        """A Weighed comes of it, where there is an ear for the melody, unless another one is asked for first."""
        self._scribe.listen(self, number, tuple(self._tail))

    def finish(self) -> None:
        """A Final comes of it; nothing may be fed afterwards."""
        self._scribe.ask(self, "finish")

    def drop(self) -> None:
        """Nothing comes of it any more."""
        self.void = True
        self._scribe.forget(self)


class _Job(msgspec.Struct, eq=False):
    dictation: Dictation
    task: Task
    sound: list[PCM]
    number: int = 0


class Scribe:
    """``recognizer`` is None until it is loaded."""

    def __init__(
        self,
        load: Callable[[], asr.Recognizer],
        completeness: Completeness,
        wake: Callable[[], None],
        languages: Sequence[str] = (),
        stuck_s: float = STUCK_S,
        load_detector: Callable[[], endofturn.Detector | None] = lambda: None,
    ) -> None:
        """``load`` and ``load_detector`` are called in their threads, ``wake`` in either, whenever there is something
        to ``deliver``. ``languages``: what is of another one is refused."""
        self.recognizer: asr.Recognizer | None = None
        self._load, self._completeness, self._wake = load, completeness, wake
        self._languages, self._stuck_s = languages, stuck_s
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._done: deque[tuple[Dictation, Said]] = deque()
        self._error: BaseException | None = None
        self._began: float | None = time.monotonic()  # the task in hand, None while there is none
        self._closed = False
        self.melody = Melody(load_detector, wake)
        threading.Thread(target=self._work, name="recognition", daemon=True).start()

    @property
    def loaded(self) -> bool:
        return self.recognizer is not None and self.melody.loaded

    def dictate(
        self, deliver: Callable[[Said], None], turn: Turn | None = None, language: str = "", patient: bool = False
    ) -> Dictation:
        """Begin an utterance; ``deliver`` is called from ``deliver``. ``turn``: its, as log lines have it.
        ``language``: that it is known to be of. ``patient``: all others go first, and any language will do."""
        return Dictation(self, deliver, turn, language, patient)

    def deliver(self) -> None:
        """Hand over what has come since the last time. Raises what a thread ended of (EngineError where an engine
        cannot be loaded), and TimeoutError for a recognizer that hangs."""
        while self._done:
            dictation, said = self._done.popleft()
            if not dictation.void:
                dictation.deliver(said)
        if (error := self._error or self.melody.error) is not None:
            raise error
        began = self._began
        if began is not None and time.monotonic() - began > self._stuck_s:
            raise TimeoutError(f"speech recognition has not come back for {self._stuck_s:.0f} s")

    def close(self) -> None:
        """The threads end after what they have in hand; they are not waited for."""
        self.melody.close()
        with self._changed:
            self._closed = True
            self._changed.notify()

    # --- of a dictation ---

    def ask(self, dictation: Dictation, task: Task, pcm: PCM | None = None, number: int = 0) -> None:
        with self._changed:
            sound = [] if pcm is None else [pcm]
            last = self._jobs[-1] if self._jobs else None
            if task != "feed":
                self._keep(lambda job: job.dictation is not dictation or job.task == "feed")
            if task == "feed" and last is not None and last.dictation is dictation and last.task == "feed":
                last.sound += sound  # the thread is behind: it takes all at once
            else:
                self._jobs.append(_Job(dictation, task, sound, number))
            self._changed.notify()

    def listen(self, dictation: Dictation, number: int, tail: Sequence[PCM]) -> None:
        def tell(heard: Weighed | EngineError) -> None:
            self._post(dictation, Failed(str(heard)) if isinstance(heard, EngineError) else heard)

        self.melody.listen(number, tail, tell)

    def forget(self, dictation: Dictation) -> None:
        with self._changed:
            self._keep(lambda job: job.dictation is not dictation)

    def _keep(self, wanted: Callable[[_Job], bool]) -> None:
        self._jobs = deque(job for job in self._jobs if wanted(job))

    # --- the thread ---

    def _work(self) -> None:
        try:
            self.recognizer = self._load()
            self._began = None
            self._wake()
            while (job := self._next()) is not None:
                with about(job.dictation.turn):
                    self._do(job)
                self._began = None
        except BaseException as error:  # the loop is told of any, and dies of it as if it were its own
            self._error, self._began = error, None
            self._wake()

    def _next(self) -> _Job | None:
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            self._began = time.monotonic()
            if self._closed:
                return None
            job = next((job for job in self._jobs if not job.dictation.patient), self._jobs[0])
            self._jobs.remove(job)
            return job

    def _do(self, job: _Job) -> None:
        dictation = job.dictation
        if dictation.void:
            return
        said: Said | None
        try:
            if dictation.utterance is None:
                assert self.recognizer is not None
                dictation.utterance = self.recognizer.utterance(dictation.language)
            said = self._said(job, dictation.utterance)
        except EngineError as error:
            self._post(dictation, Failed(str(error)))
            said = _without(job, error)
        if said is not None:
            self._post(dictation, said)

    def _said(self, job: _Job, utterance: asr.Utterance) -> Said | None:
        if job.task == "finish":
            return Final(asr.believed(utterance.finish(), () if job.dictation.patient else self._languages))
        if job.task == "feed":
            text = utterance.feed(np.concatenate(job.sound))
            return Partial(text) if text else None
        result = utterance.so_far()
        if result is None:
            return Guessed(job.number, None, 0.5)
        result = asr.believed(result, self._languages)
        return Guessed(job.number, result, self._completeness(result.text, result.language))

    def _post(self, dictation: Dictation, said: Said) -> None:
        self._done.append((dictation, said))
        self._wake()


def _without(job: _Job, error: EngineError) -> Said | None:
    """What is said where the engine failed."""
    if job.task == "finish":
        return Final(asr.Recognition(refused=f"recognition failed: {error}"))
    return Guessed(job.number, None, 0.5) if job.task == "guess" else None
