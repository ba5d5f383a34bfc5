"""What comes of a step of a scenario: which turns are its own, when it is over, and the line that tells it. Pure."""

import msgspec
from msgspec import UNSET, UnsetType

from assistant.core.critical import critical
from assistant.core.ledger import LOST_S, TurnRecord
from assistant.messages import (
    LIVE,
    Message,
    NpuCost,
    Speaking,
    SpeechDropped,
    SpeechEnded,
    SpeechStarted,
    Turn,
    TurnStarted,
)
from assistant.scenario import Step, holds

ANSWER_S = LOST_S + 2.0  # of silence about a turn, after which not even the ledger will tell of it any more
NOTICE_S = 2.5  # after the last sample of a sound: if no speech was noticed by then, none will be
SETTLE_S = 0.4  # after speech that was dropped: what follows it would have begun by then
EARLY_MS = 300  # an onset is told with the pre-roll of the detector: it may lie a little before the sound


class Line(msgspec.Struct, kw_only=True):
    """The outcome of a turn, or of a step that opened none (``dropped`` tells why). Times in milliseconds."""

    turn: int | None = None  # counts from 1
    step: int  # counts from 1
    started_at: int = 0  # ns, CLOCK_MONOTONIC: names the turn on the bus
    typed: bool
    heard: str = ""
    answer: str = ""
    camera: str | None = None
    region: str | None = None  # the part of the frame that was looked at; "" all of it
    frame_seq: int | None = None
    frame_age_ms: float | None = None
    picture_fresh: bool | None = None  # new in the prompt with this turn
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    tokens_per_s: float | None = None  # of the reply, as its engine measured it
    wasted_ms: float = 0.0  # of work that was done ahead and not used
    wasted_npu_ms: float = 0.0  # of it, in possession of the NPU
    memory_mb: float | None = None  # of the model's runtime, at its peak
    npu: dict[str, NpuCost] = {}  # what its possession cost "encode" and "reply"; empty without an NPU
    finish_reason: str | None = None
    detail: str = ""
    spoken: str = ""  # what was really played
    spoken_ms: float = 0.0  # of sound
    released_ms: float | None = None  # when the button came up, from the end of the user's speech
    timings_ms: dict[str, float | None] = {}
    stages: list[tuple[str, float, float]] = []  # name, begin, end; from the end of the user's speech
    parts: list[tuple[str, float]] = []  # name, length: from the end of the user's speech to the first sound, no gap
    ok: bool = True  # did the expectations hold?
    why: str = ""  # where they did not
    dropped: str | UnsetType = UNSET


