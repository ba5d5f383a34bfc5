"""Whom a stream listens to: wake words in one breath and alone, follow-ups, thank-yous, the button.

In the room of tests/room.py, where a sound's level is its word; the spotter knows the level of "hey".
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.bus import Bus
from assistant.core.attention import Mode, Settings
from assistant.hearing import Ear
from assistant.messages import WakeWord
from assistant.notify import Notifier
from assistant.waking import ROLL_MS, Waking
from pipelines.wakeword import Detection
from tests.room import ALL, ENDPOINT, NAMES, WORDS, Loudness, Reader, Recorded, Room

HEY = 12_000
S = 1_000_000_000
ATTENTION = Settings(listen_s=3, follow_up_s=2, follow_up_question_s=4)


class Spotter:
    """Tells of "hey" so many ms after its end, and once more 100 ms later, as another phrase that overlaps with it.
    With ``early_ms`` it does not know the end, and tells one that is so much too early."""

    phrases: tuple[str, ...] = ("hey you", "you there")

    def __init__(self, late_ms: int, early_ms: int = 0) -> None:
        self._late, self._fed, self._end = late_ms * 16, 0, 0
        self._early = early_ms * 16

    def feed(self, pcm: NDArray[np.int16]) -> list[Detection]:
        self._fed += len(pcm)
        if int(pcm[0]) == HEY:
            self._end = self._fed
        late = self._fed - self._end if self._end else -1
        told = {self._late: "hey you", self._late + 1600: "you there"}.get(late)
        return [Detection(told, 0.9, self._end - self._early, self._fed if self._early else 0)] if told else []

    def reset(self) -> None:
        self._fed = self._end = 0


class Called(Room):
    """A room whose microphone has a mode."""

    def __init__(self, service: Recorded, mode: Mode, late_ms: int, early_ms: int) -> None:
        super().__init__(service, Reader(), Loudness())
        spotter = Spotter(late_ms, early_ms) if mode == "wakeword" else None
        self.ear = Ear(service, self.scribe, Loudness(), ENDPOINT, self, Waking(mode, ATTENTION, spotter))

    def call(self) -> None:
        self.hear(HEY, 400)

    def ask(self) -> None:
        self.say(ALL)
        self.silence(300)

    def reply(self, text: str, seconds: float) -> None:
        """The turn that was heard last is answered; after that it is silent for so long."""
        start = next(message.turn.start for message in reversed(self.service.told) if hasattr(message, "turn"))
        self.answering = True
        self.silence(1000)
        self.ear.replied(start, text, self.ms * 1_000_000)
        self.silence(int(seconds * 1000))


@pytest.fixture(autouse=True)
def _what_is_left_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sound before the question that belongs to it, should the wake word have ended later."""
    monkeypatch.setitem(NAMES, HEY, "hey you")


@pytest.fixture
def enter(join: Callable[..., Bus], tmp_path: Path) -> Iterator[Callable[..., Called]]:
    service, rooms = Recorded(join("microphone"), Notifier(), tmp_path), list[Called]()

    def one(mode: Mode = "wakeword", late_ms: int = 200, early_ms: int = 0) -> Called:
        rooms.append(Called(service, mode, late_ms, early_ms))
        return rooms[-1]

    yield one
    for room in rooms:
        room.scribe.close()


Enter = Callable[..., Called]
HEARD = ["ended 1: silence", f"heard 1: {ALL}"]


@pytest.mark.parametrize("pause_ms", [0, 60, 300, 1500])
@pytest.mark.parametrize("late_ms", [20, 200, 600, 1000])
def test_what_follows_the_wake_word_is_heard_from_its_first_sound_on(enter: Enter, pause_ms: int, late_ms: int) -> None:
    """In one breath, and after a pause; however late the engine tells of it."""
    room = enter(late_ms=late_ms)
    room.silence(500)
    room.call()
    room.silence(pause_ms)
    room.ask()
    room.silence(800)
    told = [line for line in room.story if line != "dropped 0: no wake word"]  # an engine that is later than the hold
    assert told[:2] == ["WakeWord", "started 0"]
    assert told[-2:] == HEARD
    call = next(message for message in room.service.told if isinstance(message, WakeWord))
    assert (call.phrase, call.at, call.stream, call.score) == ("hey you", 900_000_000, "s", 0.9)
    assert ROLL_MS > 0


def test_without_the_wake_word_speech_opens_no_turn_and_says_why(enter: Enter) -> None:
    room = enter()
    room.ask()
    room.silence(400)
    assert room.story == ["dropped 0: no wake word"]
    assert room.reader.asked == []  # and nothing is recognised


@pytest.mark.parametrize("early_ms", [0, 100, 300])
@pytest.mark.parametrize("late_ms", [20, 200, 600])
def test_a_wake_word_that_nothing_follows(enter: Enter, late_ms: int, early_ms: int) -> None:
    """Also by an engine that leaves the end of the phrase before the question: it is no question."""
    room = enter(late_ms=late_ms, early_ms=early_ms)
    room.silence(500)
    room.call()
    room.silence(4000)
    told = [line for line in room.story if line != "dropped 0: no wake word"]  # an engine that is later than the hold
    assert told == ["WakeWord", "started 0", "dropped 0: nothing followed the wake word"]
    room.ask()
    room.silence(400)
    assert room.story[-1] == "dropped 0: no wake word"


