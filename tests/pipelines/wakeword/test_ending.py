"""Where a phrase ended, on sounds whose loudness is the speech: noise at a level, softer noise between."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.wakeword import Detection
from pipelines.wakeword._ending import REST, WAIT, Ends, pause

MS = 16  # samples
LATEST = 300 * MS


def sound(*parts: tuple[int, float]) -> NDArray[np.int16]:
    """(ms, RMS) one after the other."""
    numbers = np.random.default_rng(5)
    return np.concatenate([numbers.normal(0, level, ms * MS) for ms, level in parts]).astype(np.int16)


@pytest.mark.parametrize(
    ("parts", "ms"),
    [
        ([(600, 1500), (150, 20)], 150),
        ([(600, 1500), (100, 20), (100, 1500)], 200),
        ([(600, 1500), (100, 400), (100, 1500)], 200),  # with a noise 11 dB below
        ([(600, 1500), (80, 20), (100, 1500), (80, 20)], 260),  # the first of two
        ([(600, 1500), (50, 20), (200, 1500)], None),  # closed lips
        ([(600, 1500), (150, 900)], None),  # nothing stands out
        ([(200, 20), (700, 1500)], None),  # what came before is no pause after
        ([(600, 1500), (100, 20), (400, 1500)], None),  # too long ago
    ],
)
def test_a_pause_is_found(parts: list[tuple[int, float]], ms: int | None) -> None:
    found = pause(sound(*parts), LATEST)
    assert found is None if ms is None else found is not None and abs(found - ms * MS) <= 10 * MS


def test_hum_does_not_hide_a_pause() -> None:
    pcm = sound((600, 1000), (150, 20)) + (3000 * np.sin(np.arange(750 * MS) * 2 * np.pi * 50 / 16_000)).astype(
        np.int16
    )
    assert pause(pcm, LATEST) == 150 * MS


def test_no_sound_has_no_pause() -> None:
    assert pause(np.zeros(0, np.int16), LATEST) is None
    assert pause(np.zeros(16_000, np.int16), LATEST) is None


def tell(subject: Ends, pcm: NDArray[np.int16], believed: list[tuple[int, int]]) -> list[tuple[int, Detection]]:
    """What it tells, with when; it is believed in these (from, to), ms."""
    found = []
    for at in range(0, len(pcm), 10 * MS):
        subject.hear(pcm[at : at + 10 * MS])
        if any(first <= at // MS + 10 <= last for first, last in believed):
            subject.believe("hey you", 0.9 if at // (10 * MS) % 2 else 0.8)
        found += [(at // MS + 10, one) for one in subject.told()]
    return found


def test_it_is_told_once_with_the_begin_of_the_pause() -> None:
    ((at, found),) = tell(Ends(LATEST), sound((800, 1500), (900, 20)), [(790, 900), (1000, 1300)])
    assert abs(found.end - 800 * MS) <= 10 * MS
    assert at == 870
    assert (found.phrase, found.score) == ("hey you", 0.9)


def test_without_a_pause_it_is_told_as_early_as_it_may_have_been() -> None:
    ((at, found),) = tell(Ends(LATEST), sound((2000, 1500)), [(1000, 1100)])
    assert found.end == 1000 * MS - LATEST
    assert at == 1000 + WAIT // MS


def test_a_pause_after_it_was_first_believed_is_still_seen() -> None:
    ((_, found),) = tell(Ends(LATEST), sound((1000, 1500), (500, 20)), [(980, 1100)])
    assert abs(found.end - 1000 * MS) <= 10 * MS


def test_said_again_it_is_told_again() -> None:
    again = 1000 + REST // MS + 20
    found = tell(Ends(LATEST), sound((3000, 1500)), [(990, 1000), (again, again + 50)])
    assert len(found) == 2
    assert len(tell(Ends(LATEST), sound((3000, 1500)), [(990, 1000), (again - 40, again + 50)])) == 1


def test_at_the_begin_of_a_stream_no_end_is_before_it() -> None:
    ((_, found),) = tell(Ends(LATEST), sound((400, 1500)), [(100, 200)])
    assert found.end == 0
