"""Who has the floor: tables of messages, and whether the assistant is still answering after them."""

import pytest

from assistant.core.floor import Floor
from assistant.messages import (
    LIVE,
    Interrupt,
    Message,
    ReplyEnded,
    SpeakerIdle,
    Speaking,
    Spoken,
    Turn,
    TurnStarted,
)

TURN, OLDER, GUEST = Turn(LIVE, 10), Turn(LIVE, 5), Turn("guest", 11)
SECOND = 1_000_000_000


def started(turn: Turn = TURN) -> TurnStarted:
    return TurnStarted(turn=turn, text="?", spoken=True, last_sample_at=turn.start)


def ended(sentences: int, turn: Turn = TURN) -> ReplyEnded:
    return ReplyEnded(turn=turn, reason="stop", text="", sentences=sentences)


@pytest.mark.parametrize(
    ("messages", "taken"),
    [
        ([], False),
        ([started()], True),
        ([started(), ended(0)], False),  # nothing is going to be spoken
        ([started(), ended(2)], True),  # written, but not yet spoken
        ([started(), ended(2), SpeakerIdle(turn=TURN)], False),
        ([started(), SpeakerIdle(turn=OLDER)], True),  # the one before fell silent
        ([started(), Interrupt(before=TURN.start + 1)], False),
        ([started(), Interrupt(before=TURN.start)], True),  # meant for what came before
        ([started(), Interrupt(conversation="guest", before=TURN.start + 1)], True),
        ([started(GUEST)], False),  # a program's conversation is not spoken
        ([started(OLDER), started(), ended(0, OLDER)], True),
    ],
)
def test_the_floor_after(messages: list[Message], taken: bool) -> None:
    floor = Floor()
    for at, message in enumerate(messages):
        floor.fold(message, at)
    assert floor.taken(len(messages)) is taken


def test_a_reply_that_nothing_is_seen_of_lets_go_of_the_floor() -> None:
    floor = Floor(patience_s=20)
    floor.fold(started(), 0)
    assert floor.taken(20 * SECOND)
    assert not floor.taken(20 * SECOND + 1)
    floor.fold(Speaking(turn=TURN, index=0, first_sample_at=0), 15 * SECOND)
    floor.fold(Spoken(turn=OLDER, index=0, text="", complete=True), 30 * SECOND)
    assert floor.taken(35 * SECOND)
    assert not floor.taken(36 * SECOND)


@pytest.mark.parametrize(
    ("messages", "answered"),
    [
        ([], False),
        ([started(), ended(2)], False),  # written, but nothing of it sounds
        ([started(), Speaking(turn=TURN, index=0, first_sample_at=0)], True),
        ([started(), ended(0)], True),  # over, without a sound
        ([Speaking(turn=OLDER, index=0, first_sample_at=0)], False),
        ([Speaking(turn=GUEST, index=0, first_sample_at=0)], False),
        ([started(), Interrupt(before=TURN.start + 1)], True),
        ([started(), Interrupt(before=TURN.start)], False),
        ([started(), Interrupt(conversation="guest", before=TURN.start + 1)], False),
    ],
)
def test_whether_a_turn_was_answered_after(messages: list[Message], answered: bool) -> None:
    floor = Floor()
    for at, message in enumerate(messages):
        floor.fold(message, at)
    assert floor.answered(TURN) is answered


def test_what_the_user_went_on_with_is_not_answered_by_the_reply_to_less() -> None:
    floor = Floor()
    floor.fold(ended(0), 0)
    assert floor.answered(TURN)
    assert not floor.answered(Turn(LIVE, TURN.start, 1))


def test_a_restarted_process_frees_the_floor() -> None:
    floor = Floor()
    floor.fold(started(), 0)
    floor.free()
    assert not floor.taken(0)