@pytest.mark.parametrize(
    ("reply", "seconds", "heard"), [("Red.", 1.5, True), ("Red.", 2.5, False), ("Which?", 3.5, True)]
)
def test_a_follow_up_needs_no_wake_word_for_a_while(enter: Enter, reply: str, seconds: float, heard: bool) -> None:
    room = enter()
    room.call()
    room.ask()
    room.reply(reply, seconds)
    room.service.told.clear()
    room.ask()
    room.silence(300)
    assert room.story == ["started 0", f"guess 1: {ALL}", *HEARD] if heard else ["dropped 0: no wake word"]


def test_thanks_close_it(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NAMES, WORDS["ball"], "thank you")
    room = enter()
    room.call()
    room.ask()
    room.reply("Which?", 0.5)
    room.service.told.clear()
    room.hear(WORDS["ball"], 400)
    room.silence(600)
    assert room.story == ["started 0", "ended 0: silence", "dropped 0: closed with a thank-you"]
    room.ask()
    room.silence(300)
    assert room.story[3:] == ["dropped 0: no wake word"]


def test_one_that_is_not_understood_may_be_said_again(enter: Enter) -> None:
    room = enter()
    room.call()
    room.hear(WORDS["COUGH"], 400)
    room.silence(1200)
    room.ask()
    assert [line for line in room.story if line.startswith(("dropped", "heard"))] == [
        "dropped 0: not understood",
        f"heard 1: {ALL}",
    ]


@pytest.mark.parametrize("early_ms", [0, 300])
@pytest.mark.parametrize("pause_ms", [0, 400])
def test_wake_words_that_overlap_are_one(enter: Enter, pause_ms: int, early_ms: int) -> None:
    """Two phrases in the same sound; what follows is asked once, and whole."""
    room = enter(early_ms=early_ms)
    room.silence(500)
    room.call()
    room.silence(pause_ms)
    room.ask()
    room.silence(800)
    assert [message.phrase for message in room.service.told if isinstance(message, WakeWord)] == ["hey you"]
    assert [line for line in room.story if line.startswith(("started", "heard"))] == ["started 0", f"heard 1: {ALL}"]


def test_one_that_is_said_twice_at_once_is_cut_off_twice(enter: Enter) -> None:
    room = enter(late_ms=100)
    for _ in range(2):
        room.call()
        room.silence(100)
    room.ask()
    room.silence(800)
    assert [line for line in room.story if line.startswith("heard")] == [f"heard 1: {ALL}"]


def test_one_after_another_that_nothing_followed(enter: Enter) -> None:
    room = enter()
    for _ in range(2):
        room.call()
        room.silence(1500)
    assert room.story == [
        *("WakeWord", "started 0", "WakeWord"),
        *("dropped 0: begun anew with the wake word", "started 0"),
    ]
    room.ask()
    room.silence(800)
    assert room.story[-1] == f"heard 1: {ALL}"


def test_a_wake_word_in_the_midst_of_a_question_begins_it_anew(enter: Enter) -> None:
    room = enter()
    room.call()
    room.say("is a ball")
    room.silence(100)
    room.hear(HEY, 400)
    room.ask()
    lines = [line for line in room.story if not line.startswith("guess")]
    assert lines == [
        *("WakeWord", "started 0", "WakeWord", "dropped 0: begun anew with the wake word", "started 0"),
        *HEARD,
    ]


def test_it_is_heard_during_a_reply_that_speech_does_not_interrupt(enter: Enter) -> None:
    room = enter()
    room.busy = "during a reply"
    room.call()
    room.ask()
    assert room.interrupted == [400_000_000]
    assert room.story == ["WakeWord", "started 0", f"guess 1: {ALL}", *HEARD]


def test_the_wake_word_is_cut_off_the_text(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a follow-up that begins with it, and where the engine tells of its begin rather than of its end."""
    monkeypatch.setitem(NAMES, WORDS["a"], "Hey you,")
    room = enter()
    room.call()
    room.say(f"a {ALL}")
    room.silence(300)
    assert room.story[-1] == f"heard 1: {ALL}"
    room.reply("Which?", 0.5)
    room.hear(WORDS["a"], 400)
    room.silence(600)
    assert room.story[-1] == "dropped 0: nothing followed the wake word"


def test_only_the_button_opens_where_that_is_wanted(enter: Enter) -> None:
    room = enter("push_to_talk")
    room.ask()
    room.silence(300)
    assert room.story == ["dropped 0: the button was not pressed"]
    room.say("is a ball")
    room.ear.press(room.ms * 1_000_000)  # in mid-speech
    room.say(ALL)
    room.ear.release(room.ms * 1_000_000)
    room.silence(100)
    room.understand()
    assert room.story[1:] == ["started 0", "ended 0: released", f"heard 0: ball {ALL}"]  # with its pre-roll


def test_in_the_open_mode_all_is_as_ever(enter: Enter) -> None:
    room = enter("open")
    room.ask()
    assert room.story == ["started 0", f"guess 1: {ALL}", *HEARD]
