"""What becomes of one utterance: guessed in each pause, taken back when it goes on, heard when it is over.

A turn's revision counts up with each Guess, and again where speech goes on after what was told; Heard confirms the
Guess that stands, and asks the recognizer only where there is none.
"""

import logging
import time
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.core.completeness import with_melody
from assistant.journal import of
from assistant.melody import Weighed
from assistant.messages import Guess, Heard, Hearing, SpeechDropped, SpeechEnded, SpeechStarted, Turn
from assistant.scribe import Failed, Final, Guessed, Partial, Said, Scribe
from assistant.service import Service
from pipelines import asr

log = logging.getLogger(__name__)

PCM = NDArray[np.int16]
ROLL = 500  # ms of sound before the decision that speech goes on, in which it may have begun
STALE_S = 30.0  # an answer to what was said longer ago than this is of no use to anyone


class House(Protocol):
    """What all streams have in common."""

    def ignored(self) -> str:
        """Why speech that begins now is not for the assistant; "" if it is."""

    def answered(self, turn: Turn) -> bool:
        """Whether a reply to the turn sounds or has sounded, or is over without a sound."""

    def replying(self) -> bool:
        """Whether a reply is under way that speech may interrupt."""

    def interrupt(self, before: int) -> None:
        """The user speaks since ``before``, ns: whatever is being answered is over."""

    def well(self) -> None:
        """Recognition works."""


class Verdict(msgspec.Struct, frozen=True):
    """What the endpointer should know: ``complete`` while the utterance is open, ``heard`` once it is over."""

    complete: float = 0.0
    heard: bool | None = None  # None: not over


