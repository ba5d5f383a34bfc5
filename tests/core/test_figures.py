"""The words that labels may hold."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core import figures
from assistant.core.figures import DROPPED, FIGURES, OTHER
from assistant.core.turnfacts import TIMINGS, TurnRecord
from assistant.messages import LIVE, Turn


@pytest.mark.parametrize(
    ("why", "label"),
    [
        ("muted", "muted"),
        ("during a reply", "during_reply"),
        ("too short", "too_short"),
        ("not understood", "not_understood"),
        ("another language: fr", "another_language"),
        ("recognition failed: out of memory", "failed"),
        ("no wake word", "not_called"),
        ("the button was not pressed", "not_called"),
        ("begun anew with the wake word", "begun_anew"),
        ("nothing followed the wake word", "nothing_followed"),
        ("the microphone is lost", "no_sound"),
        ("understood too late to be answered", "too_late"),
        ("something new", OTHER),
    ],
)
def test_why_speech_was_dropped(why: str, label: str) -> None:
    assert figures.dropped(why) == label


@given(st.text())
def test_whatever_the_reason_its_label_is_one_of_few(why: str) -> None:
    assert figures.dropped(why) in DROPPED
    assert len(DROPPED) < 20


def test_who_asked() -> None:
    asked = [TurnRecord(turn=Turn(LIVE, 1), spoken=True), TurnRecord(turn=Turn(LIVE, 1))]
    asked.append(TurnRecord(turn=Turn("web-1", 1)))
    assert tuple(figures.asker(record) for record in asked) == figures.ASKERS


def test_tokens_are_counted_once() -> None:
    record = TurnRecord(turn=Turn(LIVE, 1), prompt_tokens=90, cached_tokens=70, completion_tokens=5)
    assert figures.tokens(record) == {"computed": 20, "cached": 70, "generated": 5}
    assert set(figures.tokens(record)) == set(figures.TOKENS)


def test_figures_are_named_as_prometheus_has_it() -> None:
    names = [figure.name for figure in FIGURES.values()]
    assert len(set(names)) == len(names)
    for figure in FIGURES.values():
        assert re.fullmatch(r"assistant_[a-z_]+", figure.name)
        assert not figure.name.endswith("_total")  # the library adds it
    assert set(figures.STAGES) < set(TIMINGS)
    assert list(figures.BUCKETS_S) == sorted(figures.BUCKETS_S)
