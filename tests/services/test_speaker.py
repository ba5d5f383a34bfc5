"""The speaker process: what it plays while somebody speaks over it, and between two sentences."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from assistant.bus import Bus
from assistant.messages import (
    LIVE,
    AudioOut,
    Duck,
    Heartbeat,
    Interrupt,
    Playback,
    ReplyEnded,
    ReplySentence,
    SpeakerIdle,
    Speaking,
    Synthesize,
    Synthesized,
    Turn,
    TurnStarted,
)
from assistant.wire import Received
from tests.processes import PATIENCE_S, service, started

LONG = "I see a red ball, a blue cube, a green cone, a yellow bottle and a white mug on the table."


class Block(NamedTuple):
    at: int  # ns
    rate: int
    pcm: np.ndarray

    @property
    def loud(self) -> float:
        return float(np.sqrt(np.mean(np.square(self.pcm, dtype=np.float64))))


def figures(received: Received) -> dict[str, float]:
    """A heartbeat's figures."""
    return received.message.figures if isinstance(received.message, Heartbeat) else {}


class House:
    """A real speaker, and this test in place of the dialogue and the microphone."""

    def __init__(self, runtime: Path, join: Callable[..., Bus]) -> None:
        self.dialogue, self.microphone, self.client = join("dialogue"), join("microphone"), join()
        self.client.listen(Heartbeat, AudioOut, SpeakerIdle, Playback)
        self.await_one(lambda received: isinstance(received.message, Heartbeat) and received.message.state == "ready")
        for bus, kind in ((self.dialogue, ReplySentence), (self.microphone, Duck)):
            while not bus.wanted(kind):
                bus.receive(0.05)

    def await_one(self, holds: Callable[[Received], bool]) -> Received:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            received = self.client.receive(0.5)
            if received is not None and holds(received):
                return received
        raise AssertionError("it never came")

    def reply(self, *sentences: str) -> Turn:
        turn = Turn(LIVE, time.monotonic_ns())
        self.dialogue.publish(TurnStarted(turn=turn, text="?", spoken=False, last_sample_at=turn.start))
        for index, text in enumerate(sentences):
            self.dialogue.publish(ReplySentence(turn=turn, index=index, text=text, end=0))
        self.dialogue.publish(ReplyEnded(turn=turn, reason="stop", text="", sentences=len(sentences)))
        return turn

    def until_idle(self, turn: Turn) -> Iterator[Received]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            received = self.client.receive(0.5)
            if received is not None:
                yield received
                if isinstance(received.message, SpeakerIdle) and received.message.turn == turn:
                    return
        raise AssertionError("it never fell silent")


@pytest.fixture
def house(runtime: Path, join: Callable[..., Bus]) -> Iterator[House]:
    command = service(
        runtime, "speaker", "assistant.services.speaker", tts={"engine": "espeak", "espeak": {"words_per_minute": 300}}
    )
    with started(command):
        yield House(runtime, join)


def block(received: Received) -> Block | None:
    message = received.message
    if not isinstance(message, AudioOut):
        return None
    return Block(message.first_sample_at, message.rate, np.frombuffer(received.payload, np.int16))


def test_no_sample_is_missing_between_two_sentences(house: House) -> None:
    turn = house.reply("A red ball.", "A blue cube.", "And a cone.")
    blocks = [found for received in house.until_idle(turn) if (found := block(received)) is not None]
    assert len(blocks) > 10
    for before, after in pairwise(blocks):
        assert abs(after.at - before.at - len(before.pcm) * 1_000_000_000 // before.rate) < 1_000_000 // 10
    seconds = sum(len(one.pcm) / one.rate for one in blocks)
    house.await_one(lambda received: figures(received).get("played_s") == pytest.approx(seconds, abs=0.001))
    house.await_one(lambda received: figures(received).get("open") == 1.0)


def test_it_is_soft_within_a_block_while_someone_may_be_speaking_and_comes_back(house: House) -> None:
    turn = house.reply(LONG)
    plain: list[Block] = []
    for received in house.until_idle(turn):
        if (found := block(received)) is not None:
            plain.append(found)
    turn = house.reply(LONG)
    heard: list[Block] = []
    told: list[Playback] = []
    for received in house.until_idle(turn):
        if isinstance(received.message, Playback):
            told.append(received.message)
        if (found := block(received)) is not None:
            heard.append(found)
            if len(heard) == 20:
                house.microphone.publish(Duck(on=True, at=time.monotonic_ns()))
            if len(heard) == 50:
                house.microphone.publish(Duck(on=False, at=time.monotonic_ns()))
    assert len(heard) == len(plain)
    # espeak does not say a sentence twice alike to the sample: here and there a block is louder than its twin
    gains = np.array([now.loud / then.loud for now, then in zip(heard, plain, strict=True) if then.loud > 100])
    soft, full = np.abs(gains - 10 ** (-15 / 20)) < 0.05, np.abs(gains - 1.0) < 0.15
    first, last = np.flatnonzero(soft)[[0, -1]]
    assert np.mean(soft[first : last + 1]) > 0.8
    assert np.mean(full[: first - 1]) > 0.8  # one block lies between, in which it went down: the ramp
    assert np.mean(full[last + 2 :]) > 0.8
    levels = np.array([row for message in told for row in message.levels])
    assert levels.shape == (levels.shape[0], 3)
    assert len(levels) >= 2 * len(heard) - 4
    stamps = [message.first_sample_at for message in told]
    assert stamps == sorted(stamps)


def test_an_interruption_ends_the_softness(house: House) -> None:
    first = house.reply(LONG)
    house.await_one(lambda received: isinstance(received.message, AudioOut))
    house.microphone.publish(Duck(on=True, at=time.monotonic_ns()))
    house.microphone.publish(Interrupt(before=time.monotonic_ns()))
    for _ in house.until_idle(first):
        pass
    turn = house.reply("A red ball.")
    blocks = [found for received in house.until_idle(turn) if (found := block(received)) is not None]
    assert max(found.loud for found in blocks) > 3000


def test_what_a_program_wants_said_comes_to_it_and_does_not_sound(house: House) -> None:
    house.client.listen(Synthesized, Speaking)
    house.client.send(Synthesize(stream="one", text="A red ball."), timeout_s=PATIENCE_S)
    house.client.send(Synthesize(stream="none", text="..."), timeout_s=PATIENCE_S)
    pieces: dict[str, list[Synthesized]] = {"one": [], "none": []}
    sound = np.zeros(0, np.int16)
    while not (pieces["none"] and pieces["none"][-1].last):
        received = house.await_one(lambda received: isinstance(received.message, Synthesized | AudioOut | Speaking))
        assert isinstance(received.message, Synthesized)
        pieces[received.message.stream].append(received.message)
        if received.message.stream == "one":
            sound = np.concatenate([sound, np.frombuffer(received.payload, np.int16)])
    assert [piece.index for piece in pieces["one"]] == list(range(len(pieces["one"])))
    assert [piece.last for piece in pieces["one"]] == [False] * (len(pieces["one"]) - 1) + [True]
    assert not any(piece.error for piece in pieces["one"])
    assert 0.3 < len(sound) / pieces["one"][0].rate < 3.0
    assert np.abs(sound).max() > 3000
