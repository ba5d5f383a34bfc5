"""A reply in the making: what is handed to the speaker, and what of it counts as heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.reply import Reply

TEXT = "There is a red ball. **Two** cubes stand beside it. That is all."


def grown(text: str = TEXT, step: int = 5) -> Reply:
    reply = Reply(first_clause=False)
    for at in range(0, len(text), step):
        reply.add(text[at : at + step])
    reply.finish()
    return reply


def test_sentences_are_numbered_and_cleaned() -> None:
    reply = Reply(first_clause=False)
    pieces = reply.add(TEXT) + reply.finish()
    assert [piece.text for piece in pieces] == ["There is a red ball.", "Two cubes stand beside it.", "That is all."]
    assert [piece.index for piece in pieces] == [0, 1, 2]
    assert TEXT[: pieces[1].end].endswith("beside it.")
    assert reply.text == TEXT


@pytest.mark.parametrize(
    ("spoken", "heard"),
    [
        ([], ""),
        ([(0, "There is", False)], "There is"),
        ([(0, "There is a red ball.", True)], "There is a red ball."),
        ([(0, "…", True), (1, "Two cubes", False)], "There is a red ball. Two cubes"),
        ([(0, "…", True), (1, "", False)], "There is a red ball."),
        ([(0, "…", True), (1, "…", True)], "There is a red ball. **Two** cubes stand beside it."),
        ([(0, "…", True), (1, "…", True), (2, "…", True)], TEXT),
        ([(1, "…", True)], ""),  # the first was never heard: what is said of later ones does not count
    ],
)
def test_what_was_heard(spoken: list[tuple[int, str, bool]], heard: str) -> None:
    reply = grown()
    for index, text, complete in spoken:
        reply.spoken(index, text, complete)
    assert reply.heard() == heard
    assert reply.wholly_spoken is (len([s for s in spoken if s[2]]) == 3)


def test_what_has_no_sound_is_not_handed_over() -> None:
    reply = Reply()
    assert reply.add("🙂 \n\n") + reply.finish() == []
    assert reply.sentences == 0
    assert reply.wholly_spoken


@given(text=st.text(max_size=80), step=st.integers(1, 9))
def test_the_pieces_do_not_depend_on_how_the_text_came(text: str, step: int) -> None:
    pieces = [grown(text, size) for size in (step, 80)]
    assert pieces[0].text == pieces[1].text == text
    assert pieces[0].sentences == pieces[1].sentences
