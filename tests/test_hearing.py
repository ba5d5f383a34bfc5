"""One stream of sound, from the first sample to what is told of it: guesses, revisions, ends. See tests/room.py."""

from assistant.messages import Guess, Heard
from tests.room import ALL, WORDS, Enter, enter

__all__ = ["enter"]


def test_the_guess_in_the_pause_is_what_was_heard_and_nothing_is_recognised_twice(enter: Enter) -> None:
    room = enter()
    room.say(ALL)
    room.silence(280)
    assert room.story == ["started 0", f"guess 1: {ALL}"]
    room.silence(20)  # the hold of what looks complete is over
    assert room.story[2:] == ["ended 1: silence", f"heard 1: {ALL}"]
    assert room.reader.asked == ["so far"]
    guess, heard = room.service.told[1], room.service.told[-1]
    assert isinstance(guess, Guess)
    assert isinstance(heard, Heard)
    assert guess.last_sample_at == heard.last_sample_at == 1_000_000_000
    assert (heard.turn.start, heard.language) == (guess.turn.start, "en") == (0, "en")
    assert guess.complete > 0.5


def test_an_open_clause_is_waited_for_and_what_follows_replaces_the_guess(enter: Enter) -> None:
    room = enter()
    room.say("what is on the")
    room.silence(780)
    assert room.story == ["started 0", "guess 1: what is on the"]
    room.say("table")
    assert room.story[2:] == ["started 2"]
    room.silence(300)
    assert room.story[3:] == [f"guess 3: {ALL}", "ended 3: silence", f"heard 3: {ALL}"]
    assert room.reader.asked == ["so far", "so far"]
    assert len({message.turn.start for message in room.service.told if isinstance(message, Guess | Heard)}) == 1


def test_an_open_clause_that_nothing_follows_is_heard_at_last(enter: Enter) -> None:
    room = enter()
    room.say("what is on the")
    room.silence(800)
    assert room.story[-1] == "heard 1: what is on the"
    assert room.reader.asked == ["so far"]


def test_a_guess_that_comes_after_the_end_is_what_was_heard(enter: Enter) -> None:
    room = enter()
    room.say(ALL)
    room.silence(600, understood=False)
    assert room.story == ["started 0", "ended 0: silence"]
    room.understand()
    assert room.story[2:] == [f"heard 0: {ALL}"]
    assert room.reader.asked == ["so far"]


def test_a_guess_that_comes_after_speech_went_on_is_not_told(enter: Enter) -> None:
    room = enter()
    room.say("what is")
    room.silence(220, understood=False)
    room.say("on the table")
    room.understand()
    assert room.story == ["started 0"]
    room.silence(300)
    assert room.story[1:] == [f"guess 1: {ALL}", "ended 1: silence", f"heard 1: {ALL}"]


def test_a_recognizer_that_is_not_asked_on_suspicion_is_asked_once_at_the_end(enter: Enter) -> None:
    room = enter(guesses=False)
    room.say(ALL)
    room.silence(480)
    assert room.story == ["started 0"]
    room.silence(20)
    assert room.story[1:] == ["ended 0: silence", f"heard 0: {ALL}"]
    assert room.reader.asked == ["finish"]


def test_a_press_has_no_hold_and_its_guess_stands_at_the_release(enter: Enter) -> None:
    room = enter()
    room.ear.press(0)
    room.say(ALL)
    room.silence(240)
    room.ear.release(room.ms * 1_000_000)
    assert room.story == ["started 0", f"guess 1: {ALL}", "ended 1: released", f"heard 1: {ALL}"]
    room.ear.press(room.ms * 1_000_000)
    room.say("a ball")
    room.ear.release(room.ms * 1_000_000)
    room.understand()
    assert room.story[4:] == ["started 0", "ended 0: released", "heard 0: a ball"]
    assert room.reader.asked == ["so far", "finish"]


def test_speech_that_never_ends_is_cut_and_what_follows_does_not_disturb_its_answer(enter: Enter) -> None:
    room = enter()
    while "ended 0: too long" not in room.story:
        room.hear(WORDS["ball"], 100)
    room.understand()
    assert room.story == ["started 0", "ended 0: too long", "heard 0: ball"]
    assert isinstance(heard := room.service.told[-1], Heard)
    assert heard.cut
    room.say("table")
    room.busy = "during a reply"
    room.silence(600)
    assert room.story[3:] == ["started 0", "dropped 0: during a reply"]


def test_a_voice_is_told_of_before_it_is_certain_that_somebody_speaks(enter: Enter) -> None:
    room = enter()
    room.hear(0, 100)
    room.hear(1000, 20)
    assert room.service.voices == []  # a click
    room.hear(1000, 20)
    assert [(voice.stream, voice.at) for voice in room.service.voices] == [("s", 100_000_000)]
    assert room.story == []
    room.hear(1000, 500)
    assert len(room.service.voices) == 1
    assert room.story == ["started 0"]
    room.silence(700)
    room.hear(1000, 200)  # what goes on after a pause was looked at already
    assert len(room.service.voices) == 1


def test_what_would_not_be_for_the_assistant_is_no_voice(enter: Enter) -> None:
    room = enter()
    room.busy = "during a reply"
    room.hear(1000, 200)
    assert room.service.voices == []
