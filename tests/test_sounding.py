"""What is known of replies that are being spoken, also when the speaker dies over one."""

from assistant.core.reply import Reply
from assistant.messages import LIVE, Turn
from assistant.sounding import Sounding

ONE, AGAIN, TWO = Turn(LIVE, 5, 1), Turn(LIVE, 5, 3), Turn(LIVE, 9)


def reply(text: str) -> Reply:
    made = Reply()
    made.add(text)
    made.finish()
    return made


def test_what_was_heard_is_told_where_it_is_not_all() -> None:
    sounding = Sounding()
    for turn in (ONE, TWO):
        sounding.add(turn, reply("The ball is red."), cut=False)
    first = sounding.of(ONE)
    assert first is not None
    first.spoken(0, "The ball", complete=False)
    assert sounding.over(ONE) == "The ball"
    second = sounding.of(TWO)
    assert second is not None
    second.spoken(0, "The ball is red.", complete=True)
    assert sounding.over(TWO) is None
    assert sounding.over(TWO) is None


def test_nothing_is_waited_for_without_the_speaker_that_had_it() -> None:
    sounding = Sounding()
    sounding.add(ONE, reply("x"), cut=False)
    assert not sounding.going_on
    sounding.speaker(17.0)
    assert sounding.going_on
    sounding.speaker(17.0)
    assert sounding.going_on
    sounding.speaker(18.0)
    assert not sounding.going_on


def test_a_question_that_is_another_one_now_has_no_reply_yet() -> None:
    sounding = Sounding()
    for turn in (ONE, TWO):
        sounding.add(turn, reply("x"), cut=False)
    sounding.replaced(AGAIN)
    assert sounding.of(ONE) is None
    assert sounding.of(TWO) is not None
