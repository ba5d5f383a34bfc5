"""Where speech begins and ends in a stream of frames, each with its probability of speech; or what a button says.

Time is the frames' own: nothing happens between two frames. An utterance is Started, and then either Ended or Dropped;
never two are open. The audio of one is every sample from ``Started.audio_from`` to ``Ended.audio_until``: keep the last
``Settings.reach_ms`` of sound in a ring, copy from there at Started, go on with each new frame until the end. No
sample belongs to two utterances.

In a pause (``Paused``) it can be told how complete the words are so far (``judge``), and waits shorter or longer for
more of them. An utterance that a silence has ended can be opened once more by speech that follows soon (``Resumed``);
its audio is then every sample from its first ``audio_from`` on.

A wake word (``claim``) opens an utterance where it ended, even where speech has opened one before: what was said up to
there belongs to nothing.
"""

from collections import deque
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

import msgspec

MS = 1_000_000  # ns

_Positive = Annotated[int, msgspec.Meta(gt=0)]
_Some = Annotated[int, msgspec.Meta(ge=0)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All times in ms. The defaults were chosen on tests/speech with webrtcvad; see its README for the figures."""

    threshold: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5  # from this probability on a frame is speech
    start_ms: _Positive = 120  # this much speech …
    window_ms: _Positive = 200  # … within this long opens an utterance (and later prolongs it)
    guess_ms: _Some = 200  # silence that is a pause, in which one may guess what was said; 0: nothing is ever guessed
    hold_ms: _Positive = 350  # silence that ends it where the words look complete …
    hold_unsure_ms: _Positive = 600  # … where nothing is known of them (never shorter than hold_ms) …
    hold_open_ms: _Positive = 1000  # … and where more is to be expected (never shorter than hold_unsure_ms)
    reopen_ms: _Some = 1000  # speech that begins so soon after what was heard belongs to it
    min_speech_ms: _Some = 240  # less speech than this was a cough or a click: "too short"
    max_speech_ms: _Positive = 15_000  # cut here, "too long"; what follows is the next utterance
    pre_roll_ms: _Some = 500  # sound before the onset that is part of it: soft first sounds come before the decision
    button_roll_ms: _Some = 200  # sound before the button went down: people begin to speak while they press

    def __post_init__(self) -> None:
        if self.start_ms > self.window_ms:
            raise ValueError(f"start_ms = {self.start_ms} must not be more than window_ms = {self.window_ms}")
        if self.min_speech_ms > self.max_speech_ms:
            raise ValueError(f"min_speech_ms = {self.min_speech_ms} must not be more than max_speech_ms")

    @property
    def reach_ms(self) -> int:
        """How far back from the newest frame ``Started.audio_from`` may lie."""
        return self.window_ms + max(self.pre_roll_ms, self.button_roll_ms)


class Started(msgspec.Struct, frozen=True):
    at: int  # ns: start of the first frame of speech, or when the button went down; names the turn
    audio_from: int  # ns: the first sample that belongs to it


class Paused(msgspec.Struct, frozen=True):
    """Perhaps the end. Every further frame up to Ended, if no Resumed comes between, holds nothing but silence."""

    at: int  # ns: of its Started
    last_sample_at: int  # ns: as Ended would tell it


class Resumed(msgspec.Struct, frozen=True):
    """It goes on: after a Paused, or even after an Ended, which then was none."""

    at: int  # ns: of its Started


class Ended(msgspec.Struct, frozen=True):
    at: int  # ns: of its Started
    last_sample_at: int  # ns: end of the last frame that held speech (of the button's release if none did)
    audio_until: int  # ns: end of the last frame that belongs to it
    why: Literal["silence", "released", "too long"]


class Dropped(msgspec.Struct, frozen=True):
    at: int  # ns: of its Started
    last_sample_at: int
    why: str  # "too short", or what the caller gave


Event: TypeAlias = Started | Paused | Resumed | Ended | Dropped

PAST_MS = 2000  # how long before it is told of a wake word may have ended
NOTHING_FOLLOWED = "nothing followed the wake word"
COMPLETE, OPEN = 0.65, 0.35  # from this probability on, and up to this one, the hold is another


class _Open(msgspec.Struct):
    """The utterance that is open."""

    at: int
    last: int  # end of its last speech, ns
    spoken: int = 0  # ns of speech in it
    button: bool = False  # ends at the release, not at a silence
    awaited_until: int = 0  # ns: begun by a wake word; so long it may take until there is speech
    since: int = -1  # ns: its first speech; a wake word's may be yet to come
    paused: bool = False  # told, and not gone on since
    complete: float | None = None  # how likely the words are all, in this pause


class Endpointer:
    """One stream of audio. Every method returns what it led to, oldest first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._recent: deque[tuple[int, int, bool]] = deque()  # (start, end, speech) of the frames within the window
        self._past: deque[tuple[int, int]] = deque()  # (start, end) of the frames of speech of the last PAST_MS
        self._open: _Open | None = None
        self._now: int | None = None  # end of the newest frame
        self._free_from = 0  # audio before this belongs to an earlier utterance
        self._newest = -1  # when the newest utterance started, ns
        self._held = False
        self._release: int | None = None  # told, but its last frames have not come yet
        self._closed: _Open | None = None  # the utterance that speech may still open again …
        self._reopen_until = 0  # … if it begins before this, ns

    @property
    def open(self) -> bool:
        """Whether an utterance is open."""
        return self._open is not None

    def frame(self, probability: float, start: int, length: int) -> list[Event]:
        """The next frame: its probability of speech, its start and length in ns.

        Frames come in order; a gap between them is silence. Raises ValueError for one that begins before the end of the
        frame before it, or has no length.
        """
        if length <= 0 or (self._now is not None and start < self._now):
            raise ValueError(f"a frame at {start} of {length} ns cannot follow one that ended at {self._now}")
        return list(self._frame(probability >= self._settings.threshold, start, start + length))

    def press(self, at: int) -> list[Event]:
        """The button went down: an utterance opens, or the open one is the button's from now on."""
        if self._held:
            return []
        self._held, self._release = True, None
        self.settle()
        if self._open is not None:
            self._open.button = True
            return []
        return [self._start(_Open(at=at, last=at, button=True), self._settings.button_roll_ms)]

    def release(self, at: int) -> list[Event]:
        """The button went up: its utterance ends with the frame that reaches this time."""
        if not self._held:
            return []
        self._held = False
        if self._open is None:  # it was held for too long; what came after belongs to nothing
            self._forget()
            return []
        self._release = at
        return list(self._released()) if self._now is not None and self._now >= at else []

    def claim(self, at: int, roll_ms: int, await_ms: int, sure: int = 0) -> list[Event]:
        """A wake word ended at this time, which is past: an utterance opens there, with ``roll_ms`` of the sound before
        it, and waits ``await_ms`` for speech. An open one is given up for it; but not the button's, nor one that began
        later. It may hold sound of one that has ended already: of which the wake word was a part. If it may have ended
        later, ``sure`` is when it had at the latest: speech before that is no sign that anything follows."""
        if self._held or self._newest >= at:
            return []
        events: list[Event] = []
        if self._open is not None:
            events = [Dropped(at=self._open.at, last_sample_at=at, why="begun anew with the wake word")]
        spoken = [(start, end) for start, end in self._past if start >= max(at, sure)]
        last = spoken[-1][1] if spoken else at
        length = sum(end - start for start, end in spoken)
        self._closed, self._newest = None, at
        since = spoken[0][0] if spoken else -1
        self._open = _Open(at=at, last=last, spoken=length, awaited_until=at + await_ms * MS, since=since)
        return [*events, Started(at=at, audio_from=at - roll_ms * MS)]

    def abandon(self) -> None:
        """Give up the open utterance as if it had never been: nobody was told of it."""
        if self._open is not None and not self._open.button:
            self._open = None

    def judge(self, at: int, complete: float) -> list[Event]:
        """How likely it is, 0..1, that the words of the utterance that started at ``at`` are all that is to come. It
        counts for the pause that is on; without one, or for another utterance, it is too late and means nothing."""
        if self._open is None or self._open.at != at or not self._open.paused or self._now is None:
            return []
        self._open.complete = complete
        return list(self._end("silence")) if self._silent(self._now) else []

    def take_up(self, at: int, last: int, audio_from: int) -> list[Event]:
        """An utterance that was noticed elsewhere (over a reply) is open since ``at``, and spoke last at ``last``, ns;
        nothing of it is too short. Its audio begins at ``audio_from`` or where the one before ended."""
        if self._open is not None:
            return []
        spoken = max(last - at, self._settings.min_speech_ms * MS)
        started = self._start(_Open(at=at, last=last, spoken=spoken), 0)
        return [Started(at=started.at, audio_from=max(audio_from, self._free_from))]

    @property
    def may_reopen(self) -> bool:
        """Whether speech that began now would belong to the utterance that ended last."""
        return self._closed is not None and (self._now or 0) < self._reopen_until + self._settings.window_ms * MS

    def heard(self) -> None:
        """What ended last was understood just now: for ``reopen_ms`` from here on speech still belongs to it."""
        self._reopen_until = (self._now or 0) + self._settings.reopen_ms * MS

    def settle(self) -> None:
        """What ended last is answered, or void: no speech belongs to it any more."""
        self._closed = None

    def finish(self) -> list[Event]:
        """The stream is over: an open utterance ends here. Another stream may follow."""
        events: list[Event] = []
        if self._open is not None:
            events = list(self._end("released" if self._release is not None else "silence"))
        self._recent.clear()
        self._past.clear()
        self.settle()
        self._held, self._now, self._free_from, self._newest = False, None, 0, -1
        return events

    def drop(self, why: str) -> list[Event]:
        """Give up the open utterance: muted, a reply begins … Sound up to now belongs to no later one."""
        events = list(self._dropped(why)) if self._open is not None else []
        self.settle()
        self._forget()
        return events

    def _frame(self, speech: bool, start: int, end: int) -> Iterator[Event]:
        settings = self._settings
        lost = self._now is not None and start - self._now >= end - start
        if lost and self._silent(start):  # the gap was long enough
            yield from self._end("silence")
        self._recent.append((start, end, speech))
        while self._recent[0][0] < end - settings.window_ms * MS:
            self._recent.popleft()
        if speech:
            self._past.append((start, end))
        while self._past and self._past[0][0] < end - PAST_MS * MS:
            self._past.popleft()
        self._now = end
        if self._open is None and not self._held and self._evidence():
            yield self._begin()
        elif self._open is not None and speech:
            yield from self._goes_on(start, end)
        if self._release is not None and end >= self._release:
            yield from self._released()
        elif self._open is not None and self._too_long(end):
            yield from self._end("too long")
        elif not speech and self._silent(end):  # with speech in the frame, perhaps it goes on after all
            yield from self._end("silence")
        elif not speech and self._open is not None and self._pauses(end):
            self._open.paused = True
            yield Paused(at=self._open.at, last_sample_at=self._open.last)

    def _begin(self) -> Started | Resumed:
        """There is speech: a new utterance, or more of the one that ended last."""
        spoken = [(begin, stop) for begin, stop, spoke in self._recent if spoke]
        closed, self._closed = self._closed, None
        room = closed is not None and spoken[-1][1] - closed.at < self._settings.max_speech_ms * MS
        if closed is None or not room or spoken[0][0] >= self._reopen_until:
            opened = _Open(at=spoken[0][0], last=spoken[-1][1], spoken=self._spoken())
            return self._start(opened, self._settings.pre_roll_ms)
        self._open = _Open(at=closed.at, last=spoken[-1][1], spoken=closed.spoken + self._spoken())
        return Resumed(at=closed.at)

    def _goes_on(self, start: int, end: int) -> Iterator[Resumed]:
        """Speech in an open utterance."""
        assert self._open is not None
        if not self._open.spoken:
            self._open.since = start
        self._open.spoken += end - start
        # a click in the silence after the words is not speech that goes on
        if self._open.button or start - self._open.last < self._settings.window_ms * MS or self._evidence():
            self._open.last = end
            if self._open.paused:
                self._open.paused, self._open.complete = False, None
                yield Resumed(at=self._open.at)

    def _too_long(self, now: int) -> bool:
        """Whether the open utterance must be cut; the wait after a wake word is no part of it."""
        assert self._open is not None
        begun = self._open.since if self._open.awaited_until else self._open.at
        return begun >= 0 and now - begun >= self._settings.max_speech_ms * MS

    def _pauses(self, now: int) -> bool:
        """Whether with this frame the open utterance makes a pause; a cough is not worth a guess."""
        one = self._open
        assert one is not None
        enough = one.spoken >= max(1, self._settings.min_speech_ms * MS) and self._settings.guess_ms > 0
        return enough and not one.paused and now - one.last >= self._settings.guess_ms * MS

    def _forget(self) -> None:
        """Sound up to now is no part of a later utterance."""
        self._recent.clear()
        self._free_from = max(self._free_from, self._now or 0)

    def _evidence(self) -> bool:
        """Whether the window holds enough speech to believe in it."""
        return self._spoken() >= self._settings.start_ms * MS

    def _spoken(self) -> int:
        return sum(end - start for start, end, speech in self._recent if speech)

    def _silent(self, now: int) -> bool:
        """Whether an open utterance has been silent for long enough to end."""
        one = self._open
        if one is None or one.button or now - one.last < self._hold(one):
            return False
        if now < one.awaited_until and one.spoken < self._settings.min_speech_ms * MS:
            one.spoken, one.since = 0, -1  # the end of the wake word, or a cough: it is still waited for
            return False
        return True

    def _hold(self, utterance: _Open) -> int:
        """How long it is waited for more, ns."""
        settings = self._settings
        sure = settings.hold_ms
        unsure = max(sure, settings.hold_unsure_ms)
        if utterance.complete is None or OPEN < utterance.complete < COMPLETE:
            return unsure * MS
        return (sure if utterance.complete >= COMPLETE else max(unsure, settings.hold_open_ms)) * MS

    def _start(self, utterance: _Open, roll_ms: int) -> Started:
        self._closed = None
        self._open = utterance
        self._newest = utterance.at = max(utterance.at, self._free_from)
        utterance.last = max(utterance.last, utterance.at)
        return Started(at=utterance.at, audio_from=max(utterance.at - roll_ms * MS, self._free_from))

    def _released(self) -> Iterator[Event]:
        assert self._open is not None
        assert self._release is not None
        if self._release - self._open.at < self._settings.min_speech_ms * MS:
            yield from self._dropped("too short")
        else:
            yield from self._end("released")

    def _end(self, why: Literal["silence", "released", "too long"]) -> Iterator[Event]:
        utterance = self._open
        assert utterance is not None
        if not utterance.button and utterance.spoken < self._settings.min_speech_ms * MS:
            yield from self._dropped(NOTHING_FOLLOWED if utterance.awaited_until else "too short")
            return
        until = utterance.at if self._now is None else max(self._now, utterance.at)
        last = utterance.last
        if why == "released" and utterance.spoken == 0 and self._release is not None:
            last = min(self._release, until)
        self._close(until)
        if why == "silence" and not utterance.button:
            self._closed, self._reopen_until = utterance, until + self._settings.reopen_ms * MS
        yield Ended(at=utterance.at, last_sample_at=last, audio_until=until, why=why)

    def _dropped(self, why: str) -> Iterator[Event]:
        assert self._open is not None
        event = Dropped(at=self._open.at, last_sample_at=self._open.last, why=why)
        self._close(self._now if self._now is not None else self._open.at)
        yield event

    def _close(self, until: int) -> None:
        assert self._open is not None
        self._free_from = max(self._free_from, until, self._open.at + 1)  # no two utterances start at the same time
        self._open, self._release = None, None
        self._recent.clear()
