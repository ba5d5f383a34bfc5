"""Is it meant for the assistant? Tables of what happened, and whether speech after that opens a turn."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core import attention
from assistant.core.attention import CLOSED, NO_BUTTON, NO_WORD, Attention, Settings, asks, thanks, unwoken

S = attention.S
SETTINGS = Settings(listen_s=8, follow_up_s=6, follow_up_question_s=12, answer_s=100, overlap_ms=1000)


@pytest.mark.parametrize(
    ("events", "at_s", "open_"),
    [
        ([], 5, False),
        ([("woken", 1)], 8.9, True),
        ([("woken", 1)], 9, False),
        ([("woken", 1), ("taken", 3)], 60, True),  # while it is being answered
        ([("woken", 1), ("taken", 3)], 103, False),  # nothing more was heard of that turn
        ([("woken", 1), ("taken", 3), ("replied", 10, "It is red.")], 15.9, True),
        ([("woken", 1), ("taken", 3), ("replied", 10, "It is red.")], 16, False),
        ([("woken", 1), ("taken", 3), ("replied", 10, "Which one?")], 21.9, True),
        ([("woken", 1), ("taken", 3), ("replied", 10, "Which one?")], 22, False),
        ([("woken", 1), ("dropped", 8)], 13.9, True),
        ([("woken", 1), ("dropped", 8)], 14, False),
        ([("woken", 1), ("taken", 3), ("replied", 10, "It is red."), ("close",)], 11, False),
        ([("woken", 1), ("taken", 3), ("replied", 10, "?")], 11, True),
        ([("woken", 1), ("close",), ("woken", 5)], 6, True),
    ],
)
def test_the_window(events: list[tuple[Any, ...]], at_s: float, open_: bool) -> None:
    subject = Attention("wakeword", SETTINGS)
    for name, *given_ in events:
        times = [int(value * S) if isinstance(value, int) else value for value in given_]
        getattr(subject, name)(*times)
    assert subject.why_not(int(at_s * S)) == ("" if open_ else NO_WORD)


def test_the_other_modes_know_no_window() -> None:
    assert Attention("wakeword", SETTINGS).closes("谢谢")
    always, never = Attention("open", SETTINGS), Attention("push_to_talk", SETTINGS)
    for subject in (always, never):
        assert not subject.closes("thank you")  # there it is a thing to say like any other
        subject.woken(S)
        subject.replied(2 * S, "Which?")
    assert (always.why_not(0), always.why_not(3 * S), always.why_not(10**15)) == ("", "", "")
    assert never.why_not(3 * S) == NO_BUTTON
    assert len({NO_BUTTON, NO_WORD, CLOSED}) == 3


def test_wake_words_that_overlap_are_one() -> None:
    subject = Attention("wakeword", SETTINGS)
    told = [subject.woken(int(at * S)) for at in (10, 10.2, 11.1, 12.2, 12.1)]
    assert told == [True, False, False, True, False]  # each is compared to the one before it


@given(st.lists(st.tuples(st.sampled_from(["woken", "taken", "dropped"]), st.integers(0, 10**12)), max_size=20))
def test_without_a_wake_word_or_a_turn_it_stays_shut(events: list[tuple[str, int]]) -> None:
    subject = Attention("wakeword", SETTINGS)
    last = 0
    for name, at in events:
        getattr(subject, name)(at)
        last = max(last, at)
        assert subject.why_not(at) == ""  # what has just happened keeps it open now
    assert subject.why_not(last + 101 * S) == NO_WORD  # nothing keeps it open for ever


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Which one?", True),
        ("你要哪一个？", True),
        ('He asked "why?"', True),
        ("**Which one?** ", True),
        ("Is it red? It is.", False),
        ("It is red.", False),
        ("", False),
    ],
)
def test_a_reply_that_asks(text: str, question: bool) -> None:
    assert asks(text) is question


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("Thank you.", True),
        ("Okay, thank you!", True),
        ("no, that's all", True),
        ("No that’s all.", True),
        ("谢谢。", True),
        ("好的，谢谢你", True),
        ("不用了谢谢", True),
        ("bye bye", True),
        ("thank you, and what is on the left", False),
        ("谢谢用英语怎么说", False),
        ("good", False),
        ("好", False),
        ("", False),
    ],
)
def test_done(text: str, done: bool) -> None:
    assert thanks(text) is done


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("hey assistant what do you see", "what do you see"),
        ("Hey, Assistant! What do you see?", "What do you see?"),
        ("HEY ASSISTANT", ""),
        ("hey assistant hey assistant stop", "stop"),
        ("Assistant, what do you see?", "what do you see?"),
        ("assistant professors are people", "assistant professors are people"),
        ("hey assistants everywhere", "hey assistants everywhere"),
        ("what does hey assistant mean", "what does hey assistant mean"),
        ("小云小云，你看到什么？", "你看到什么？"),
        ("小 云 小 云 你看到什么", "你看到什么"),
        ("小云，灯亮着吗", "灯亮着吗"),
        ("云是什么", "云是什么"),
        ("", ""),
    ],
)
def test_the_wake_phrase_is_cut_off(text: str, rest: str) -> None:
    assert unwoken(text, ["hey assistant", "小云小云"]) == rest


@pytest.mark.parametrize(
    ("text", "after_a_call"),
    [("assistant", ""), ("小云", ""), ("assistant is it", "assistant is it"), ("an assistant", "an assistant")],
)
def test_the_end_of_the_phrase_alone_says_nothing_after_a_call(text: str, after_a_call: str) -> None:
    """But it may be the answer to a question."""
    assert unwoken(text, ["hey assistant", "小云小云"], called=True) == after_a_call
    assert unwoken(text, ["hey assistant", "小云小云"]) == text


@given(st.text(max_size=40), st.lists(st.text(max_size=12), max_size=3), st.booleans())
def test_what_is_left_is_an_end_of_the_text_and_needs_no_second_cut(
    text: str, phrases: list[str], called: bool
) -> None:
    rest = unwoken(text, phrases, called)
    assert text.endswith(rest)
    assert unwoken(rest, phrases, called) == rest
