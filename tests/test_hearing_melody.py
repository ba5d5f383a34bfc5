"""A detector that listens to the melody of speech, beside the words: it moves the hold, and nobody waits for it."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.melody import Weighed
from assistant.messages import SpeechEnded
from assistant.scribe import Failed
from pipelines.engine import EngineError
from tests.room import ALL, PATIENCE_S, Enter, Room, enter

__all__ = ["enter"]

HOLDS = {"complete": 300, "undecided": 500, "open": 800}  # of tests/room.py, ms


class Melody:
    """A detector that hears what it is told to; it can be held up, and broken."""

    def __init__(self) -> None:
        self.melody, self.broken = 1.0, False
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def complete(self, tail: NDArray[np.int16]) -> float:
        assert self.may_go_on.wait(PATIENCE_S)
        if self.broken:
            raise EngineError("the melody is broken")
        return self.melody


@pytest.fixture
def melody() -> Iterator[Melody]:
    one = Melody()
    yield one
    one.may_go_on.set()


def held(room: Room, kind: type[Weighed] | type[Failed] | None = Weighed) -> int:
    """How long it is waited for more, ms, from here on, if this comes of the pause beside the words."""
    began = room.ms
    room.silence(200)
    if kind is not None:
        room.until(kind)
    while not any(message.startswith("ended") for message in room.story):
        room.silence(20)
        assert room.ms - began < 2000
    return room.ms - began


@pytest.mark.parametrize(
    ("words", "unfinished", "finished"),
    [
        ("table", "open", "complete"),  # the words are undecided
        ("is a ball on table", "undecided", "complete"),  # they look whole
        ("what is on the", "open", "open"),  # they want more, and overrule it
    ],
)
def test_words_and_melody_choose_the_hold(
    words: str, unfinished: str, finished: str, enter: Enter, melody: Melody
) -> None:
    for melody.melody, hold in ((0.1, unfinished), (0.9, finished)):
        room = enter(melody=melody)
        room.say(words)
        assert held(room) == HOLDS[hold]


@pytest.mark.parametrize("words", ["table", ALL, "what is on the"])
def test_a_melody_that_is_long_in_coming_is_not_waited_for(words: str, enter: Enter, melody: Melody) -> None:
    room = enter()
    room.say(words)
    alone = held(room, None)
    melody.may_go_on.clear()
    room = enter(melody=melody)
    room.say(words)
    assert held(room, None) == alone
    assert room.story[-1] == f"heard 1: {words}"
    melody.may_go_on.set()
    room.until(Weighed)
    assert room.story[-1] == f"heard 1: {words}"  # what it says then is of no more use
    ended = next(message for message in room.service.told if isinstance(message, SpeechEnded))
    assert (ended.detector_at, ended.detector_ms) == (0, 0)


@pytest.mark.parametrize(("melody_says", "hold"), [(0.1, "open"), (0.9, "undecided")])
def test_before_the_words_are_known_the_melody_may_prolong_the_hold_and_not_shorten_it(
    melody_says: float, hold: str, enter: Enter, melody: Melody
) -> None:
    melody.melody = melody_says
    room = enter(melody=melody)
    room.reader.may_go_on.clear()
    room.say(ALL)
    room.silence(200, understood=False)
    room.until(Weighed)
    room.silence(HOLDS[hold] - 220, understood=False)
    assert room.story == ["started 0"]
    room.silence(20, understood=False)
    assert room.story == ["started 0", "ended 0: silence"]
    room.reader.may_go_on.set()
    room.understand()
    assert room.story[-1] == f"heard 0: {ALL}"


def test_its_time_is_told_where_it_had_its_say(enter: Enter, melody: Melody) -> None:
    room = enter(melody=melody)
    room.say("table")
    began = time.monotonic_ns()
    held(room)
    ended = next(message for message in room.service.told if isinstance(message, SpeechEnded))
    assert began < ended.detector_at < time.monotonic_ns()
    assert 0 < ended.detector_ms < (time.monotonic_ns() - began) / 1e6


def test_what_it_said_of_a_pause_is_void_when_speech_goes_on(enter: Enter, melody: Melody) -> None:
    room = enter(melody=melody)
    melody.melody = 0.1
    room.say("a ball")
    room.silence(220)
    room.until(Weighed)
    room.scribe.said.clear()
    room.say("on table")
    melody.melody = 0.9
    assert held(room) == HOLDS["complete"]


def test_where_nobody_guesses_the_words_it_may_prolong_the_hold_and_not_shorten_it(
    enter: Enter, melody: Melody
) -> None:
    for melody.melody, hold in ((0.9, "undecided"), (0.1, "open")):
        room = enter(guesses=False, melody=melody)
        room.say(ALL)
        assert held(room) == HOLDS[hold]


def test_one_that_fails_is_told_and_the_words_decide(enter: Enter, melody: Melody) -> None:
    melody.broken = True
    room = enter(melody=melody)
    room.say("table")
    assert held(room, Failed) == HOLDS["undecided"]
    assert room.story[-1] == "heard 1: table"
    assert "the melody is broken" in room.service.states[0]
