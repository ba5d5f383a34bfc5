"""What a probe's figures mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.probing import Prefill, abort, reuse, stale

REUSES = {
    "all but the end": (Prefill(200, 700), Prefill(12, 45), 0, "yes"),
    "nothing": (Prefill(200, 700), Prefill(201, 700), 0, "no"),
    "two thirds": (Prefill(200, 700), Prefill(130, 500), 0, "unclear"),
    "past the picture": (Prefill(215, 700), Prefill(13, 45), 196, "yes"),
    "up to the picture": (Prefill(240, 700), Prefill(198, 600), 196, "no"),
    "no tokens, quick": (Prefill(-1, 700), Prefill(-1, 90), 0, "yes"),
    "no tokens, as slow": (Prefill(-1, 700), Prefill(-1, 690), 0, "no"),
    "no tokens, too short": (Prefill(-1, 20), Prefill(-1, 1), 0, "unclear"),
    "no tokens, a picture": (Prefill(-1, 700), Prefill(-1, 690), 196, "no"),
}
ABORTS = {
    "at once": (30.0, 900.0, "yes"),
    "at the end": (880.0, 900.0, "no"),
    "in between": (450.0, 900.0, "unclear"),
    "too little left": (1.0, 100.0, "unclear"),
}
STALE = {
    "the first again": ("Red.", "Blue.", "red", "yes"),
    "the second": ("Red.", "Blue.", "It is blue.", "no"),
    "both": ("red", "blue", "It was red, now it is blue", "no"),
    "neither": ("Red.", "Blue.", "A wall.", "unclear"),
    "a model that sees no difference": ("A colour.", "A colour.", "A colour.", "unclear"),
    "one that says nothing of the first": ("", "Blue.", "Blue.", "unclear"),
}


@pytest.mark.parametrize(("first", "second", "rows", "conclusion"), REUSES.values(), ids=REUSES)
def test_reuse(first: Prefill, second: Prefill, rows: int, conclusion: str) -> None:
    assert reuse(first, second, rows).conclusion == conclusion


@pytest.mark.parametrize(("lag", "left", "conclusion"), ABORTS.values(), ids=ABORTS)
def test_abort(lag: float, left: float, conclusion: str) -> None:
    assert abort(lag, left).conclusion == conclusion


@pytest.mark.parametrize(("first", "second", "answered", "conclusion"), STALE.values(), ids=STALE)
def test_second_picture(first: str, second: str, answered: str, conclusion: str) -> None:
    assert stale(first, second, answered).conclusion == conclusion


@given(st.integers(-1, 5000), st.floats(0, 1e5), st.integers(-1, 5000), st.floats(0, 1e5), st.integers(0, 900))
def test_any_figures_give_a_conclusion_and_a_reason(a: int, b: float, c: int, d: float, rows: int) -> None:
    verdict = reuse(Prefill(a, b), Prefill(c, d), rows)
    assert verdict.conclusion in ("yes", "no", "unclear")
    assert verdict.why