class Saying:
    """One utterance, from its onset until nothing can follow it any more."""

    def __init__(
        self,
        service: Service,
        scribe: Scribe,
        house: House,
        turn: Turn,
        stream: str,
        judge: Callable[[Verdict], None],
        read: Callable[[asr.Recognition], asr.Recognition] = lambda result: result,
    ) -> None:
        """``judge`` is called whenever there is something for the endpointer; ``read`` says what of a recognition is
        meant for the assistant."""
        self._read = read
        self.turn, self._stream = turn, stream
        self._service, self._scribe, self._house, self._judge = service, scribe, house, judge
        self._dictation = scribe.dictate(self._said, self.turn)
        self._sound: list[PCM] = []
        self._fed = 0  # of them
        self._guess = 0  # number of the one that stands, or is being made; 0: none
        self._guesses = 0
        self._guessed: asr.Recognition | None = None
        self._words: float | None = None  # how likely it is by them that this is all; None: they are not known yet …
        self._weighed: Weighed | None = None  # … and by its melody
        self._told = False  # a Guess or a Heard of this revision
        self._nonsense = 0  # so much of the sound, with the pause after it, was understood as nothing by itself
        self._heard = asr.Recognition()  # what was told as Heard, before it went on
        self._last_sample_at = 0
        self._over_at: float | None = None  # when the endpoint was decided, s; None while it is open
        self._finishing = self._concluded = self._cut = False
        self._partial = ""
        self._tell(SpeechStarted(turn=turn, stream=stream))

    def feed(self, pcm: PCM) -> None:
        """The next sound, also while it may still be opened again."""
        self._sound.append(pcm)
        if self._over_at is None:
            self._dictation.feed(pcm)
            self._fed = len(self._sound)

    def pause(self, last_sample_at: int) -> None:
        self._last_sample_at = last_sample_at
        self._guesses += 1
        self._guess, self._guessed, self._words, self._weighed = self._guesses, None, None, None
        self._dictation.guess(self._guess)
        self._dictation.listen(self._guess)

    def resume(self) -> None:
        """It goes on, perhaps after it had ended: what was guessed or heard is void."""
        if self._guessed is not None and not self._guessed.text:
            self._nonsense = max(0, len(self._sound) - ROLL * asr.RATE // 1000 // len(self._sound[-1]))
        self._guess, self._guessed, self._words, self._weighed = 0, None, None, None
        self._guesses += 1  # what is still to come of the last one is void
        if self._finishing:
            self._dictation.drop()
            self._dictation, self._fed = self._scribe.dictate(self._said, self.turn), 0
        for pcm in self._sound[self._fed :]:
            self._dictation.feed(pcm)
        self._fed = len(self._sound)
        self._over_at, self._finishing, self._concluded = None, False, False
        if self._told:
            self.turn = msgspec.structs.replace(self.turn, revision=self.turn.revision + 1)
            self._told = False
            self._tell(SpeechStarted(turn=self.turn, stream=self._stream))

    def end(self, last_sample_at: int, why: Literal["silence", "released", "too long"]) -> None:
        """The endpoint is decided. A guess that stands is what was said: there was nothing but silence after it."""
        self._last_sample_at, self._over_at = last_sample_at, time.perf_counter()
        self._cut = why == "too long"
        ended = SpeechEnded(turn=self.turn, stream=self._stream, last_sample_at=last_sample_at, why=why)
        if (known := self._weighed) is not None:
            ended = msgspec.structs.replace(ended, detector_at=known.at, detector_ms=known.engine_ms)
        self._tell(ended)
        if self._guess and self._guessed is not None:
            self._conclude(self._guessed)
        elif not self._guess:
            self._finish()

    def drop(self, why: str, last_sample_at: int = 0) -> None:
        """Nothing comes of it, unless it was heard already."""
        self._dictation.drop()
        if not self._concluded:
            self._concluded = True
            last = last_sample_at or self._last_sample_at
            self._tell(SpeechDropped(turn=self.turn, stream=self._stream, why=why, last_sample_at=last))

    # --- what the recognizer says ---

    def _said(self, said: Said) -> None:
        match said:
            case Partial(text=text) if text != self._partial and self._over_at is None:
                self._partial = text
                self._tell(Hearing(turn=self.turn, text=text))
            case Guessed(number=number) if number == self._guess and not self._concluded:
                self._take(said)
            case Weighed(number=number) if number == self._guesses and self._over_at is None:
                self._weighed = said
                self._judge(Verdict(complete=self._complete()))
            case Final(result=result):
                self._conclude(self._read(result))
            case Failed(error=error):
                log.error("listening failed: %s", error, extra=of(self.turn))
                self._service.be("degraded", error)

    def _take(self, guess: Guessed) -> None:
        result = None if guess.result is None else self._read(guess.result)
        self._guessed = result
        if result is None:
            self._guess = 0
            if self._over_at is not None:
                self._finish()
        elif self._over_at is not None:
            self._conclude(result)
        else:
            self._words = guess.complete
            if result.text:
                self._publish_guess(result, self._complete())
            self._judge(Verdict(complete=self._complete()))

    def _complete(self) -> float:
        """How likely it is that this is all, by what is known of it."""
        return with_melody(self._words, self._weighed.melody if self._weighed is not None else None)

    def _publish_guess(self, result: asr.Recognition, complete: float) -> None:
        self.turn = msgspec.structs.replace(self.turn, revision=self.turn.revision + 1)
        self._told = True
        guess = Guess(
            turn=self.turn,
            stream=self._stream,
            text=result.text,
            language=result.language,
            last_sample_at=self._last_sample_at,
            complete=complete,
        )
        self._tell(guess)

    def _finish(self) -> None:
        self._finishing = True
        self._dictation.finish()

    def _conclude(self, result: asr.Recognition) -> None:
        """It is over, and this is what was said."""
        assert self._over_at is not None
        if not result.text and self._nonsense and not self._heard.text:
            self._again()
            return
        self._concluded = True
        if not result.text and self._heard.text:
            result = self._heard  # what followed was no words: the question still stands
        why = "understood too late to be answered" if time.perf_counter() - self._over_at > STALE_S else ""
        why = why or ("" if result.text else result.refused or "nothing understood")
        if why:
            self._tell(SpeechDropped(turn=self.turn, stream=self._stream, why=why, last_sample_at=self._last_sample_at))
        else:
            self._publish_heard(result, (time.perf_counter() - self._over_at) * 1000)
        self._judge(Verdict(heard=not why))

    def _again(self) -> None:
        """It is nothing as a whole. Perhaps someone coughed before the question: what followed may be one by itself."""
        since, self._nonsense = self._nonsense, 0
        self._dictation.drop()
        self._dictation = self._scribe.dictate(self._said, self.turn)
        for pcm in self._sound[since:]:
            self._dictation.feed(pcm)
        self._finish()

    def _publish_heard(self, result: asr.Recognition, engine_ms: float) -> None:
        self._told, self._heard = True, result
        heard = Heard(
            turn=self.turn,
            stream=self._stream,
            text=result.text,
            language=result.language,
            last_sample_at=self._last_sample_at,
            engine_ms=engine_ms,
            cut=self._cut,
        )
        self._tell(heard)
        self._house.well()  # should recognition have failed before, it no longer does

    def _tell(self, message: SpeechStarted | SpeechEnded | SpeechDropped | Hearing | Guess | Heard) -> None:
        self._service.publish(message)