class Claim:
    """A step's claim on the turns that come of it."""

    def __init__(self, number: int, step: Step, since: int, typed: bool) -> None:
        self.number, self.since, self.typed = number, since, typed
        self._steps = [step]
        self.asked_at = 0  # when everything was said, ns; 0 until then
        self.released_at = 0  # when the button came up, ns; 0: it did not
        self.sounded_at = 0  # when the reply's first sound was told, ns
        self._open: set[int] = {since} if typed else set()  # starts of turns under way
        self._own: set[int] = set(self._open)
        self._dropped = ""
        self._news_at = 0
        self.records: list[TurnRecord] = []

    def join(self, number: int, step: Step) -> None:
        """Another step says more for the same turn, while the button is held."""
        self.number = number
        self._steps.append(step)

    @property
    def interrupt_after_ms(self) -> int | None:
        return next((s.interrupt_after_ms for s in self._steps if s.interrupt_after_ms is not None), None)

    def note(self, message: Message, at: int, stream: str) -> bool:
        """Take a message; True if it belongs to a turn of this claim."""
        turn: Turn | None = getattr(message, "turn", None)
        if turn is None or turn.conversation != LIVE or not self._owns(message, turn, stream):
            return False
        self._news_at = at
        match message:
            case SpeechStarted():
                self._open.add(turn.start)
            case SpeechDropped(why=why):
                self._dropped = why
                self._open.discard(turn.start)
            case Speaking() if not self.sounded_at:
                self.sounded_at = at
        return True

    def _owns(self, message: Message, turn: Turn, stream: str) -> bool:
        if turn.start in self._own:
            return True
        if self.typed or not isinstance(message, SpeechStarted | SpeechEnded | SpeechDropped | TurnStarted):
            return False
        if getattr(message, "stream", stream) != stream or turn.start < self.since - EARLY_MS * 1_000_000:
            return False
        self._own.add(turn.start)
        if isinstance(message, TurnStarted):
            self._open.add(turn.start)
        return True

    def complete(self, record: TurnRecord) -> None:
        """A turn is over."""
        if record.turn.conversation == LIVE and record.turn.start in self._own:
            self.records.append(record)
            self._open.discard(record.turn.start)

    def over(self, now: int) -> bool:
        """Will nothing more come?"""
        if not self.asked_at:
            return False
        quiet_s = (now - max(self.asked_at, self._news_at)) / 1e9
        if self._open:
            return quiet_s > ANSWER_S
        return bool(self.records) or quiet_s > (SETTLE_S if self._dropped else NOTICE_S)

    def lines(self, quiet: str) -> list[Line]:
        """A line for each turn; one for none. ``quiet``: why speech might not have been noticed at all."""
        lines = [line_of(record, self.number, self.released_at) for record in self.records]
        if not lines:
            why = self._dropped or ("no answer" if self._own else quiet)
            lines = [Line(step=self.number, typed=self.typed, dropped=why)]
        for line in lines:
            self._judge(line)
        return lines

    def _judge(self, line: Line) -> None:
        dropped = "" if line.dropped is UNSET else line.dropped
        wrong = []
        for step in self._steps:
            if step.expect_dropped is not None and (not dropped or not holds(step.expect_dropped, dropped)):
                wrong.append(f"expected no turn because of /{step.expect_dropped}/, {_was(dropped, line.answer)}")
            elif dropped and (step.expect is not None or step.expect_heard is not None):
                wrong.append(f"expected a turn, {_was(dropped, line.answer)}")
            elif not holds(step.expect, line.answer):
                wrong.append(f"expected the answer /{step.expect}/")
            if not dropped and not holds(step.expect_heard, line.heard):
                wrong.append(f"expected to hear /{step.expect_heard}/")
        line.ok, line.why = not wrong, "; ".join(wrong)


def _was(dropped: str, answer: str) -> str:
    return f"was dropped ({dropped})" if dropped else f"was answered ({answer!r})"


def line_of(record: TurnRecord, number: int, released_at: int = 0) -> Line:
    """The record as a line; ``number`` of the step; ``released_at``: when its button came up, ns, if it has one."""
    at = record.asked_at
    return Line(
        step=number,
        started_at=record.turn.start,
        typed=not record.spoken,
        heard=record.heard,
        answer=record.answer,
        camera=record.camera,
        region=record.region,
        frame_seq=record.frame_seq,
        frame_age_ms=_rounded(record.frame_age_ms),
        picture_fresh=record.picture_fresh,
        prompt_tokens=record.prompt_tokens,
        cached_tokens=record.cached_tokens,
        completion_tokens=record.completion_tokens,
        tokens_per_s=_rounded(record.tokens_per_s),
        memory_mb=_rounded(record.memory_mb),
        wasted_ms=round(record.wasted_ms, 3),
        wasted_npu_ms=round(record.wasted_npu_ms, 3),
        npu={job: NpuCost(round(c.wait_ms, 3), round(c.hold_ms, 3), c.behind) for job, c in record.npu.items()},
        finish_reason=record.finish_reason,
        detail=record.detail,
        spoken=record.spoken_text,
        spoken_ms=round(record.spoken_ms, 1),
        released_ms=round((released_at - at) / 1e6, 3) if released_at and at else None,
        timings_ms={name: _rounded(value) for name, value in record.timings_ms.items()},
        stages=[(name, round((a - at) / 1e6, 3), round((b - at) / 1e6, 3)) for name, a, b in record.stages],
        parts=[(part.name, round(part.ms, 3)) for part in critical(record)],
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
