"""What a model thinks is kept out of its answer, in whatever pieces it comes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.llm._thinking import Thinking, opens

CASES = {
    "no thought": ("The ball is red.", "The ball is red."),
    "at the very start, as Qwen3 does": ("<think>\nA ball. Red?\n</think>\n\nIt is red.", "It is red."),
    "an empty one": ("<think>\n\n</think>\n\nIt is red.", "It is red."),
    "in the middle": ("It <think>hm</think> is red.", "It is red."),
    "where no space was": ("It<think>hm</think> is red.", "It is red."),
    "never closed": ("<think>what do I see", ""),
    "one in another": ("<think>a<think>b</think>c</think>Red.", "Red."),
    "an end that nothing opened": ("Red</think>.", "Red."),
    "two": ("<think>a</think>Red<think>b</think>.", "Red."),
    "half a tag": ("a < b <thin", "a < b <thin"),
    "space before it": ("\n <think>a</think> Red.", "Red."),
    "a tag of another kind": ("<thinking>x</thinking>", "<thinking>x</thinking>"),
}


def answer(pieces: list[str], opened: bool = False) -> str:
    thinking = Thinking(opened)
    return "".join(thinking.feed(piece) for piece in pieces) + thinking.rest()


@pytest.mark.parametrize(("reply", "expected"), CASES.values(), ids=CASES)
def test_thoughts_are_left_out(reply: str, expected: str) -> None:
    assert answer([reply]) == answer(list(reply)) == expected


def test_a_template_may_have_opened_it() -> None:
    assert answer(["A ball. ", "Red?</thi", "nk>\n\nIt is red."], opened=True) == "It is red."
    assert answer(["A ball, and no end"], opened=True) == ""
    assert opens("<|im_start|>assistant\n<think>\n")
    assert not opens("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def plainly(reply: str, opened: bool) -> str:
    """The letters of the same, said without regard to pieces."""
    depth, said = int(opened), ""
    for part in re.split("(</?think>)", reply):
        if part in ("<think>", "</think>"):
            depth = max(0, depth + (1 if part == "<think>" else -1))
        elif depth == 0:
            said += part
    return "".join(said.split())


REPLIES = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "think>", "</", "a", "b ", "\n", "ä", ">"]), max_size=14
)


@given(REPLIES.map("".join), st.lists(st.integers(1, 9), min_size=1), st.booleans())
def test_the_pieces_make_no_difference(reply: str, sizes: list[int], opened: bool) -> None:
    pieces: list[str] = []
    at = 0
    while at < len(reply):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(reply[at : at + size])
        at += size
    whole = answer([reply], opened)
    assert answer(pieces, opened) == whole
    assert "".join(whole.split()) == plainly(reply, opened)
    assert whole == whole.lstrip()


@given(REPLIES.map("".join))
def test_nothing_is_held_back_longer_than_a_tag(reply: str) -> None:
    thinking, given_ = Thinking(), 0
    for letter in "x" + reply.replace("think", ""):  # no tag in it
        given_ += 1
        before = len(thinking.feed(letter))
        assert before <= len("</think>")
        given_ -= before
        assert given_ < len("</think>")
