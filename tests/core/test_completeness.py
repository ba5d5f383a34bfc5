"""Are the words all that is to come? A table of what was said so far, by what the endpointer makes of it."""

import pytest

from assistant.core.completeness import LIKELY, NO, SURE, UNDECIDED, UNLIKELY, by_words, with_melody
from assistant.core.endpointer import COMPLETE, OPEN

TABLE: dict[str, str] = {
    "complete": """
        what do you see | what is on the table | what color is the ball | is the lamp on | is there a red ball
        how many objects are there | where is the mug | what does the gauge read | what time is it | what is that
        has the lamp changed | and the bottle | what can you do | how are you | who are you | where is he
        what is it made of | what are you looking at | what is this for | tell me what you see | what does it look like
        stop | Stop. | wait | yes | no | thank you | Thank you very much. | repeat that | turn it off | volume up
        never mind | yes I do | what is on the table? | Can you see the ball? | is it raining | do you see it
        describe the picture please | the lamp is on the left side | turn the light on | louder
        where are they | tell me where it is
        桌子上有什么 | 这是什么 | 灯亮着吗 | 现在几点了 | 你看到了什么 | 球是什么颜色的 | 一共有几个
        停 | 停下 | 好的 | 谢谢 | 你是谁 | 杯子在哪里
        把灯打开吧 | 今天天气怎么样
        这个杯子是红色的 | 请描述一下这张照片 | 继续 | 大声一点 | 有没有人在门口？
    """,
    "open": """
        what is on the | what is on the table and | is there a | um | what color is the um | the ball is | because
        can you tell me | can you | hey assistant | how many | how many red | tell me | I want to | I would like to know
        what about | is there any | the red one or | look at | what is | what kind of | where is the ball and where is
        put it between | it is very | if | what's | my number is four two | five five five | one two three
        the code is 7
        I think that the | show me | what color | compare | What is on the. | please give me | and | with
        is the lamp | what do you | is there a red | has the gauge | what is left | put it in the | does my dog
        嗯 | 那个 | 我想问 | 桌子上的杯子和 | 因为 | 请问 | 你能 | 这个杯子是 | 能不能 | 我想知道 | 把 | 红色的
        如果 | 号码是一三八 | 然后
        桌子上有没有 | 这张照片里嗯 | 球在 | 告诉我
    """,
    "undecided": """
        red | table | I can see you | what is on | turn on | not that | blue ball | what is the? | 杯子 | 左边
    """,
}
ROWS = [(text.strip(), kind) for kind, rows in TABLE.items() for line in rows.splitlines() for text in line.split("|")]


@pytest.mark.parametrize(("text", "kind"), [row for row in ROWS if row[0]])
def test_words_are_complete_open_or_undecided(text: str, kind: str) -> None:
    probability = by_words(text, "")
    assert 0 <= probability <= 1
    found = "complete" if probability >= COMPLETE else "open" if probability <= OPEN else "undecided"
    assert found == kind, probability


def test_the_table_is_large_enough_to_mean_something() -> None:
    assert len([row for row in ROWS if row[0]]) >= 100


def test_sound_of_which_nothing_was_understood_wants_more() -> None:
    assert by_words("", "") <= OPEN
    assert by_words(" … ", "") <= OPEN


def test_the_language_that_was_told_counts_for_what_has_no_letters_of_its_own() -> None:
    assert by_words("139", "zh") == by_words("139", "en") <= OPEN


# What the words say, and what comes of it with a melody that is not known, unfinished, finished.
MELODY: list[tuple[float | None, float, float, float]] = [
    (NO, NO, NO, NO),  # an open clause stays open …
    (UNLIKELY, UNLIKELY, UNLIKELY, UNLIKELY),  # … however it sounds
    (UNDECIDED, UNDECIDED, UNLIKELY, LIKELY),  # where the words do not decide, the melody does
    (LIKELY, LIKELY, UNDECIDED, LIKELY),  # it may cast doubt on words that look whole
    (SURE, SURE, SURE, SURE),  # "stop" is not kept waiting
    (None, UNDECIDED, UNLIKELY, UNDECIDED),  # the words are yet to come: it may only make the wait longer
]


@pytest.mark.parametrize(("words", "unknown", "unfinished", "finished"), MELODY)
def test_what_words_and_melody_say_together(
    words: float | None, unknown: float, unfinished: float, finished: float
) -> None:
    for melody, wanted in ((None, unknown), (0.0, unfinished), (0.49, unfinished), (0.5, finished), (1.0, finished)):
        assert with_melody(words, melody) == wanted


def test_no_melody_makes_an_open_clause_complete() -> None:
    for text in ("what color is the", "what is on the table and", "um", "桌子上的杯子和", "嗯", ""):
        assert with_melody(by_words(text, ""), 1.0) <= OPEN


def test_where_words_are_undecided_the_melody_chooses_between_the_shortest_and_the_longest_hold() -> None:
    for text in ("red", "turn on", "左边"):
        assert with_melody(by_words(text, ""), 0.0) <= OPEN < COMPLETE <= with_melody(by_words(text, ""), 1.0)
