"""One stream of sound while a reply is given: who speaks over it, softly at first, and what they have said so far.

Nothing is told of a candidate but that the speaker should play softly, until it is known to be an interruption: then
its sound from the onset on is handed over, less what was the assistant's own voice.
"""

import logging
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from assistant.core.bargein import MS, Candidate, Confirmed, Dismissed, Event, Paused
from assistant.core.levels import Levels
from assistant.core.overhearing import Overhearing, Settings
from assistant.journal import of
from assistant.messages import LIVE, Duck, SpeechDropped, Turn
from assistant.scribe import Dictation, Guessed, Partial, Said, Scribe
from assistant.service import Service

log = logging.getLogger(__name__)

PCM = NDArray[np.int16]
Frames = list[tuple[int, PCM]]  # (when it begins in ns, int16 at 16 kHz)


class Interrupting:
    """``take_over`` is given what interrupts, and its sound so far with the pre-roll."""

    def __init__(
        self, service: Service, scribe: Scribe, settings: Settings, take_over: Callable[[Confirmed, Frames], None]
    ) -> None:
        self._service, self._scribe, self._take_over = service, scribe, take_over
        self._over = Overhearing(settings)
        self._roll_ns = (settings.speech.most_ms + settings.speech.window_ms) * MS
        self._recent: deque[tuple[int, PCM]] = deque()
        self._candidate: Candidate | None = None
        self._dictation: Dictation | None = None
        self._guess = 0  # number of the newest
        self._stream = ""
        self._soft = False  # the speaker was told to play softly

    @property
    def too_strong(self) -> bool:
        """Whether the reply is so loud in this stream that nobody can be told from it."""
        return self._over.guard.too_strong

    @property
    def leak_db(self) -> float:
        return self._over.guard.estimate.leak_db

    def played(self, at: int, levels: Levels) -> None:
        """What left for the ear from ``at`` (ns) on."""
        self._over.guard.played(at, levels)

    def frame(self, at: int, length: int, pcm: PCM, speech: bool, decide: bool, hold: bool, stream: str) -> bool:
        """The next frame, as for ``Overhearing.frame``; True if it may hold the user's speech, and not only echo."""
        self._stream = stream
        self._recent.append((at, pcm))
        begins = at - self._roll_ns if self._candidate is None else self._candidate.audio_from
        while self._recent[0][0] < begins - length:
            self._recent.popleft()
        listening = self._candidate
        self._handle(self._over.frame(at, length, pcm, speech, decide, hold))
        if listening is not None and listening is self._candidate and self._dictation is not None:
            self._dictation.feed(self._over.clean(at, pcm, listening.at))
        return not self._over.echoes(at)

    def clean(self, at: int, pcm: PCM, onset: int) -> PCM:
        """The frame that began at ``at``, as the recognizer is to hear it, if somebody began to speak at ``onset``."""
        return self._over.clean(at, pcm, onset)

    def over(self) -> None:
        """The reply is over by itself."""
        self._over.guard.over()
        self._handle(self._over.decider.over())

    def drop(self) -> None:
        """Something else ended the reply, or took the microphone."""
        self._duck(False)
        self._over.guard.over()
        self._over.decider.drop()
        self._forget()

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            log.debug("%s; %s", event, self._over.guard.estimate, extra=of(Turn(LIVE, event.at)))
            match event:
                case Candidate():
                    self._begin(event)
                case Paused():
                    self._duck(False)
                    self._guess += 1
                    if self._dictation is not None:
                        self._dictation.guess(self._guess)
                case Confirmed(at=at):
                    self._over.guard.over()
                    frames = self._clean(at)
                    self._forget()
                    self._soft = False  # the Interrupt that follows says all
                    self._take_over(event, frames)
                case Dismissed(at=at, last=last, why=why):
                    self._duck(False)
                    self._forget()
                    turn = Turn(LIVE, at)
                    self._service.publish(SpeechDropped(turn=turn, stream=self._stream, why=why, last_sample_at=last))

    def _begin(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._duck(True)
        self._dictation = self._scribe.dictate(self._said, Turn(LIVE, candidate.at))
        for _, pcm in self._clean(candidate.at):
            self._dictation.feed(pcm)

    def _duck(self, on: bool) -> None:
        if on != self._soft:
            self._soft = on
            self._service.publish(Duck(on=on, at=self._service.clock()))

    def _said(self, said: Said) -> None:
        match said:
            case Partial(text=text):
                self._handle(self._over.words(text, final=False))
            case Guessed(number=number, result=result) if number == self._guess and result is not None:
                self._handle(self._over.words(result.text, final=True))

    def _clean(self, onset: int) -> Frames:
        begins = onset - self._roll_ns if self._candidate is None else self._candidate.audio_from
        return [(at, self._over.clean(at, pcm, onset)) for at, pcm in self._recent if at >= begins]

    def _forget(self) -> None:
        if self._dictation is not None:
            self._dictation.drop()
        self._candidate = self._dictation = None
