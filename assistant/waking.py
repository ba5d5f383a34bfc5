"""Who is meant: what one stream's wake words, follow-ups and thank-yous make of what is said in it."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.core import attention
from assistant.core.attention import CLOSED, Attention, unwoken
from assistant.core.endpointer import NOTHING_FOLLOWED
from assistant.messages import WakeWord
from assistant.service import Service
from pipelines import asr, wakeword

ROLL_MS = 40  # sound before the end of a wake word that belongs to the question: no end is exact
KNOWN_MS = 2000  # how late an engine may tell of one


class Woken(NamedTuple):
    """A wake word, ns."""

    at: int  # where it ended, or earlier
    sure: int  # by then it had ended


class Waking:
    """One stream's. Without a spotter no wake word is heard; the defaults are the mode ``open``."""

    def __init__(
        self,
        mode: attention.Mode = "open",
        settings: attention.Settings | None = None,
        spotter: wakeword.Spotter | None = None,
    ) -> None:
        settings = settings or attention.Settings()
        self._attention, self._spotter = Attention(mode, settings), spotter
        self.await_ms = int(settings.listen_s * 1000)
        self.reach_ms = KNOWN_MS if spotter is not None else 0
        self._fed = 0  # samples
        self._called = False  # since the last turn: what is read next may begin with a part of the phrase
        self._closing = False  # the words that were read last
        self._asked = 0  # start of the turn that was understood last

    def why_not(self, at: int) -> str:
        """Why speech that begins at this time is not for the assistant; "" if it is."""
        return self._attention.why_not(at)

    def listen(self, frame: NDArray[np.int16], until: int, service: Service, stream: str) -> Iterator[Woken]:
        """The wake words that are told of; ``frame``, int16 at 16 kHz, is the next sound and ends at ``until``, ns.
        Raises EngineError."""
        if self._spotter is None:
            return
        self._fed += len(frame)
        for found in self._spotter.feed(frame):
            at, sure = (
                until - (self._fed - sample) * 1_000_000_000 // asr.RATE
                for sample in (found.end, max(found.end, found.sure))
            )
            if self._attention.woken(at):
                self._called = True
                service.publish(WakeWord(phrase=found.phrase, at=at, score=found.score, stream=stream))
                yield Woken(at, sure)

    def read(self, result: asr.Recognition) -> asr.Recognition:
        """What was understood, without the wake word; refused where it says no more than that, or thank you."""
        if not result.text:
            return result
        text = unwoken(result.text, self._spotter.phrases, self._called) if self._spotter is not None else result.text
        self._closing = self._attention.closes(text)
        if not text or self._closing:
            return msgspec.structs.replace(result, text="", refused=CLOSED if self._closing else NOTHING_FOLLOWED)
        return msgspec.structs.replace(result, text=text)

    def over(self, start: int, heard: bool, at: int) -> None:
        """The turn of this start was understood, or became nothing."""
        self._called = False
        if heard:
            self._asked = start
            self._attention.taken(at)
        elif self._closing:
            self._attention.close()
        else:
            self._attention.dropped(at)

    def replied(self, start: int, text: str, at: int) -> None:
        """The reply to the turn of this start, of whatever stream, is over."""
        if start == self._asked:
            self._attention.replied(at, text)
