"""An utterance that goes on after its end, and one that a cough stands before or after: one turn, and none is lost."""

import pytest

from assistant.messages import Heard
from tests.room import ALL, Enter, enter

__all__ = ["enter"]


@pytest.mark.parametrize(("guesses", "asked"), [(True, ["so far", "so far"]), (False, ["finish", "finish"])])
def test_speech_soon_after_it_was_heard_opens_the_turn_again_and_all_of_it_is_understood(
    guesses: bool, asked: list[str], enter: Enter
) -> None:
    room = enter(guesses)
    room.say(ALL)
    room.silence(1_000)
    assert room.story[-1] == f"heard {int(guesses)}: {ALL}"
    room.say("and a ball")
    room.silence(500)
    again = room.story.index(f"heard {int(guesses)}: {ALL}") + 1
    whole = f"{ALL} and a ball"
    if guesses:
        assert room.story[again:] == ["started 2", f"guess 3: {whole}", "ended 3: silence", f"heard 3: {whole}"]
    else:
        assert room.story[again:] == ["started 1", "ended 1: silence", f"heard 1: {whole}"]
    assert {message.turn.start for message in room.service.told if isinstance(message, Heard)} == {0}
    assert room.reader.asked == asked


def test_speech_between_the_end_and_what_was_heard_of_it_belongs_to_it(enter: Enter) -> None:
    room = enter(guesses=False)
    room.reader.may_go_on.clear()
    room.say(ALL)
    room.silence(600, understood=False)
    room.say("and a ball")
    room.silence(600, understood=False)
    room.reader.may_go_on.set()
    room.understand()  # it is not asked for guesses …
    room.understand()  # … and so for the whole
    assert room.story == ["started 0", "ended 0: silence", "ended 0: silence", f"heard 0: {ALL} and a ball"]


def test_what_is_being_answered_is_not_opened_again(enter: Enter) -> None:
    room = enter()
    room.say(ALL)
    room.silence(400)
    room.answering = True
    room.say("a ball")
    room.silence(500)
    assert room.story[-4:] == ["started 0", "guess 1: a ball", "ended 1: silence", "heard 1: a ball"]


def test_a_cough_after_a_question_does_not_lose_it(enter: Enter) -> None:
    room = enter()
    room.say(ALL)
    room.silence(400)
    room.say("COUGH")
    room.silence(900)
    assert room.story[-3:] == ["started 2", "ended 2: silence", f"heard 2: {ALL}"]


def test_what_makes_no_sense_is_waited_for_and_then_dropped(enter: Enter) -> None:
    room = enter()
    room.say("what COUGH")
    room.silence(780)
    assert room.story == ["started 0"]
    room.silence(20)
    assert room.story[1:] == ["ended 0: silence", "dropped 0: not understood"]
    room.say(ALL)
    room.silence(300)
    assert room.story[-1] == f"heard 1: {ALL}"  # a turn of its own


def test_a_cough_before_a_question_does_not_lose_it(enter: Enter) -> None:
    room = enter()
    room.say("COUGH")
    room.silence(600)
    room.say(ALL)
    room.silence(820)
    assert room.story == ["started 0", "ended 0: silence", f"heard 0: {ALL}"]
    assert room.reader.asked == ["so far", "so far", "finish"]
