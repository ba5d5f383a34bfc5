"""What is refused as never said, and what is not: people do say thank you."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.asr import _gates
from pipelines.asr._gates import Gates, Sound, listen, loops, plain, refusal

SPEECH = Sound(seconds=2.0, loud=-25.0, range=30.0)
FAN = Sound(seconds=2.0, loud=-30.0, range=2.0)
FAINT = Sound(seconds=2.0, loud=-55.0, range=15.0)


@pytest.mark.parametrize("text", ["Thank you.", " Thanks for watching!", "谢谢观看。", "You"])
def test_phantoms_are_refused_only_where_something_says_noise(text: str) -> None:
    assert refusal(text, SPEECH, Gates()) == ""
    assert refusal(text, FAN, Gates()) == "noise"
    assert refusal(text, FAINT, Gates()) == "noise"
    assert refusal(text, SPEECH, Gates(), no_speech=0.4) == "noise"
    assert refusal(text, SPEECH, Gates(), logprob=-0.8) == "noise"


def test_a_question_in_noise_is_believed() -> None:
    assert refusal("What do you see?", FAN, Gates()) == ""
    assert refusal("What do you see?", SPEECH, Gates(), no_speech=0.9, logprob=-0.2) == ""


def test_the_model_may_say_noise_or_not_be_sure() -> None:
    assert refusal("What do you see?", SPEECH, Gates(), no_speech=0.9, logprob=-1.2) == "noise"
    assert refusal("What do you see?", SPEECH, Gates(), logprob=-1.2) == "not understood"
    assert refusal("What do you see?", SPEECH, Gates(logprob=-2.0), logprob=-1.2) == ""


def test_a_house_may_have_phantoms_of_its_own() -> None:
    gates = Gates(phantoms=("Der Untertitel.",))
    assert refusal("der untertitel", FAN, gates) == "noise"
    assert refusal("der untertitel", FAN, Gates()) == ""


@pytest.mark.parametrize(
    "text", ["you " * 40, "I see a ball and " * 6, "no no no no no no", "你好" * 20, "ha" * 60, "word " + "la la " * 20]
)
def test_loops_are_refused(text: str) -> None:
    assert refusal(text, Sound(10.0, -25.0, 30.0), Gates()) == "repetition"


@pytest.mark.parametrize(
    "text",
    [
        "No, no, no, stop!",
        "Is the red ball left of the blue ball or is the blue ball left of the red ball?",
        "你看到什么?桌子上有什么?",
        "Set a timer for ten minutes.",
        "五五五五",
    ],
)
def test_ordinary_sentences_are_no_loops(text: str) -> None:
    assert refusal(text, Sound(5.0, -25.0, 30.0), Gates()) == ""


def test_more_words_than_can_be_said_are_refused() -> None:
    text = "The quick brown fox jumps over the lazy dog while seven wizards brew strange potions nearby"
    assert refusal(text, Sound(0.5, -25.0, 30.0), Gates()) == "repetition"
    assert refusal(text, Sound(5.0, -25.0, 30.0), Gates()) == ""


@pytest.mark.parametrize("text", ["", "  ", "...", "♪♪"])
def test_nothing_is_not_understood(text: str) -> None:
    assert refusal(text, SPEECH, Gates()) == "not understood"


def test_the_sound_is_measured() -> None:
    random = np.random.default_rng(0)
    even = (random.standard_normal(32_000) * 1000).astype(np.int16)
    assert listen(even).range < _gates.EVEN
    assert -34 < listen(even).loud < -28
    spoken = even.copy()
    spoken[:12_000] //= 100
    assert listen(spoken).range > 25
    assert listen(np.zeros(16_000, np.int16)).loud == -120.0
    assert listen(np.zeros(0, np.int16)) == Sound(0.0, -120.0, 0.0)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=300), st.floats(0, 1), st.floats(-10, 0))
def test_any_text_is_judged(text: str, no_speech: float, logprob: float) -> None:
    assert refusal(text, SPEECH, Gates(), no_speech, logprob) in {"", "noise", "not understood", "repetition"}
    assert plain(plain(text)) == plain(text)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=12, unique=True))
def test_words_that_differ_are_no_loop(words: list[str]) -> None:
    assert not loops(" ".join(words))
