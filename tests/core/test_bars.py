"""Bars of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.bars import bars, waterfall


def test_bars() -> None:
    assert bars({"asr": 10.0, "first_audio": 40.0, "tts": 0.0}, 8) == [
        "asr         ██           10.0 ms",
        "first_audio ████████     40.0 ms",
        "tts         ▏             0.0 ms",
    ]


def test_waterfall() -> None:
    ms = 1_000_000
    assert waterfall([("asr", 0, 10 * ms), ("encode", 5 * ms, 15 * ms), ("voice", 20 * ms, 20 * ms)], 8) == [
        "asr    ████         10.0 ms",
        "encode   ████       10.0 ms",
        "voice         ▏      0.0 ms",
    ]


def test_nothing_has_no_lines() -> None:
    assert bars({}) == []
    assert waterfall([]) == []


@given(
    st.lists(st.tuples(st.sampled_from(["asr", "encode"]), st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1),
    st.integers(1, 80),
)
def test_every_line_has_a_bar_within_the_width(stages: list[tuple[str, int, int]], width: int) -> None:
    lines = waterfall(stages, width)
    assert len(lines) == len(stages)
    wide = max(len(name) for name, *_ in stages)
    for line in lines:
        assert line[wide + 1 : wide + 1 + width].strip()
        assert line[wide + 1 + width] == " "


@pytest.mark.parametrize("values", [{"a": 0.0}, {"a": -5.0, "b": -1.0}, {"a": 1e9}])
def test_odd_figures_do_no_harm(values: dict[str, float]) -> None:
    assert len(bars(values, 10)) == len(values)
