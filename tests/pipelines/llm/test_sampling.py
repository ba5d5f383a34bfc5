"""Choosing tokens, as tables; stop strings, as a property."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.llm import Sampling
from pipelines.llm._sampling import StopText, choose, penalised

LOGITS = np.array([1.0, 3.0, 2.0, 3.0, -1.0], np.float32)
NOTHING = np.empty(0, np.intp)


def drawn(sampling: Sampling, seen: tuple[int, ...] = (), times: int = 400) -> list[int]:
    random = np.random.default_rng(1)
    return [choose(LOGITS, np.array(seen, np.intp), sampling, random) for _ in range(times)]


@pytest.mark.parametrize(
    ("sampling", "possible"),
    [
        (Sampling(), {1}),  # greedy; of equals the first
        (Sampling(temperature=1.0), {0, 1, 2, 3, 4}),
        (Sampling(temperature=1.0, top_k=1), {1}),
        (Sampling(temperature=1.0, top_k=2), {1, 3}),
        (Sampling(temperature=1.0, top_k=99), {0, 1, 2, 3, 4}),
        (Sampling(temperature=1.0, top_p=0.0), {1}),
        (Sampling(temperature=1.0, top_p=0.5), {1, 3}),
        (Sampling(temperature=1.0, top_p=0.9), {1, 2, 3}),
        (Sampling(temperature=0.05), {1, 3}),
        (Sampling(temperature=1.0, top_k=3, top_p=0.3), {1}),
    ],
)
def test_which_tokens_are_possible(sampling: Sampling, possible: set[int]) -> None:
    assert set(drawn(sampling)) == possible


def test_shares_are_those_of_the_softmax() -> None:
    shares = np.exp(LOGITS.astype(float)) / np.exp(LOGITS.astype(float)).sum()
    counts = np.bincount(drawn(Sampling(temperature=1.0), times=20000), minlength=5) / 20000
    assert np.abs(counts - shares).max() < 0.015


def test_a_seed_repeats_the_draw() -> None:
    sampling = Sampling(temperature=1.0)
    runs = [[choose(LOGITS, NOTHING, sampling, np.random.default_rng(seed)) for _ in range(1)] for seed in range(50)]
    again = [[choose(LOGITS, NOTHING, sampling, np.random.default_rng(seed)) for _ in range(1)] for seed in range(50)]
    assert runs == again
    assert len(set(map(tuple, runs))) > 1


def test_the_repetition_penalty_weakens_what_was_seen_once() -> None:
    seen = np.array([1, 4], np.intp)
    assert penalised(LOGITS, seen, 2.0).tolist() == [1.0, 1.5, 2.0, 3.0, -2.0]
    assert LOGITS[1] == 3.0
    assert drawn(Sampling(repetition_penalty=2.0), seen=(1,), times=1) == [3]
    assert drawn(Sampling(repetition_penalty=4.0), seen=(1, 3), times=1) == [2]


@pytest.mark.parametrize(
    ("pieces", "stops", "shown", "stopped"),
    [
        (["hello"], (), ["hello"], False),
        (["hel", "lo"], ("lo",), ["he", "l"], True),
        (["a\n", "\nb"], ("\n\n",), ["a", ""], True),
        (["a\n", "b"], ("\n\n",), ["a", "\nb"], False),
        (["abc", "abd"], ("abd",), ["abc", ""], True),
        (["one two"], ("two", "one"), [""], True),
        (["ab"], ("",), ["ab"], False),
        (["xSTOPy", "z"], ("STOP",), ["x", ""], True),
    ],
)
def test_stop_strings(pieces: list[str], stops: tuple[str, ...], shown: list[str], stopped: bool) -> None:
    text = StopText(stops)
    assert [text.add(piece) for piece in pieces] == shown
    assert text.stopped == stopped


@given(
    st.lists(st.text("ab\n", max_size=4), max_size=12), st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3)
)
def test_stop_strings_across_any_borders(pieces: list[str], stops: list[str]) -> None:
    text = StopText(stops)
    shown = ""
    for piece in pieces:
        shown += text.add(piece)
        assert not any(stop in shown for stop in stops)
    whole = "".join(pieces)
    if text.stopped:
        # What follows the shown text is a stop string, and no other ended before it did.
        ends = [whole.find(stop) + len(stop) for stop in stops if stop in whole]
        assert any(whole[len(shown) :].startswith(stop) for stop in stops)
        assert ends
        assert text.rest() == ""
    else:
        assert not any(stop in whole for stop in stops)
        assert shown + text.rest() == whole
