"""The conversation: what is remembered, and how a language model is told of it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.core.conversation import Conversation, PictureRef, Record, Rendered

S = 1_000_000_000
A, B, C = (PictureRef(name, captured_at=at, taken=f"09:0{at}") for at, name in enumerate("abc", 1))
PICTURE_TOKENS = 10


def count(messages: Sequence[Rendered]) -> int:
    """Tokens as a model would count them: words, and PICTURE_TOKENS a picture."""
    parts = [part for message in messages for part in message.content]
    return sum(len(part.split()) if isinstance(part, str) else PICTURE_TOKENS for part in parts)


def talk(*turns: tuple[str, PictureRef | None, str | None], keep: bool = True) -> Conversation:
    conversation = Conversation(keep)
    for number, (question, picture, reply) in enumerate(turns, 1):
        conversation.ask(question, picture, start=number * S, wall=number, at=number * S)
        if reply is not None:
            conversation.reply(reply, wall=number, at=number * S)
    return conversation


def told(conversation: Conversation, budget: int = 10_000, **options: Any) -> list[tuple[str, ...]]:
    """Each message as (role, parts); a picture as its identity in brackets."""
    return [
        (message.role, *(part if isinstance(part, str) else f"<{part.identity}>" for part in message.content))
        for message in conversation.render(budget=budget, count=count, **options)
    ]


def test_a_picture_stands_before_the_question_that_brought_it() -> None:
    conversation = talk(("what color is the ball", A, "red"), ("and the cube", A, None))
    assert told(conversation, system="be kind", examples=[("q", "a")]) == [
        ("system", "be kind"),
        ("user", "q"),
        ("assistant", "a"),
        ("user", "<a>", "what color is the ball"),
        ("assistant", "red"),
        ("user", "and the cube"),
    ]


@pytest.mark.parametrize(
    ("live", "pictures"),
    [(0, []), (1, ["<c>"]), (2, ["<b>", "<c>"]), (3, ["<a>", "<b>", "<c>"]), (9, ["<a>", "<b>", "<c>"])],
)
def test_only_the_newest_pictures_are_live(live: int, pictures: list[str]) -> None:
    messages = told(talk(("one", A, "1"), ("two", B, "2"), ("three", C, None)), live_pictures=live)
    assert [part for message in messages for part in message[1:] if part.startswith("<")] == pictures
    if live < 3:
        assert messages[0] == ("user", "[picture taken at 09:01, no longer shown]\none")


def test_a_chinese_turn_has_a_chinese_line() -> None:
    conversation = Conversation()
    conversation.ask("有球吗", A, start=1, wall=0, at=0, language="zh")
    conversation.ask("现在呢", B, start=2, wall=0, at=0, language="zh")
    assert told(conversation)[0] == ("user", "[09:01 拍的照片，已不在眼前]\n有球吗")


def test_only_what_was_heard_was_said() -> None:
    conversation = talk(("what is there", A, "A red ball and a blue cube."))
    conversation.heard("A red ball", wall=2, at=2 * S)
    assert conversation.last_reply == "A red ball"
    assert conversation.turns[-1].cut
    conversation.ask("and then", A, start=2 * S, wall=2, at=2 * S)
    assert told(conversation)[1] == ("assistant", "A red ball")


def test_an_unheard_reply_keeps_the_roles_alternating() -> None:
    conversation = talk(("one", A, "planned"), ("two", A, None), ("three", A, None))
    conversation.heard("", wall=1, at=1, start=1 * S)
    assert [message[0] for message in told(conversation)] == ["user", "assistant", "user", "assistant", "user"]
    assert told(conversation)[1] == told(conversation)[3] == ("assistant", "")
    assert conversation.last_reply == ""


def test_a_revision_replaces_the_last_question() -> None:
    conversation = talk(("one", A, "1"), ("is there", A, None))
    conversation.ask("is there a ball", B, start=2 * S, wall=2, at=2 * S)
    assert [turn.question for turn in conversation.turns] == ["one", "is there a ball"]
    conversation.withdraw(2 * S)
    assert [turn.question for turn in conversation.turns] == ["one"]


def test_clear_forgets_everything() -> None:
    conversation = talk(("one", A, "1"))
    conversation.clear()
    conversation.reply("too late", wall=9, at=9, start=1 * S)
    assert (conversation.turns, conversation.picture, conversation.last_reply) == ((), None, "")
    assert not conversation.over(10**18)


def test_the_picture_in_context_is_the_newest_that_was_asked_about() -> None:
    assert Conversation().picture is None
    conversation = talk(("one", A, "1"), ("two", B, "2"), ("thank you", None, "3"))
    assert conversation.picture == B
    conversation.retire_pictures()
    assert conversation.picture is None
    assert told(conversation)[2] == ("user", "[picture taken at 09:02, no longer shown]\ntwo")


def test_a_picture_moves_on_when_its_turn_is_dropped() -> None:
    conversation = talk(("one two three four", A, "five six"), ("seven", A, "eight"), ("nine", A, None))
    assert told(conversation, budget=16) == [("user", "<a>", "nine")]  # 75 % of 16 are 12
    conversation.ask("ten", A, start=9 * S, wall=9, at=9 * S)
    assert told(conversation, budget=16) == [("user", "<a>", "nine"), ("assistant", ""), ("user", "ten")]


def test_old_pictures_go_before_old_turns_and_do_not_come_back() -> None:
    conversation = talk(("one", A, "1"), ("two", B, None))
    assert told(conversation, budget=22, live_pictures=2)[0] == (
        "user",
        "[picture taken at 09:01, no longer shown]\none",
    )
    assert told(conversation, budget=1000, live_pictures=2)[0][1].startswith("[picture")


def test_dropping_leaves_room_so_that_the_beginning_stays_for_a_while() -> None:
    conversation, starts = Conversation(), []
    for number in range(1, 200):
        conversation.ask(f"question number {number}", start=number, wall=0, at=0)
        messages = told(conversation, budget=90, reserve=10)
        starts.append(messages[0])
        conversation.reply("an answer", wall=0, at=0)
    changes = sum(one != two for one, two in pairwise(starts))
    assert 0 < changes < 199 / 3  # 20 of 80 tokens free each time, 5 a turn


def test_the_question_itself_is_never_dropped() -> None:
    conversation = talk(("one", A, "1"), ("a very long question indeed", B, None))
    assert told(conversation, budget=3) == [("user", "<b>", "a very long question indeed")]


def test_without_history_there_is_only_the_question_with_its_picture() -> None:
    conversation = talk(("one", A, "1"), ("hello", None, "2"), ("two", A, None), keep=False)
    assert told(conversation) == [("user", "<a>", "two")]
    assert conversation.last_reply == "2"
    assert told(conversation, budget=2) == [("user", "<a>", "two")]


@pytest.mark.parametrize(("now_s", "over"), [(10, False), (610, False), (611, True)])
def test_a_gap_ends_it(now_s: int, over: bool) -> None:
    conversation = talk(("one", A, "1"))
    conversation.reply("1", wall=10, at=10 * S)
    assert conversation.over(now_s * S) is over


def test_a_fork_changes_nothing() -> None:
    conversation = talk(("one", A, "1"))
    fork = conversation.fork()
    fork.ask("maybe", B, start=5 * S, wall=5, at=5 * S)
    fork.retire_pictures()
    assert conversation.picture == A
    assert len(conversation.turns) == 1


def test_a_restart_takes_up_the_live_conversation() -> None:
    records = [
        msgspec.json.decode(
            msgspec.json.encode(Record(start=n, wall=wall, question=f"q{n}", picture=A, reply="r")), type=Record
        )
        for n, wall in enumerate([0.0, 5000.0, 5100.0])
    ]
    conversation = Conversation.from_records(records, now=7 * S, wall=5200.0)
    assert [turn.question for turn in conversation.turns] == ["q1", "q2"]  # q0 lies before a gap
    assert conversation.picture is None  # its embedding went with the process
    assert not conversation.over(507 * S)
    assert conversation.over(508 * S)
    assert Conversation.from_records(records, now=7 * S, wall=6000.0).turns == ()
    assert conversation.record(2) == records[2]
    assert conversation.record(99) is None


PICTURES = [None, *(PictureRef(f"p{n}", captured_at=n, taken="10:00") for n in range(4))]
TURNS = st.lists(
    st.tuples(
        st.text("ab ", min_size=1, max_size=30), st.sampled_from(PICTURES), st.none() | st.text("xy ", max_size=20)
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(TURNS, st.integers(1, 80), st.integers(0, 3), st.booleans())
def test_any_prompt_is_valid(turns: Any, budget: int, live: int, keep: bool) -> None:
    conversation = talk(*turns, keep=keep)
    conversation.ask("the question", turns[-1][1], start=99 * S, wall=99, at=99 * S)
    messages = conversation.render(budget=budget, count=count, live_pictures=live, system="s")
    roles = [message.role for message in messages]
    assert roles == ["system"] + ["user", "assistant"] * ((len(roles) - 2) // 2) + ["user"]
    assert str(messages[-1].content[-1]).endswith("the question")
    shown = [part.identity for message in messages for part in message.content if isinstance(part, PictureRef)]
    assert len(shown) == len(set(shown)) <= live
    if live and turns[-1][1] is not None:
        assert turns[-1][1].identity in shown
    assert count(messages) <= budget or len(messages) == 2
    assert conversation.render(budget=budget, count=count, live_pictures=live, system="s") == messages


def test_a_picture_that_is_taken_up_again_stands_after_the_one_between() -> None:
    conversation = Conversation()
    for start, picture in enumerate((A, A, B, A, A), 1):
        conversation.ask(f"question {start}", picture, start=start, wall=start, at=start)
        conversation.reply(f"answer {start}", wall=start, at=start)
    messages = conversation.render(budget=1000, count=len, live_pictures=2)
    shown = [part.identity for m in messages for part in m.content if isinstance(part, PictureRef)]
    assert shown == [B.identity, A.identity]
    texts = [str(m.content[-1]) for m in messages if m.role == "user"]
    assert [text.rpartition("\n")[2] for text in texts] == [f"question {n}" for n in range(1, 6)]
    assert ["no longer shown" in text for text in texts] == [True, False, False, False, False]
