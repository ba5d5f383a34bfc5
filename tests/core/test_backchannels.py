"""What words over a reply mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.backchannels import BACKCHANNELS, STOPS, kind


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("", "nothing"),
        ("…", "nothing"),
        ("Mm-hmm.", "backchannel"),
        ("Okay, right.", "backchannel"),
        ("yeah yeah, I see", "backchannel"),
        ("嗯，好的。", "backchannel"),
        ("对对对", "backchannel"),
        ("ok 好", "backchannel"),
        ("Stop!", "stop"),
        ("okay stop", "stop"),
        ("no, wait a moment", "stop"),
        ("hey assistant, be quiet", "stop"),
        ("停", "stop"),
        ("等一下", "stop"),
        ("好了好了别说了", "words"),  # "了" is none of the words that may stand before
        ("不，等等，那是什么", "stop"),
        ("okay but what is behind the lamp", "words"),
        ("right, and the ball?", "words"),
        ("好的那个红色的球在哪里", "words"),
        ("what color is the stop sign", "words"),
        ("no", "words"),
        ("stopwatch", "words"),
        ("42", "words"),
    ],
)
def test_what_is_meant(text: str, means: str) -> None:
    assert kind(text) == means


@given(st.lists(st.sampled_from(sorted(BACKCHANNELS)), min_size=1, max_size=4), st.sampled_from([" ", ", ", "。"]))
def test_any_row_of_backchannels_lets_the_reply_go_on(words: list[str], between: str) -> None:
    assert kind(between.join(words)) == "backchannel"


@given(st.sampled_from(sorted(STOPS)), st.text(max_size=30))
def test_what_begins_with_a_stop_word_stops(word: str, rest: str) -> None:
    assert kind(f"{word}. {rest}") == "stop"
