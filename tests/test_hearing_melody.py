"""A detector that listens to the melody of speech, beside the words: it moves the hold, and nobody waits for it."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.messages import SpeechEnded
from pipelines.engine import EngineError
from tests.room import ALL, PATIENCE_S, Enter, Room, enter

__all__ = ["enter"]

HOLDS = {"complete": 300, "undecided": 500, "open": 800}  # of tests/room.py, ms


class Melody:
    """A detector that hears what it is told to, and counts how often; it can be held up, and broken."""

    def __init__(self) -> None:
        self.melody, self.heard, self.broken = 1.0, 0, False
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def complete(self, tail: NDArray[np.int16]) -> float:
        assert self.may_go_on.wait(PATIENCE_S)
        if self.broken:
            raise EngineError("the melody is broken")
        self.heard += 1
        return self.melody


@pytest.fixture
def melody() -> Iterator[Melody]:
    one = Melody()
    yield one
    one.may_go_on.set()


def held(room: Room) -> int:
    """How long it is waited for more, ms, from here on."""
    began = room.ms
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
    alone = held(room)
    melody.may_go_on.clear()
    room = enter(melody=melody)
    room.say(words)
    room.silence(200, understood=False)
    told_before = len(room.story)
    room.await_guess()
    assert len(room.story) > told_before
    room.silence(alone - 200, understood=False)
    assert any(message.startswith("ended") for message in room.story)
    assert room.story[-1] == f"heard 1: {words}"
    melody.may_go_on.set()
    room.understand()
    assert room.story[-1] == f"heard 1: {words}"  # what it says then is of no more use


def test_its_time_is_told_where_it_had_its_say(enter: Enter, melody: Melody) -> None:
    def ended(words: str) -> SpeechEnded:
        room = enter(melody=melody)
        room.say(words)
        held(room)
        return next(message for message in room.service.told if isinstance(message, SpeechEnded))

    assert ended("table").detector_at > 0
    assert ended("table").detector_ms > 0
    assert (ended("what is on the").detector_at, ended("what is on the").detector_ms) == (0, 0)
    assert melody.heard == 2


def test_what_it_said_of_a_pause_is_void_when_speech_goes_on(enter: Enter, melody: Melody) -> None:
    room = enter(melody=melody)
    melody.melody = 0.1
    room.say("a ball")
    room.silence(400)
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
    assert held(room) == HOLDS["undecided"]
    assert room.story[-1] == "heard 1: table"
    assert "the melody is broken" in room.service.states[0]
