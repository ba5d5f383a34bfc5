"""One stream of sound in, utterances out: where each begins and ends; what was said in it is assistant.saying's."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from assistant.core import endpointer, overhearing
from assistant.core.bargein import Confirmed
from assistant.core.endpointer import Dropped, Ended, Endpointer, Event, Paused, Resumed, Started
from assistant.core.levels import Levels
from assistant.core.sampleclock import SampleClock
from assistant.core.speechend import BELOW_DB, overhang
from assistant.interrupting import Frames, Interrupting
from assistant.messages import LIVE, AudioIn, SpeechDropped, Turn, Voice
from assistant.saying import House, Saying, Verdict
from assistant.scribe import Scribe
from assistant.service import Service
from assistant.waking import ROLL_MS, Waking, Woken
from pipelines import asr, vad
from pipelines.audio.level import rms_dbfs
from pipelines.audio.resample import Converter, frames

PCM = NDArray[np.int16]
MS = 1_000_000  # ns
BLOCK = asr.RATE // 100  # samples of 10 ms: the end of speech is sought in these
BLOCK_NS = 10 * MS
LIKELY_MS = 40  # of speech that may become an utterance
SOFT_MS = 150  # of quiet before the first sound is recognised with it: a soft consonant may be in it
FADE_DB = 20.0  # a second: a door that was slammed does not make what is said after it silence


class Ear:
    """One stream of sound: any format in, utterances out."""

    def __init__(
        self,
        service: Service,
        scribe: Scribe,
        detector: vad.Detector,
        endpoint: endpointer.Settings,
        house: House,
        waking: Waking | None = None,
        over: overhearing.Settings | None = None,
    ) -> None:
        self._service, self._scribe, self._detector, self._house = service, scribe, detector, house
        self._endpointer = Endpointer(endpoint)
        self._waking = waking or Waking()
        self._claimed = False  # by the button or a wake word: what starts now is meant
        self._unmeant = ""  # why the utterance is not for the assistant
        self._threshold = endpoint.threshold
        self._interrupting = Interrupting(service, scribe, over or overhearing.Settings(), self._take_over)
        self._over_reply = False  # what is heard now is heard while a reply is given
        self._frame_ns = self._detector.frame_samples * 1_000_000_000 // asr.RATE
        self._clock = SampleClock(self._frame_ns)
        reach_ms = max(endpoint.reach_ms, endpoint.guess_ms + detector.hangover_ms, self._waking.reach_ms)
        self._recent: deque[tuple[int, PCM]] = deque(maxlen=reach_ms * MS // self._frame_ns + 2)
        self._pending: PCM = np.zeros(0, np.int16)
        self._format: tuple[int, int] = (0, 0)
        self._converter: Converter | None = None
        self._saying: Saying | None = None  # also after its end, while it may be opened again
        self._turn = Turn(LIVE, 0)
        self._name = ""
        self._ignored = ""
        self._voiced = 0  # ns of speech up to now, without a pause, before there is an utterance
        self._cut = False  # the utterance is what follows one that was too long
        self._loudest = -120.0  # dBFS of a frame of late
        self._ends: dict[int, int] = {}  # what the detector takes for the end of speech -> its end

    def hear(self, block: AudioIn, payload: bytes | memoryview) -> None:
        """Raises AudioError for PCM that is not what the message says."""
        self._name = block.stream
        pcm = frames(payload, block.channels, block.sample)
        gap = self._clock.block(block.first_sample_at, len(pcm) * 1_000_000_000 // max(1, block.rate))
        if self._converter is None or gap or self._format != (block.rate, block.channels):
            self._converter = Converter(block.rate, block.channels)
            self._format = (block.rate, block.channels)
            self._pending = self._pending[:0]
        self._pending = np.concatenate([self._pending, self._converter.feed(pcm)])
        size = self._detector.frame_samples
        while len(self._pending) >= size:
            frame, self._pending = self._pending[:size], self._pending[size:]
            self._frame(frame)
        if block.last:
            self._handle(self._endpointer.finish())

    @property
    def drowned(self) -> bool:
        """Whether the reply is so loud in this stream that nobody who speaks over it can be told from it."""
        return self._interrupting.too_strong

    def played(self, at: int, levels: Levels) -> None:
        """What left the speaker from ``at`` (ns) on, float64 [steps, bands], dBFS."""
        self._interrupting.played(at, levels)

    def press(self, at: int) -> None:
        self._interrupting.drop()
        if self._saying is None:
            self._endpointer.abandon()  # what was not meant before the button went down does not take it up
        self._claim(self._endpointer.press(at))

    def release(self, at: int) -> None:
        self._handle(self._endpointer.release(at))

    def replied(self, start: int, text: str, at: int) -> None:
        """The reply to the turn of this start, of whatever stream, is over."""
        self._waking.replied(start, text, at)

    def drop(self, why: str) -> None:
        """Nothing comes of what was not yet understood."""
        self._interrupting.drop()
        self._handle(self._endpointer.drop(why))
        if self._saying is not None:
            self._saying.drop(why)

    def _frame(self, frame: PCM) -> None:
        at, length = self._clock.frame()
        self._recent.append((at, frame))
        if self._endpointer.may_reopen and self._house.answered(self._turn):
            self._endpointer.settle()
        if self._saying is not None and (self._endpointer.open or self._endpointer.may_reopen):
            self._saying.feed(frame)
        probability = self._probability(frame)
        self._notice_reply()
        own = self._endpointer.open or self._endpointer.may_reopen
        may = self._over_reply and not own and not self._waking.why_not(at)
        free = self._interrupting.frame(at, length, frame, probability >= self._threshold, may, own, self._name)
        # Over a reply nothing but an interruption opens an utterance; what is open is not prolonged by the echo.
        theirs = free or not self._over_reply if own else free and not self._over_reply
        self._notice_voice(at, length, theirs and probability >= self._threshold)
        self._handle(self._endpointer.frame(probability if theirs else 0.0, at, length))
        for woken in self._waking.listen(frame, at + length, self._service, self._name):
            self._wake(woken)

    def _notice_voice(self, at: int, length: int, voiced: bool) -> None:
        """Tell once of what may become an utterance: others can make themselves ready for it."""
        self._voiced = self._voiced + length if voiced and not self._endpointer.open else 0
        likely = self._voiced >= LIKELY_MS * MS > self._voiced - length
        if likely and not self._house.ignored() and not self._waking.why_not(at):
            self._service.publish(Voice(stream=self._name, at=at + length - self._voiced))

    def _wake(self, woken: Woken) -> None:
        """A wake word ended: what follows it is a turn, and a reply is interrupted."""
        self._interrupting.drop()
        self._house.interrupt(woken.at)
        self._over_reply = False
        events = self._endpointer.claim(woken.at, ROLL_MS, self._waking.await_ms, woken.sure)
        told = self._saying is not None
        self._claim([event for event in events if told or not isinstance(event, Dropped)])

    def _claim(self, events: list[Event]) -> None:
        """What comes of the button or a wake word is meant for the assistant."""
        self._claimed = True
        self._handle(events)
        self._claimed = False

    def _notice_reply(self) -> None:
        """Whether what is heard from here on is heard over a reply; the end of one."""
        before, self._over_reply = self._over_reply, self._house.replying() and not self._house.ignored()
        if before and not self._over_reply:
            self._interrupting.over()
        if self._ignored and self._endpointer.open and not self._house.ignored():
            # it may have been the reply's own sound: what is said from now on is heard
            self._handle(self._endpointer.drop(self._ignored))
            self._ignored = ""

    def _take_over(self, confirmed: Confirmed, frames: Frames) -> None:
        """Somebody interrupts: what they said and say is an utterance as any other, and the reply is over."""
        self._house.interrupt(confirmed.at)
        self._over_reply = False
        audio_from = frames[0][0] if frames else confirmed.at
        for event in self._endpointer.take_up(confirmed.at, confirmed.last, audio_from):
            if isinstance(event, Started):
                self._started(event, frames)

    def _probability(self, frame: PCM) -> float:
        """Of speech in the frame. Where the room is quiet, one need not wait for a detector that holds on."""
        probability, level = self._detector.speech(frame), rms_dbfs(frame)
        self._loudest = max(level, self._loudest - FADE_DB * len(frame) / asr.RATE)
        return 0.0 if self._endpointer.open and level < self._loudest - BELOW_DB else probability

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Started():
                    self._started(event)
                case Paused(last_sample_at=last) if self._saying is not None:
                    if not (self._cut and self._house.ignored()):
                        self._saying.pause(self._end_of(last))
                case Resumed() if self._saying is not None:
                    self._saying.resume()
                    self._turn = self._saying.turn
                case Ended():
                    self._ended(event)
                case Dropped(last_sample_at=last, why=why):
                    self._dropped(why, last)

    def _started(self, event: Started, frames: Frames | None = None) -> None:
        self._turn = Turn(LIVE, event.at)
        self._ignored = "" if self._claimed else self._house.ignored()
        self._unmeant = "" if self._claimed else self._waking.why_not(event.at)
        self._saying = None
        self._ends.clear()
        if self._ignored or self._unmeant:
            return
        self._saying = saying = Saying(
            self._service,
            self._scribe,
            self._house,
            self._turn,
            self._name,
            lambda what: self._judged(saying, what),
            self._waking.read,
        )
        if frames is None:
            frames = [(at, self._interrupting.clean(at, frame, event.at)) for at, frame in self._recent]
        for frame in self._roll([frame for at, frame in frames if at + self._frame_ns > event.audio_from]):
            saying.feed(frame)

    def _roll(self, frames: list[PCM]) -> list[PCM]:
        """What came before it was certain that somebody speaks. Silence takes a board as long to recognise as words do:
        no more of it than SOFT_MS stands before the first sound."""
        limit = self._loudest - BELOW_DB
        first = next((number for number, frame in enumerate(frames) if rms_dbfs(frame) >= limit), 0)
        return frames[max(0, first - SOFT_MS * MS // self._frame_ns) :]

    def _judged(self, saying: Saying, verdict: Verdict) -> None:
        if saying is not self._saying:
            return  # it is over, and another one has begun
        self._turn = saying.turn
        if verdict.heard is not None:
            self._waking.over(self._turn.start, verdict.heard, self._recent[-1][0] + self._frame_ns)
        if verdict.heard is None:
            self._handle(self._endpointer.judge(self._turn.start, verdict.complete))
        elif verdict.heard:
            self._endpointer.heard()
        else:
            self._endpointer.settle()

    def _ended(self, event: Ended) -> None:
        last = event.last_sample_at
        follows, self._cut = self._cut, event.why == "too long"
        ignored = self._house.ignored() if follows else ""  # what was cut off may be being answered by now
        if self._saying is None or ignored:
            self._dropped(ignored or self._ignored or self._unmeant or "not for the assistant", last)
            return
        self._saying.end(self._end_of(last) if last < event.audio_until else last, event.why)

    def _end_of(self, last: int) -> int:
        """The end of the last sound of speech, ns, where the detector says that it was at ``last``."""
        if last not in self._ends:
            pcm = np.concatenate([np.zeros(0, np.int16), *(frame for _, frame in self._recent)])
            since = self._recent[-1][0] + self._frame_ns - last if self._recent else 0
            split = max(0, min(len(pcm), len(pcm) - since * asr.RATE // 1_000_000_000))
            first = max(0, split - self._detector.hangover_ms * asr.RATE // 1000)
            over = overhang(_levels(pcm[first:split]), _levels(pcm[split:]), self._loudest)
            self._ends[last] = max(self._turn.start, last - over * BLOCK_NS)
        return self._ends[last]

    def _dropped(self, why: str, last_sample_at: int) -> None:
        saying, self._saying = self._saying, None
        if saying is not None:
            saying.drop(why, last_sample_at)
        else:
            dropped = SpeechDropped(turn=self._turn, stream=self._name, why=why, last_sample_at=last_sample_at)
            self._service.publish(dropped)


def _levels(pcm: PCM) -> list[float]:
    """dBFS of each block of 10 ms, counted back from the end."""
    blocks = pcm[len(pcm) % BLOCK :].reshape(-1, BLOCK)
    return [rms_dbfs(block) for block in blocks]
