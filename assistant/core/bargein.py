"""Whether what is heard while the assistant speaks interrupts it. Pure: frames and words in, decisions out.

A little speech that no echo explains makes a candidate: the reply goes soft, which costs nothing if it was nothing, and
takes the echo out of what is heard next. The candidate is confirmed by going on for longer than a backchannel does, or
by its words; else the reply comes back up. Nothing here waits: what is not decided at a pause is decided by the words
when they are there.
"""

from collections import deque
from typing import Annotated, Literal, TypeAlias

import msgspec

from assistant.core.backchannels import kind

MS = 1_000_000  # ns

_Positive = Annotated[int, msgspec.Meta(gt=0)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All times in ms. The defaults were chosen with ``assistant bench bargein``; docs/talking.md has the figures."""

    candidate_ms: _Positive = 60  # this much speech that is no echo …
    window_ms: _Positive = 240  # … within this long makes the reply soft
    back_ms: _Positive = 1000  # so long before that it may have begun; what was given up so lately was its beginning …
    most_ms: _Positive = 3000  # … if not longer ago than this
    confirm_ms: _Positive = 680  # this much of it ends the reply, if no words say that it is a backchannel
    backchannel_ms: _Positive = 1200  # … and if they do
    bridge_ms: Annotated[int, msgspec.Meta(ge=0)] = 100  # softer sound between two pieces of it counts with them
    pause_ms: _Positive = 260  # silence after which its words decide
    words_ms: _Positive = 900  # silence after which it is over, undecided
    voiced_ms: Annotated[int, msgspec.Meta(ge=0)] = 100  # less of a voice in it: a cough, a door
    short_ms: _Positive = 100  # less speech than this is not worth recognising
    pre_roll_ms: Annotated[int, msgspec.Meta(ge=0)] = 500  # sound before its onset that belongs to it


Why: TypeAlias = Literal["backchannel", "echo", "noise", "too short", "not understood"]


class Candidate(msgspec.Struct, frozen=True):
    """Somebody may be speaking: play softly."""

    at: int  # ns: its onset, which names it
    audio_from: int  # ns: the first sound that belongs to it


class Paused(msgspec.Struct, frozen=True):
    """The candidate has paused undecided: play on, and recognise what was said (``words``)."""

    at: int
    last: int  # ns: end of its last speech


class Confirmed(msgspec.Struct, frozen=True):
    """It is an interruption."""

    at: int
    last: int  # ns: end of its speech so far
    why: Literal["speech", "stop word", "words"]


class Dismissed(msgspec.Struct, frozen=True):
    """It is none: play on."""

    at: int
    last: int
    why: Why


Event: TypeAlias = Candidate | Paused | Confirmed | Dismissed


class _Open(msgspec.Struct):
    at: int
    last: int  # end of its last speech, ns
    audio_from: int = 0  # ns
    spoken: int = 0  # ns
    voiced: int = 0  # ns
    explained: int = 0  # ns of speech in it that was an echo
    text: str = ""
    paused: bool = False


class Decider:
    """One reply after another over one stream of sound. Every method returns what it led to, oldest first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._recent: deque[tuple[int, int]] = deque()  # (start, end) of frames that may begin a candidate
        self._before: deque[tuple[int, int, bool]] = deque()  # (start, end, voiced) of those that may belong to it
        self._open: _Open | None = None
        self._given_up: tuple[int, int] | None = None  # (first sound, end of the last speech) of the latest, ns

    @property
    def open(self) -> bool:
        """Whether there is a candidate."""
        return self._open is not None

    def frame(self, start: int, length: int, speech: bool, sure: bool, louder: bool, voiced: bool) -> list[Event]:
        """The next frame while a reply sounds: its start and length in ns, whether it holds speech, whether it is
        ``louder`` than echo and noise explain, whether that is ``sure`` by now, and whether it holds a voice."""
        end, settings = start + length, self._settings
        while self._recent and self._recent[0][0] < end - settings.window_ms * MS:
            self._recent.popleft()
        while self._before and self._before[0][0] < end - settings.back_ms * MS:
            self._before.popleft()
        if speech and louder:
            self._before.append((start, end, voiced))
        if speech and sure:
            self._recent.append((start, end))
        if self._open is None:
            return self._begin() if sum(stop - at for at, stop in self._recent) >= settings.candidate_ms * MS else []
        candidate = self._open
        candidate.explained += length if speech and not louder else 0
        if speech and louder:
            between = start - candidate.last
            candidate.spoken += length + (between if between <= settings.bridge_ms * MS else 0)
            candidate.voiced += length if voiced else 0
            candidate.last, candidate.paused = end, False
            return self._judge()
        if end - candidate.last >= settings.words_ms * MS:
            return self._dismiss("not understood")
        return self._pause() if end - candidate.last >= settings.pause_ms * MS and not candidate.paused else []

    def words(self, text: str, final: bool) -> list[Event]:
        """What was understood of the candidate so far; ``final``: of all that was said before the pause."""
        if self._open is None:
            return []
        self._open.text = text
        match kind(text):
            case "stop":
                return self._confirm("stop word")
            case "words" if final:
                return self._confirm("words")
            case "backchannel" if final and self._open.paused:
                return self._dismiss("backchannel")
            case "nothing" if final and self._open.paused:  # it counts no longer if it goes on
                self._open.spoken = self._open.voiced = 0
        return self._judge()

    def over(self) -> list[Event]:
        """The reply is over by itself. Whoever speaks into its end is heard out, and needs no longer be waited for:
        there is no reply left that a wrong guess could cut short."""
        if self._open is None:
            return []
        enough = self._settings.voiced_ms * MS if self._open.paused else 1
        return self._confirm("speech") if self._open.voiced >= enough else self._dismiss("too short")

    def drop(self) -> None:
        """Something else ended the reply, or took the microphone."""
        self._open = self._given_up = None
        self._recent.clear()
        self._before.clear()

    def _begin(self) -> list[Event]:
        settings, bridge = self._settings, self._settings.bridge_ms * MS
        begun = _Open(at=self._recent[0][0], last=self._recent[-1][1])
        for start, end, voiced in reversed(self._before):  # back to where they may have begun, before that was sure
            if start < begun.at - bridge - (end - start):
                break
            begun.at = min(begun.at, start)
            begun.spoken += end - start
            begun.voiced += end - start if voiced else 0
        audio_from = begun.at - settings.pre_roll_ms * MS
        if self._given_up is not None and begun.at - self._given_up[1] <= settings.back_ms * MS:
            audio_from = max(self._given_up[0], begun.at - settings.most_ms * MS)  # it was the beginning of this
        begun.audio_from = audio_from
        self._open = begun
        return [Candidate(at=begun.at, audio_from=audio_from), *self._judge()]

    def _judge(self) -> list[Event]:
        """Whether there has been enough of it."""
        candidate, settings = self._open, self._settings
        assert candidate is not None
        only = kind(candidate.text) == "backchannel"
        enough = settings.backchannel_ms if only else settings.confirm_ms
        if candidate.spoken >= enough * MS and candidate.voiced >= settings.voiced_ms * MS:
            return self._confirm("speech")
        return []

    def _pause(self) -> list[Event]:
        candidate, settings = self._open, self._settings
        assert candidate is not None
        if candidate.spoken < settings.short_ms * MS:
            return self._dismiss("echo" if 2 * candidate.explained >= candidate.spoken else "too short")
        if candidate.voiced < min(settings.voiced_ms * MS, candidate.spoken // 5):
            return self._dismiss("noise")
        candidate.paused = True
        return [Paused(at=candidate.at, last=candidate.last)]

    def _confirm(self, why: Literal["speech", "stop word", "words"]) -> list[Event]:
        assert self._open is not None
        event = Confirmed(at=self._open.at, last=self._open.last, why=why)
        self.drop()
        return [event]

    def _dismiss(self, why: Why) -> list[Event]:
        assert self._open is not None
        event = Dismissed(at=self._open.at, last=self._open.last, why=why)
        given_up = (self._open.audio_from, self._open.last)
        self.drop()
        self._given_up = None if why == "backchannel" else given_up
        return [event]
