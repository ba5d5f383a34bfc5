"""What one stream of sound hears while a reply is played: echo guard and decider together, and the sound without what
the echo explains, so that the assistant's own words never reach the recognizer as the user's.
"""

from collections import deque

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.core.bargein import Confirmed, Decider, Event
from assistant.core.bargein import Settings as SpeechSettings
from assistant.core.echo import EchoGuard
from assistant.core.echo import Settings as EchoSettings
from assistant.core.levels import Meter, voicing

PCM = NDArray[np.int16]
RATE = 16_000  # Hz, of every frame
VOICE = RATE * 32 // 1000  # samples in which a voice is looked for: two periods of a deep one
VOICED = 0.5  # from this periodicity on
RELIEF_DB = 0.5  # by so much less who has begun may be softer
EXPLAINED_DB = -1.0  # a frame so far below what would be somebody is echo and nothing else
QUIET = 0.03  # gain (-30 dB) of what the echo explains
BEFORE_NS = 200_000_000  # soft beginnings before an onset
FIRST_NS = 250_000_000  # after an onset in which nothing is taken away: the reply may not have gone soft yet
REMEMBERED_NS = 4_000_000_000


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    echo: EchoSettings = EchoSettings()
    speech: SpeechSettings = SpeechSettings()


class Overhearing:
    def __init__(self, settings: Settings) -> None:
        self.guard = EchoGuard(settings.echo)
        self.decider = Decider(settings.speech)
        self._meter = Meter(RATE)
        self._last = np.zeros(0, np.int16)
        self._echoes = (0, False)  # the newest frame: when it began, and whether echo explains it
        self._explained: deque[tuple[int, int]] = deque()  # (start, end) of frames, ns

    def frame(self, at: int, length: int, pcm: PCM, speech: bool, decide: bool, hold: bool = False) -> list[Event]:
        """The next frame: start and length in ns, int16 at 16 kHz, and whether it holds speech. ``decide``: there is a
        reply that it may interrupt; otherwise only its echo is followed. ``hold``: the user is speaking, and nothing
        is to be learnt."""
        self._last = np.concatenate([self._last, pcm])[-VOICE:]
        first, levels = self._meter.feed(at, pcm)
        margins = self.guard.heard(first, levels, hold=hold or self.decider.open)
        if hold:
            self.guard.forget(first)
        sure, louder = (margins.mean(axis=0) > (0.0, -RELIEF_DB)).tolist() if len(margins) else (False, False)
        unexplained = sure or louder
        self._echoes = (at, self.guard.echoing and not unexplained)
        if self.guard.ringing and (not len(margins) or float(margins.max()) < EXPLAINED_DB):
            self._explained.append((at, at + length))
        while self._explained and self._explained[0][1] < at - REMEMBERED_NS:
            self._explained.popleft()
        if not decide:
            return []
        voiced = speech and louder and voicing(self._last, RATE) >= VOICED
        events = self.decider.frame(at, length, speech, sure, louder, voiced)
        self._learn(events)
        return events

    def words(self, text: str, final: bool) -> list[Event]:
        """See ``Decider.words``."""
        events = self.decider.words(text, final)
        self._learn(events)
        return events

    def _learn(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Confirmed):
                self.guard.forget(event.at - BEFORE_NS)

    def echoes(self, at: int) -> bool:
        """Whether echo and noise explain the newest frame, which began then."""
        return self._echoes == (at, True)

    def explained(self, at: int) -> bool:
        """Whether the frame that began then was nothing but echo."""
        return any(start == at for start, _ in self._explained)

    def clean(self, at: int, pcm: PCM, onset: int) -> PCM:
        """The frame that began then as the recognizer is to hear it, if somebody began to speak at ``onset``, ns."""
        if -BEFORE_NS // 2 <= at - onset < FIRST_NS or not self.explained(at):
            return pcm
        soft: PCM = np.rint(pcm * QUIET).astype(np.int16)
        return soft
