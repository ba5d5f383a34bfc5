"""What is left of a model's text when it is spoken."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.core.speech import language, speakable


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("The **ball** is *red*.", "The ball is red."),
        ("## Result", "Result"),
        ("- [x] do it", "do it"),
        ("1. Red ball", "1. Red ball"),
        ("> quoted", "quoted"),
        ("Use `print` or snake_case, 3 * 4 = 12.", "Use print or snake_case, 3 * 4 = 12."),
        ("```py\nx = 1\n```", ""),
        ("See [the manual](http://a.b/c).", "See the manual."),
        ("![a cat](cat.png)", "a cat"),
        ("See https://example.com/a?b=c.", "See link."),
        ("看 https://example.com/a。好的", "看 链接。好的"),
        ("| ball | red |", "ball, red"),
        ("|---|:-:|", ""),
        ("---", ""),
        ("Great 😀👍🏽 1️⃣!", "Great 1!"),
        ("20 °C, ±5 %, 3.5 kΩ, 30 ℃, €5", "20 °C, ±5 %, 3.5 kΩ, 30 ℃, €5"),
        ("<think>Hmm. So.</think>Yes.", "Yes."),
        ("<think>never closed", ""),
        ("<|im_end|>Hi</s><end_of_utterance>", "Hi"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("a\x00b\u200bc\td", "a bc d"),
        ("**Two. Half", "Two. Half"),
        ("...", ""),
        ("", ""),
        ("灯是**红色**的。", "灯是红色的。"),
    ],
)
def test_speakable(written: str, said: str) -> None:
    assert speakable(written) == said


@pytest.mark.parametrize(("text", "code"), [("Hi", "en"), ("你好", "zh"), ("The 灯", "zh"), ("", "en"), ("3.5", "en")])
def test_language(text: str, code: str) -> None:
    assert language(text) == code


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(st.sampled_from("ab1 *_`#>-|[]()<>~\n😀/:.好")))
def test_what_is_said_has_a_sound_and_nothing_but(text: str) -> None:
    said = speakable(text)
    assert said == "" or any(char.isalnum() for char in said)
    assert said == " ".join(said.split())
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in said)
    assert "**" not in said.replace(" ", "") or "**" not in text


@given(st.lists(st.sampled_from(["3.5", "V", "1,000", "ball", "10:30", "5%", "红色"]), min_size=1).map(" ".join))
def test_plain_words_and_numbers_stay(text: str) -> None:
    assert speakable(text) == text
