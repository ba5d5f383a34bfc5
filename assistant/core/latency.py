"""The silence between the user's last sample and the reply's first: what no overlap can hide of it, what is aimed at.

All times in milliseconds, from the last sample of the question.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

Scene = Literal["still", "changed at onset", "changed late"]
Reuse = Literal["prefix", "history", "none"]  # of a prompt: as pipelines.llm's engine for RKLLM has it
LATE_MS = 500.0  # before the end of the speech: the scene of "changed late" changes


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the parts are."""

    recognition_ms: float  # of the question, from the moment at which all of it is there
    encode_ms: float
    token_ms: float  # of a prompt
    reply_token_ms: float
    clause_tokens: int  # in the first thing that can be said
    block_ms: float  # from the clause's words to its first sound
    pause_ms: float  # of silence before anybody can think that the question is over; 0: a button tells
    hold_ms: float  # before anything may be said; 0: a button tells


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One question."""

    scene: Scene
    speech_ms: float
    prompt_tokens: int  # all of it
    question_tokens: int  # of them, those that nobody can know before
    reuse: Reuse


class Floor(msgspec.Struct, frozen=True, kw_only=True):
    """``words`` and ``picture``: when the question, and the prompt up to it, can be there at the earliest; the answer
    begins with the later one."""

    words: float
    picture: float
    question: float  # what of the prompt is left to be computed then
    clause: float
    block: float
    total: float


def floor(pace: Pace, asked: Asked) -> Floor:
    """The least that is possible at this pace, with the hold as it is.

    A new scene is encoded and computed while the user speaks; what is left of it beyond the speech is not hidden. Only
    a runtime that finds a prompt's beginning again (``reuse`` "prefix") can compute it ahead with a new picture; one
    that reuses nothing computes all of it once the question is known.
    """
    new = asked.scene != "still"
    before = (asked.prompt_tokens - asked.question_tokens) * pace.token_ms
    time = LATE_MS if asked.scene == "changed late" else asked.speech_ms
    ahead = (pace.encode_ms if new else 0.0) + (before if new and asked.reuse == "prefix" else 0.0)
    kept = asked.reuse == "prefix" or (asked.reuse == "history" and not new)
    left = asked.question_tokens * pace.token_ms + (0.0 if kept else before)
    words, picture = pace.pause_ms + pace.recognition_ms, max(0.0, ahead - time)
    clause = (pace.clause_tokens - 1) * pace.reply_token_ms  # the first token comes with the prompt
    total = max(pace.hold_ms, max(words, picture) + left + clause) + pace.block_ms
    return Floor(words=words, picture=picture, question=left, clause=clause, block=pace.block_ms, total=total)


class Aim(msgspec.Struct, frozen=True):
    """What a 2.5 s question is to take, by scene; ``ratio`` to the sequential flow where the scene is still."""

    still_ms: float
    onset_ms: float
    late_ms: float
    ratio: float | None = None

    def of(self, scene: Scene) -> float:
        return {"still": self.still_ms, "changed at onset": self.onset_ms, "changed late": self.late_ms}[scene]


OVER_FLOOR = 1.15
BUTTON_MS = 400.0  # less, where a button tells the end
AIMS: dict[tuple[str, str], Aim] = {
    ("rk3588", "qwen3-vl-2b"): Aim(1500, 2000, 3500, 0.35),
    ("rk3576", "qwen3-vl-2b"): Aim(2400, 2900, 4200, 0.42),
    ("rk3576", "qwen2.5-vl-3b"): Aim(3500, 4000, 5000),
    ("rk3588", "smolvlm-256m"): Aim(1000, 1000, 1500),
    ("rk3576", "smolvlm-256m"): Aim(1000, 1000, 1500),
}


def quantile(values: Sequence[float], share: float) -> float:
    """Interpolated between the two nearest. ``values``: at least one."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])
