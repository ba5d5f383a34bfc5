"""Sentences out of a stream, in English and Chinese."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.core.sentences import Sentence, Splitter


def split(text: str, first_clause: bool = False) -> list[Sentence]:
    splitter = Splitter(first_clause)
    return splitter.feed(text) + splitter.finish()


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It is 3.5 V. The gauge reads 1,000 at 10:30.", ["It is 3.5 V.", "The gauge reads 1,000 at 10:30."]),
        ("Version v1.2.3 runs. Good.", ["Version v1.2.3 runs.", "Good."]),
        ("Dr. Smith met J. Smith. He left.", ["Dr. Smith met J. Smith.", "He left."]),
        ("See No. 5. No. I do not.", ["See No. 5.", "No.", "I do not."]),
        ("Some, e.g. this, i.e. that. Approx. 5 m. Then.", ["Some, e.g. this, i.e. that.", "Approx. 5 m.", "Then."]),
        ("The U.S. Army. I am in the U.S. It is big.", ["The U.S. Army.", "I am in the U.S.", "It is big."]),
        ("It is 5 V. Pressure is fine. Plan B. The next.", ["It is 5 V.", "Pressure is fine.", "Plan B.", "The next."]),
        ("Well... maybe. Hmm... Yes!", ["Well... maybe.", "Hmm...", "Yes!"]),
        ('"Stop!" he said. "Go." Then (see this.) Ok.', ['"Stop!" he said.', '"Go."', "Then (see this.)", "Ok."]),
        ("What? No! Yes.", ["What?", "No!", "Yes."]),
        ("灯是红色的。现在是3.5伏！真的吗？！好", ["灯是红色的。", "现在是3.5伏！", "真的吗？！", "好"]),
        ("“是的。”他说……好的；再见", ["“是的。”", "他说……好的；", "再见"]),
        ("1. Red ball\n2. Blue cube. It is big.\n- x", ["1. Red ball", "2. Blue cube.", "It is big.", "- x"]),
        ("**Bold.** Next one.", ["**Bold.**", "Next one."]),
        ("<think>a. B. C.</think>Yes. No.", ["<think>a. B. C.</think>Yes.", "No."]),
        ("See https://a.b/c?x=1. Then.", ["See https://a.b/c?x=1.", "Then."]),
        ("Do:\n```py\na. B\n```\nEnd. Now.", ["Do:", "```py\na. B\n```", "End.", "Now."]),
        ("The answer is 42. Next.", ["The answer is 42.", "Next."]),
        ("no end", ["no end"]),
        (" \n ", []),
        ("", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert [sentence.text.strip() for sentence in split(text)] == sentences


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("On the table there is a red ball on the left, and a cube.", "On the table there is a red ball on the left,"),
        ("Yes, there is, on the table.", "Yes, there is, on the table."),
        ("There are now 1,000 balls and 2,000 cubes on it, or so.", "There are now 1,000 balls and 2,000 cubes on it,"),
        ("桌子上的左边有一个红色的球，右边有杯子。", "桌子上的左边有一个红色的球，"),
    ],
)
def test_the_first_piece_may_be_a_clause(text: str, first: str) -> None:
    assert split(text, first_clause=True)[0].text == first
    assert split(text)[0].text == text


def test_a_sentence_is_out_as_soon_as_the_next_begins() -> None:
    splitter = Splitter()
    assert splitter.feed("The ball is red.") == []
    assert splitter.feed(" The") == [Sentence("The ball is red.", 16)]


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("I see a red ball near it.", True),
        ("Yes.", True),
        ("Is it there?", True),
        ("球是红色的。", True),
        ("On the table there is a red ball on the left,", True),
        ("On the table,", False),
        ("桌子上的左边有一个红色的球，", True),
        ("It is at the corner of Park Ave.", False),  # may be more than an end
        ("It weighs 3.", False),
        ("It is 5 V.", False),
        ("Some, e.g.", False),
        ("There are apples etc.", False),
        ("Ask Dr.", False),
        ("Two tbsp.", False),
        ("It says “stop.", False),  # the mark that closes it belongs to it
        ("It says **stop.", False),
        ("See https://example.", False),
        ("<think>It is red.", False),
        ("```py\nred.", False),
        ("Well..", False),
    ],
)
def test_the_first_sentence_is_out_with_its_last_token(text: str, ends: bool) -> None:
    splitter = Splitter(first_clause=True, at_once=True)
    assert splitter.feed(text) == ([Sentence(text, len(text))] if ends else [])
    assert Splitter(first_clause=True).feed(text) == []


def test_only_the_first_sentence_is_out_at_once() -> None:
    splitter = Splitter(first_clause=True, at_once=True)
    assert [sentence.text for sentence in splitter.feed("It is red.") + splitter.feed(" It is round.")] == [
        "It is red."
    ]
    assert [sentence.text for sentence in splitter.finish()] == [" It is round."]


def test_a_token_that_goes_on_is_no_end() -> None:
    splitter = Splitter(first_clause=True, at_once=True)
    assert splitter.feed("It says example") + splitter.feed(".com") + splitter.feed(" on") == []


def test_a_sentence_without_end_is_cut_at_a_comma_at_last() -> None:
    text = "a ball, " * 60
    pieces = split(text)
    assert len(pieces) > 1
    assert max(len(piece.text) for piece in pieces) < 260


WRITTEN = st.text(st.sampled_from("aB1 .,!?:;…。！？；，\n\"')”*_`<>|/-好了")) | st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "```",
            "Dr. ",
            "e.g. ",
            "3.5 ",
            "U.S. ",
            "The ",
            "No. 5",
            "...",
            "……",
            "。”",
            "\n1. ",
            ", ",
        ]
    )
).map("".join)


@settings(max_examples=400, deadline=None)
@given(WRITTEN, st.data())
def test_nothing_is_lost_where_the_first_is_out_at_once(text: str, data: st.DataObject) -> None:
    splitter, sentences, at = Splitter(True, at_once=True), [], 0
    while at < len(text):
        size = data.draw(st.integers(1, 6))
        sentences += splitter.feed(text[at : at + size])
        at += size
    sentences += splitter.finish()
    end = sentences[-1].end if sentences else 0
    assert "".join(sentence.text for sentence in sentences) == text[:end]
    assert not text[end:].strip()


@settings(max_examples=400, deadline=None)
@given(WRITTEN, st.booleans(), st.data())
def test_pieces_do_not_matter_and_nothing_is_lost(text: str, first_clause: bool, data: st.DataObject) -> None:
    whole = split(text, first_clause)
    splitter, pieces, at = Splitter(first_clause), [], 0
    while at < len(text):
        size = data.draw(st.integers(1, 6))
        pieces += splitter.feed(text[at : at + size])
        at += size
    assert pieces + splitter.finish() == whole
    end = whole[-1].end if whole else 0
    assert "".join(sentence.text for sentence in whole) == text[:end]
    assert not text[end:].strip()
    assert all(sentence.text.strip() for sentence in whole)
