"""What is played, block by block, and what counts as heard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.playout import Playout, whole_words
from assistant.messages import Turn

OLD, NEW = Turn("live", 1), Turn("live", 2)


def pcm(samples: int, value: int = 1) -> np.ndarray:
    return np.full(samples, value, np.int16)


def play_all(playout: Playout, samples: int = 100) -> int:
    played = 0
    while (block := playout.take(samples)) is not None:
        playout.sounded(len(block.pcm))
        played += len(block.pcm)
    return played


def test_sentences_play_in_order_and_report_their_whole_text() -> None:
    playout = Playout()
    for index, text in enumerate(("Hello.", "A red ball.")):
        playout.add(OLD, index, text)
        playout.feed(OLD, index, pcm(250, index))
        playout.complete(OLD, index)
    playout.ended(OLD, 2)
    while playout.take(100) is not None:
        pass
    assert playout.over() == []  # taken, but none of it has left for the ear
    playout.sounded(250)
    assert [s.text for s in playout.over()] == ["Hello."]
    assert playout.silent() == []
    playout.sounded(249)
    assert playout.over() == []
    playout.sounded(1)
    assert [(s.text, s.complete) for s in playout.over()] == [("A red ball.", True)]
    assert playout.silent() == [OLD]
    assert playout.silent() == []
    assert playout.empty


def test_a_sentence_without_sound_is_over_at_once() -> None:
    playout = Playout()
    playout.add(OLD, 0, "…")
    playout.complete(OLD, 0)
    playout.ended(OLD, 1)
    assert playout.take(100) is None
    assert len(playout.over()) == 1
    assert playout.silent() == [OLD]


def test_a_reply_without_sentences_is_silent_at_once() -> None:
    playout = Playout()
    playout.ended(OLD, 0)
    assert playout.silent() == [OLD]


@pytest.mark.parametrize(
    ("played", "heard"),
    [(0, None), (50, ""), (100, "one"), (199, "one"), (200, "one two"), (299, "one two"), (300, "one two three")],
)
def test_words_count_as_heard_when_the_next_one_begins(played: int, heard: str | None) -> None:
    playout = Playout()
    playout.add(OLD, 0, "one two three")
    playout.feed(OLD, 0, pcm(300), [(0, 0), (4, 100), (8, 200)])
    playout.complete(OLD, 0)
    if played:
        playout.take(played + 20)  # what was taken but has not left was not heard
        playout.sounded(played)
    said, turns = playout.drop("live", NEW.start)
    assert turns == [OLD]
    assert [s.text for s in said] == ([] if heard is None else [heard])
    assert all(not s.complete for s in said)


def test_without_word_marks_the_share_of_the_text_counts() -> None:
    playout = Playout()
    playout.add(OLD, 0, "one two three four")
    playout.feed(OLD, 0, pcm(1000))
    playout.complete(OLD, 0)
    playout.take(500)
    playout.sounded(500)
    assert playout.drop("live", NEW.start)[0][0].text == "one two"


def test_dropping_keeps_newer_turns_and_other_conversations() -> None:
    playout = Playout()
    other = Turn("guest", 1)
    for turn in (OLD, other, NEW):
        playout.add(turn, 0, "x")
        playout.feed(turn, 0, pcm(10))
        playout.complete(turn, 0)
    _, turns = playout.drop("live", NEW.start)
    assert turns == [OLD]
    assert not playout.feed(OLD, 0, pcm(10))
    block = playout.take(100)
    assert block is not None
    assert block.turn == other
    assert (block := playout.take(100)) is not None
    assert block.turn == NEW


def test_a_turn_that_ended_but_has_not_begun_to_sound_is_dropped_too() -> None:
    playout = Playout()
    playout.ended(OLD, 3)
    assert playout.drop("live", NEW.start) == ([], [OLD])
    assert playout.silent() == []


def test_what_a_lost_device_did_not_play_is_played_by_the_next_one() -> None:
    playout, samples = Playout(), np.arange(300, dtype=np.int16)
    playout.add(OLD, 0, "one")
    playout.feed(OLD, 0, samples[:200])
    playout.complete(OLD, 0)
    playout.add(OLD, 1, "two")
    playout.feed(OLD, 1, samples[200:])
    for _ in range(5):
        playout.take(60)
    playout.sounded(70)
    playout.rewind()
    again = []
    while (block := playout.take(60)) is not None:
        again.append(block)
    assert np.array_equal(np.concatenate([block.pcm for block in again]), samples[70:])
    assert [block.first for block in again] == [False, False, False, True, False]
    assert playout.over() == []


def test_what_no_device_can_play_is_over_unheard_and_its_turn_ends() -> None:
    playout = Playout()
    for index, text in enumerate(("one two", "three")):
        playout.add(OLD, index, text)
        playout.feed(OLD, index, pcm(200), [(0, 0), (4, 100)] if not index else [])
    playout.take(150)
    playout.sounded(120)
    assert [(s.index, s.text, s.complete) for s in playout.give_up()] == [(0, "one", False), (1, "", False)]
    assert playout.silent() == []
    playout.ended(OLD, 2)
    assert playout.silent() == [OLD]
    assert playout.empty


@given(chunks=st.lists(st.integers(0, 400), max_size=6), block=st.integers(1, 300), late=st.integers(0, 6))
def test_every_sample_is_played_once_whatever_the_chunks(chunks: list[int], block: int, late: int) -> None:
    playout, samples = Playout(), np.arange(sum(chunks), dtype=np.int16)
    playout.add(OLD, 0, "text")
    heard: list[np.ndarray] = []
    at = 0
    for number, size in enumerate(chunks):
        playout.feed(OLD, 0, samples[at : at + size])
        at += size
        if number >= late:
            while (taken := playout.take(block)) is not None:
                heard.append(taken.pcm)
    playout.complete(OLD, 0)
    while (taken := playout.take(block)) is not None:
        heard.append(taken.pcm)
    assert np.array_equal(np.concatenate([np.zeros(0, np.int16), *heard]), samples)
    assert all(len(part) <= block for part in heard)


@given(text=st.text(max_size=40), share=st.floats(-0.5, 1.5))
def test_whole_words_is_a_beginning_of_the_text(text: str, share: float) -> None:
    part = whole_words(text, share)
    assert text.startswith(part)
    if share >= 1:
        assert part == text


@pytest.mark.parametrize(
    ("text", "share", "part"),
    [("one two", 0.5, "one"), ("one two", 0.2, ""), ("桌上有两个球", 0.5, "桌上有"), ("a bottle", 0.99, "a")],
)
def test_whole_words_never_cuts_a_word(text: str, share: float, part: str) -> None:
    assert whole_words(text, share) == part


def test_dropping_takes_what_is_of_a_lower_revision_of_the_turn_itself() -> None:
    playout, first, second = Playout(), Turn("live", 5, 1), Turn("live", 5, 3)
    for turn in (first, second):
        playout.add(turn, 0, "x")
        playout.ended(turn, 1)
    assert playout.drop("live", 5, 3) == ([], [first])
    assert not playout.feed(first, 0, pcm(10))
    assert playout.feed(second, 0, pcm(10))
    assert playout.drop("live", 5) == ([], [])  # an interruption before that time
