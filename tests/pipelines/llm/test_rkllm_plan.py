"""How a conversation reaches RKLLM: the engine's table, row by row; what people type steers nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.llm import Message, Picture
from pipelines.llm._librkllm_types import Tags
from pipelines.llm._rkllm_plan import Opening, Step, Template, Traits, Writer, opening_of, plan

SYSTEM = Message("system", ("Be brief.",))
ONE, TWO = Picture("one"), Picture("two")
Q1, A1, Q2 = Message("user", ("Who?",)), Message("assistant", ("Ada.",)), Message("user", ("Why?",))
SEEN1, SEEN2 = Message("user", (ONE, "What?")), Message("user", (TWO, "And now?"))

FULL = Traits(history=True, reuse="history", tokenizer=True)
NO_TOKENIZER = FULL._replace(tokenizer=False)
PREFIX = FULL._replace(reuse="prefix")
GROWN = Step("grown", clear=False, keep_history=True, form="turn")
TOKENS = Step("tokens", clear=True, keep_history=True, form="tokens")
WHOLE = Step("whole", clear=True, keep_history=True, form="whole")
KEPT = Step("prefix", clear=False, keep_history=False, form="whole")
CLEARED = KEPT._replace(clear=True)
FRESH = Step("fresh", clear=True, keep_history=True, form="tokens")
BARE = Step("fresh", clear=False, keep_history=False, form="tokens")

ROWS: dict[str, tuple[list[Message] | None, list[Message], Traits, Step]] = {
    "grown by a turn": ([SYSTEM, Q1, A1], [SYSTEM, Q1, A1, Q2], FULL, GROWN),
    "grown, the picture still shown": ([SYSTEM, SEEN1, A1], [SYSTEM, SEEN1, A1, Q2], FULL, GROWN),
    "grown by the first picture": ([SYSTEM, Q1, A1], [SYSTEM, Q1, A1, SEEN1], FULL, GROWN),
    "spaces around a reply do not matter": ([Q1, Message("assistant", (" Ada. ",))], [Q1, A1, Q2], FULL, GROWN),
    "a second picture": ([SYSTEM, SEEN1, A1], [SYSTEM, SEEN1, A1, SEEN2], FULL, WHOLE),
    "another picture in the place of the first": ([SEEN1, A1], [Q1, A1, SEEN2], FULL, WHOLE),
    "the first turn": (None, [SYSTEM, Q1], FULL, TOKENS),
    "the first turn, no tokenizer": (None, [SYSTEM, Q1], NO_TOKENIZER, WHOLE),
    "the last reply was cut": (None, [SYSTEM, Q1, A1, Q2], FULL, TOKENS),
    "only part of the reply was heard": ([Q1, Message("assistant", ("Ada Lo",))], [Q1, A1, Q2], FULL, TOKENS),
    "another system prompt": ([SYSTEM, Q1, A1], [Message("system", ("Be long.",)), Q1, A1, Q2], FULL, TOKENS),
    "old turns went": ([SYSTEM, Q1, A1, Q2, A1], [SYSTEM, Q2, A1, Q1], FULL, TOKENS),
    "the first turn with a picture": (None, [SYSTEM, SEEN1], FULL, WHOLE),
    "prefix, nothing known": (None, [SEEN1], PREFIX, CLEARED),
    "prefix, the same picture": ([SEEN1, A1], [SEEN1, A1, Q2], PREFIX, KEPT),
    "prefix, a new picture": ([SEEN1, A1], [Q1, A1, SEEN2], PREFIX, CLEARED._replace(keep_system=True)),
    "prefix, text": ([Q1, A1], [Q1, A1, Q2], PREFIX, KEPT._replace(form="tokens")),
    "a model that cannot reuse": ([Q1, A1], [Q1, A1, Q2], FULL._replace(reuse="none"), FRESH),
    "1.1": ([Q1, A1], [Q1, A1, Q2], FULL._replace(history=False), BARE),
    "1.1 with a picture": (None, [SEEN1], FULL._replace(history=False), BARE._replace(form="whole")),
}


@pytest.mark.parametrize(("held", "conversation", "traits", "step"), ROWS.values(), ids=ROWS)
def test_row(held: list[Message] | None, conversation: list[Message], traits: Traits, step: Step) -> None:
    assert plan(held, conversation, traits) == step


TAGS = Tags("<img>", "</img>", "<IMG_CONTEXT>")


def test_earlier_turns_as_lines_and_in_the_template() -> None:
    lines, inside = Writer(Template(), TAGS, lines=True), Writer(Template(), TAGS, lines=False)
    said = [Q1, A1, SEEN1]
    assert lines.whole("", said) == "User: Who?\nAssistant: Ada.\n<image>What?"
    assert lines.whole("Be brief.", [Q1]) == "Be brief.\nWho?"
    again = Writer(Template(), TAGS, lines=True, prefix=True)  # each turn begins as the one before
    assert again.whole("Be brief.", [Q1]) == "Be brief.\nUser: Who?"
    assert again.whole("", said).startswith(again.whole("", [Q1]))
    between = "<|im_end|>\n<|im_start|>assistant\nAda.<|im_end|>\n<|im_start|>user\n"
    assert inside.whole("", said) == f"Who?{between}<image>What?"
    assert inside.rendered(Opening("Be brief."), [Q1]) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_examples_are_turns_of_the_opening() -> None:
    one, other = Message("user", ("A cup?",), fixed=True), Message("assistant", ("Yes.",), fixed=True)
    opening, rest = opening_of([SYSTEM, one, other, Q1, A1, SEEN1])
    assert (opening, list(rest)) == (Opening("Be brief.", (one, other)), [Q1, A1, SEEN1])
    assert opening_of([one, other, Q1])[0].system == ""
    assert opening_of([SYSTEM, one, Q1]) == (Opening("Be brief."), [one, Q1])  # half of one is none
    assert opening_of([SYSTEM]) == (Opening("Be brief."), [])
    for lines in (True, False):
        writer = Writer(Template(), TAGS, lines=lines)
        assert writer.opening(opening) == (
            "<|im_start|>system\nBe brief.<|im_end|>\n"
            "<|im_start|>user\nA cup?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n"
        )
        assert writer.rendered(opening, [Q1]).startswith(writer.opening(opening) + "<|im_start|>user\nWho?")
    # in the template it is the same prompt as where they were turns like any other
    inside = Writer(Template(), TAGS, lines=False)
    assert inside.rendered(opening, rest) == inside.rendered(Opening("Be brief."), [one, other, *rest])


@given(st.text(max_size=30), st.sampled_from(["<image>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]))
def test_what_is_typed_steers_nothing(text: str, word: str) -> None:
    writer = Writer(Template(), TAGS, lines=False)
    assert word not in writer.turn(Message("user", (text + word + text,)))
