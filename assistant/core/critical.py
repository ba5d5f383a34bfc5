"""Where the silence between a question and its answer goes: the stages of a turn, cut so that they add up.

Stages overlap: a picture is encoded while the user still speaks, the voice begins while the model still writes. Of
those under way at an instant, one is what the answer waits for at that instant: the one that stands first in ORDER.
"""

import itertools
from collections.abc import Iterable

import msgspec

from assistant.core.turnfacts import TurnRecord

# A stage, and what it is called where the answer waits for it. The end of speech and its words come first, because
# nothing may sound before them; then the voice, because once it has its first words the model is waited for no more.
# What was begun ahead ("encode ahead") is waited for like the stage itself.
ORDER: dict[str, str] = {
    "endpoint": "hold",
    "asr": "recognition",
    "output": "output",
    "voice": "voice",
    "encode": "picture",
    "prefill": "prefill",
    "generate": "first clause",
}
NPU = "waiting for the NPU"  # a stage that "waits"
OUTSIDE = ("speech", "sound")  # before and after the silence
REST = "between"  # no stage is under way: messages, and what nobody told of
LOOK = "waiting for the picture"  # so is what lies before its encoding: a frame is awaited


class Part(msgspec.Struct, frozen=True):
    name: str
    begin: int  # CLOCK_MONOTONIC ns
    end: int

    @property
    def ms(self) -> float:
        return (self.end - self.begin) / 1e6


def critical(record: TurnRecord) -> tuple[Part, ...]:
    """From the last sample of the question to the first of the answer, one part after another without gap or overlap;
    () where nothing sounded. A stage that is not in ORDER counts where no other is under way, by its own name."""
    heard_ms = record.timings_ms.get("first_audio")
    if heard_ms is None or heard_ms <= 0:
        return ()
    begin, end = record.asked_at, record.asked_at + round(heard_ms * 1e6)
    stages = [(name, max(a, begin), min(b, end)) for name, a, b in record.stages if name not in OUTSIDE]
    stages = sorted((stage for stage in stages if stage[1] < stage[2]), key=_rank)
    edges = sorted({begin, end, *(edge for _, *both in stages for edge in both)})
    parts: list[Part] = []
    for since, until in itertools.pairwise(edges):
        stage = next((name for name, a, b in stages if a <= since and until <= b), None)
        if stage is not None:
            name = called(stage)
        else:
            name = _gap(parts[-1].name if parts else "", next((name for name, a, _ in stages if a == until), ""))
        if parts and parts[-1].name == name:
            since = parts.pop().begin
        parts.append(Part(name, since, until))
    return tuple(parts)


def called(stage: str) -> str:
    """What a stage is called where the answer waits for it."""
    return NPU if stage.endswith(" waits") else ORDER.get(_head(stage), stage)


def by_name(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The lengths of (name, length), each name once, in the order of its first."""
    lengths: dict[str, float] = {}
    for name, length in parts:
        lengths[name] = lengths.get(name, 0.0) + length
    return lengths


def _gap(before: str, then: str) -> str:
    """What is done while no stage is under way, by what comes before and after."""
    if _head(then) == "encode":
        return LOOK
    if before == ORDER["prefill"] and then == "generate":
        return ORDER["generate"]  # its first token, of which the model tells when it is there
    return REST


def _head(stage: str) -> str:
    return stage.partition(" ")[0]


def _rank(stage: tuple[str, int, int]) -> tuple[int, int]:
    names = list(ORDER)
    head = _head(stage[0])
    return (names.index(head) if head in ORDER else len(names), stage[1])
