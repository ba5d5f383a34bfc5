"""What comes to nothing: given up, failed, too late, not for the assistant; and what is told of it."""

import pytest

from assistant import saying
from pipelines.asr import Recognition
from tests.room import ALL, Enter, enter

__all__ = ["enter"]


@pytest.mark.parametrize("pause_ms", [0, 220])
def test_what_is_given_up_voids_every_guess(pause_ms: int, enter: Enter) -> None:
    room = enter()
    room.say("what is")
    room.silence(pause_ms, understood=False)
    room.ear.drop("the microphone is lost")
    room.understand()
    assert room.story == ["started 0", "dropped 0: the microphone is lost"]


def test_what_is_being_recognised_is_given_up_too(enter: Enter) -> None:
    room = enter(guesses=False)
    room.say(ALL)
    room.silence(600, understood=False)
    room.ear.drop("muted")
    room.understand()
    assert room.story == ["started 0", "ended 0: silence", "dropped 0: muted"]


def test_a_recognizer_that_fails_is_told_and_the_next_question_is_heard(enter: Enter) -> None:
    room = enter()
    room.reader.broken = True
    room.say(ALL)
    room.silence(600)
    assert room.story == ["started 0", "ended 0: silence", "dropped 0: recognition failed: the reader is broken"]
    assert room.service.state == "degraded: the reader is broken"
    room.reader.broken = False
    room.say(ALL)
    room.silence(300)
    assert room.story[-1] == f"heard 1: {ALL}"
    assert room.service.state == "ready"


def test_what_was_understood_far_too_late_is_not_answered(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saying, "STALE_S", -1.0)
    room = enter()
    room.say(ALL)
    room.silence(300)
    assert room.story[-1] == "dropped 1: understood too late to be answered"


def test_speech_during_a_reply_is_ignored(enter: Enter) -> None:
    room = enter()
    room.busy = "during a reply"
    room.say(ALL)
    room.silence(600)
    assert room.story == ["dropped 0: during a reply"]
    assert room.reader.asked == []


@pytest.mark.parametrize("guesses", [True, False])
@pytest.mark.parametrize(
    ("says", "why"),
    [
        (Recognition(), "not understood"),
        (Recognition(text=" ... ", language="en"), "not understood"),
        (Recognition(text="ball " * 100, language="en"), "repetition"),
        (Recognition(text="球" * 100, language="zh"), "repetition"),
        (Recognition(text="wie spät ist es", language="de"), "another language: de"),
    ],
)
def test_what_nobody_can_have_asked_is_told_and_opens_no_turn(
    says: Recognition, why: str, guesses: bool, enter: Enter
) -> None:
    room = enter(guesses)
    room.reader.says = says
    room.say(ALL)
    room.silence(1000)
    assert room.story == ["started 0", "ended 0: silence", f"dropped 0: {why}"]
    room.reader.says = None
    room.say(ALL)
    room.silence(600)
    assert room.story[-1].endswith(f": {ALL}")
