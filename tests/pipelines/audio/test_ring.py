"""The ring between the voice and the device."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.audio.ring import Ring


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=40))
def test_every_sample_comes_out_once_in_order(steps: list[tuple[int, int]]) -> None:
    ring, put, taken = Ring(300), 0, list[int]()
    for more, wanted in steps:
        ring.put(np.arange(put, put + more).astype(np.int16))
        put += more
        into = np.full(wanted, -1, np.int16)
        got = ring.take(into)
        assert got == min(wanted, put - len(taken))
        assert (into[got:] == -1).all()
        taken += into[:got].tolist()
        assert len(ring) == put - len(taken)
        assert ring.room == max(0, 300 - len(ring))
    assert taken == list(range(len(taken)))


def test_clearing_leaves_nothing() -> None:
    ring = Ring(10)
    ring.put(np.ones(7, np.int16))
    ring.clear()
    assert len(ring) == 0
    assert ring.room == 10
    assert ring.take(np.zeros(5, np.int16)) == 0
