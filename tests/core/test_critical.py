"""Where the silence goes: the parts tile it, whatever the stages are."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.critical import LOOK, NPU, ORDER, REST, Part, by_name, called, critical
from assistant.core.turnfacts import Stage, TurnRecord
from assistant.messages import Turn

MS = 1_000_000
ASKED = 7_000_000 * MS


def record(first_audio: float | None, *stages: tuple[str, float, float]) -> TurnRecord:
    """Of a turn; times in ms from the last sample of the question."""
    at: tuple[Stage, ...] = tuple((name, ASKED + round(a * MS), ASKED + round(b * MS)) for name, a, b in stages)
    return TurnRecord(
        turn=Turn("live", ASKED - 1000 * MS), asked_at=ASKED, timings_ms={"first_audio": first_audio}, stages=at
    )


def parts(told: TurnRecord) -> list[tuple[str, float]]:
    return [(part.name, part.ms) for part in critical(told)]


def tiles(told: TurnRecord) -> bool:
    """Do the parts follow one another from the last sample of the question to the first of the answer?"""
    cut = critical(told)
    first = told.timings_ms["first_audio"]
    if first is None or first <= 0:
        return cut == ()
    edges = [told.asked_at, *(part.end for part in cut)]
    return (
        [part.begin for part in cut] == edges[:-1]
        and all(part.begin < part.end for part in cut)
        and sum(part.end - part.begin for part in cut) == round(first * MS)
        and all(one.name != other.name for one, other in itertools.pairwise(cut))
    )


def test_a_turn_one_thing_after_another() -> None:
    told = record(
        1000,
        ("speech", -900, 0),
        ("endpoint", 0, 300),
        ("asr", 300, 340),
        ("encode waits", 360, 400),
        ("encode", 400, 600),
        ("prefill", 600, 700),
        ("generate", 700, 1500),
        ("voice", 880, 950),
        ("output", 950, 1000),
        ("sound", 1000, 3000),
    )
    assert parts(told) == [
        ("hold", 300),
        ("recognition", 40),
        (LOOK, 20),
        (NPU, 40),
        ("picture", 200),
        ("prefill", 100),
        ("first clause", 180),
        ("voice", 70),
        ("output", 50),
    ]
    assert tiles(told)


def test_what_is_done_while_something_else_is_awaited_costs_nothing() -> None:
    """Encoding and prefill ahead, during the speech and the hold."""
    told = record(
        700,
        ("encode ahead", -800, 100),
        ("prefill ahead", 100, 550),
        ("endpoint", 0, 500),
        ("asr", 500, 510),
        ("generate", 560, 900),
        ("voice", 600, 700),
    )
    assert parts(told) == [
        ("hold", 500),
        ("recognition", 10),
        ("prefill", 40),
        ("first clause", 50),  # the first token is told when it is there
        ("voice", 100),
    ]


@pytest.mark.parametrize("first_audio", [None, 0.0, -20.0])
def test_nothing_sounded_or_at_once(first_audio: float | None) -> None:
    assert critical(record(first_audio, ("endpoint", 0, 300))) == ()


def test_nothing_is_known_of_it() -> None:
    assert parts(record(250)) == [(REST, 250)]


MORE = ("speech", "sound", "encode waits", "encode ahead", "encode ahead waits", "prefill ahead", "something new")
NAMES = st.sampled_from([*ORDER, *MORE])
TIMES = st.floats(-5000, 5000)


@given(
    st.one_of(st.none(), st.floats(-100, 60_000)),
    st.lists(st.tuples(NAMES, TIMES, TIMES), max_size=12),
)
def test_the_parts_are_all_of_the_silence(first_audio: float | None, stages: list[tuple[str, float, float]]) -> None:
    assert tiles(record(first_audio, *stages))


@given(st.lists(st.tuples(NAMES, st.integers(0, 3000), st.integers(0, 3000)), max_size=8))
def test_no_instant_is_given_to_a_stage_that_was_not_under_way(stages: list[tuple[str, int, int]]) -> None:
    told = record(3000, *stages)
    for part in critical(told):
        if part.name in (REST, LOOK):
            assert not any(
                a < part.end and part.begin < b and a < b
                for name, a, b in told.stages
                if name not in ("speech", "sound")
            )
        elif part.name != ORDER["generate"]:  # which may begin with a gap
            assert _covered(part, [(a, b) for name, a, b in told.stages if called(name) == part.name])


def _covered(part: Part, spans: list[tuple[int, int]]) -> bool:
    at = part.begin
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if begin <= at < end:
            at = end
    return at >= part.end


def test_a_picture_that_is_encoded_ahead_but_not_in_time_is_waited_for() -> None:
    told = record(
        900,
        ("endpoint", 0, 300),
        ("encode ahead waits", -400, 350),
        ("encode ahead", 350, 700),
        ("prefill ahead", 700, 750),
        ("voice", 760, 900),
        ("something new", 745, 755),
    )
    assert parts(told) == [
        ("hold", 300),
        (NPU, 50),
        ("picture", 350),
        ("prefill", 50),
        ("something new", 5),
        (REST, 5),
        ("voice", 140),
    ]


def test_lengths_by_name() -> None:
    assert by_name([("a", 1.0), ("b", 2.0), ("a", 3.0)]) == {"a": 4.0, "b": 2.0}
