"""What has left the device, and when a sample leaves."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.audio.departures import KEEP_NS, Departures

RATE = 16_000
MS = 1_000_000


def test_nothing_has_left_of_what_was_not_fetched() -> None:
    departures = Departures(RATE)
    assert departures.left(0) == 0
    assert departures.leaves_at(0) is None


def test_samples_leave_one_by_one() -> None:
    departures = Departures(RATE)
    departures.add(320, 100 * MS)
    departures.add(320, 150 * MS)  # the device had run dry in between
    assert departures.left(99 * MS) == 0
    assert departures.left(110 * MS) == 161
    assert departures.left(140 * MS) == 320
    assert departures.left(150 * MS) == 321
    assert departures.left(10_000 * MS) == 640
    assert departures.leaves_at(319) == 100 * MS + 319 * 62_500
    assert departures.leaves_at(320) == 150 * MS
    assert departures.leaves_at(640) is None


def test_after_clearing_positions_begin_anew() -> None:
    departures = Departures(RATE)
    departures.add(320, 0)
    departures.clear()
    assert departures.left(10_000 * MS) == 0
    departures.add(100, 20 * MS)
    assert departures.leaves_at(0) == 20 * MS


@given(st.lists(st.tuples(st.integers(1, 2000), st.integers(0, 200 * MS)), min_size=1, max_size=60))
def test_the_count_only_grows_and_agrees_with_the_times(stretches: list[tuple[int, int]]) -> None:
    departures, at, total = Departures(RATE), KEEP_NS, 0
    for samples, pause in stretches:
        at += pause
        departures.add(samples, at)
        assert departures.leaves_at(total) == at
        total += samples
        at += samples * 1_000_000_000 // RATE + 1
        assert departures.left(at) == total
    counts = [departures.left(moment) for moment in range(at - 300 * MS, at, 7 * MS)]
    assert counts == sorted(counts)
