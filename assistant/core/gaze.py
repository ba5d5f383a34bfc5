"""Which pictures are worth encoding before anyone has asked about them, and which of those in hand will do."""

from collections.abc import Sequence

import msgspec

from assistant.core import ahead, frames
from assistant.messages import Embedding, Frame, Look, Turn

HANDS_MS = 10_000.0  # of encoding that may be spent on speech that comes to nothing, before it must be earned again
VOICE_NS = 500_000_000  # after the first sound it is known by then whether somebody speaks
GUESSED_MS = 1000.0  # of an encoding, until one was made


class Watch(msgspec.Struct):
    """A turn that is being spoken: its picture is kept as the scene is."""

    look: Look
    shown: bytes | None = None  # signature of what was encoded for it; None: nothing yet
    spent_ms: float = 0.0  # on it
    asked: bool = False  # it was a question


class Gaze:
    """Pure: told what happens, asked before each job."""

    def __init__(self, threshold: float, speech_duty: float, idle_duty: float) -> None:
        """``threshold`` as in frames.same_scene; duties are shares of the time."""
        self._threshold = threshold
        self._encode_ms = ahead.Estimate(GUESSED_MS)
        self._speech_ms = ahead.Estimate(ahead.SPEECH_MS)
        self._still = ahead.Chance(ahead.STILL)
        self._speaking = ahead.Budget(speech_duty, HANDS_MS)
        self._idle_share = idle_duty
        self._idle: ahead.Budget | None = None
        self._before = b""  # signature of the frame before
        self._voice_until = 0  # ns: there was sound of what may become speech
        self._early_ms = 0.0  # of encoding, for what may become speech
        self._voiced: Watch | None = None  # the speech that it became
        self.watch: Watch | None = None

    # --- what happened ---

    def encoded(self, ms: float) -> None:
        self._encode_ms.learn(ms)

    def spoken(self, turn: Turn, until: int) -> None:
        """Speech that was for the assistant is over."""
        self._speech_ms.learn((until - turn.start) / 1e6)

    def voice(self, now: int) -> None:
        """Somebody may be beginning to speak."""
        if now >= self._voice_until:
            self._early_ms, self._voiced = 0.0, None
        self._voice_until = now + VOICE_NS

    def begin(self, look: Look) -> None:
        """Somebody speaks; after a pause, goes on."""
        if self.watch is None or self.watch.look.turn.start != look.turn.start:
            self.watch = self._voiced = Watch(look, spent_ms=self._early_ms)
            self._early_ms, self._voice_until = 0.0, 0
        self.watch.look = look

    def asked(self, turn: Turn, frame: Frame | None) -> None:
        """The question's own look has come: what was spent on it was well spent."""
        watch, self.watch = self.watch, None
        if watch is None or watch.look.turn.start != turn.start:
            return
        watch.asked = True
        self._speaking.give_back(watch.spent_ms)
        if watch.shown is not None and frame is not None:
            self._still.learn(float(self.same(watch.shown, frame.signature)))

    def stop(self, turn: Turn) -> None:
        """The speech is over; whatever comes of it, nothing more is encoded ahead."""
        if self.watch is not None and self.watch.look.turn.start == turn.start:
            self.watch.look = msgspec.structs.replace(self.watch.look, until=0)

    # --- what to do ---

    def same(self, one: bytes, other: bytes) -> bool:
        return frames.same_scene(one, other, self._threshold)

    def rests(self, frame: Frame) -> bool:
        """Does it show what the frame before did? To be asked of each."""
        resting, self._before = self.same(self._before, frame.signature), frame.signature
        return resting

    def may_encode(self, watch: Watch, frame: Frame, now: int) -> bool:
        """Is this frame to be encoded for the speech that is watched? After the first picture, only when the scene has
        changed, and has come to rest."""
        resting = self.rests(frame)
        if watch.look.until <= now or self._speaking.left(now) <= 0:
            return False
        if (watch.shown is not None or watch.spent_ms) and not resting:
            return False
        left = ahead.left_ms((now - watch.look.turn.start) / 1e6, self._speech_ms.value)
        return ahead.pays(left, self._encode_ms.value, self._still.value)

    def spend(self, watch: Watch, ms: float, now: int) -> None:
        watch.spent_ms += ms
        self._speaking.spend(ms, now)

    def may_begin(self, now: int) -> bool:
        """Is a picture to be encoded for what may become speech, if the one in hand shows another scene?"""
        if now >= self._voice_until or self._early_ms or self._speaking.left(now) <= 0:
            return False
        return ahead.pays(self._speech_ms.value, self._encode_ms.value, self._still.value)

    def begun(self, ms: float, now: int) -> None:
        """It was, and what may become speech may have done so meanwhile."""
        if self._voiced is None:
            self._early_ms += ms
            self._speaking.spend(ms, now)
        elif not self._voiced.asked:
            self.spend(self._voiced, ms, now)

    def may_refresh(self, now: int) -> bool:
        """May a picture be encoded while nobody speaks? Out of what was saved for it since the start."""
        if self._idle is None:
            self._idle = ahead.Budget(self._idle_share, self._encode_ms.value, full=False)
        self._idle.save(self._encode_ms.value)
        return self._idle.left(now) >= self._encode_ms.value

    def refreshed(self, ms: float, now: int) -> None:
        if self._idle is not None:
            self._idle.spend(ms, now)

    def in_hand(self, embeddings: Sequence[Embedding], look: Look, frame: Frame) -> Embedding | None:
        """The newest of the embeddings (the last) that shows what the frame does; None if none will do."""
        for seen in reversed(embeddings):
            one = (seen.camera, seen.region) == (frame.camera, look.region)
            recent = not look.anew or seen.captured_at >= look.turn.start
            if one and recent and self.same(seen.signature, frame.signature):
                return seen
        return None
