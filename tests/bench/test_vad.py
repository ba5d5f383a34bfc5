"""The measurement itself: it finds what is there, and its conditions are what they say."""

import numpy as np
import pytest

from tests.bench import vad as bench


@pytest.fixture(scope="module")
def speech() -> list[bench.Wave]:
    found = bench.recordings()[:12]
    if not found:
        pytest.skip("no recorded speech in tests/speech or config/demo/speech")
    return [bench.spoken(path) for path in found]


@pytest.fixture(scope="module")
def scenes(speech: list[bench.Wave]) -> dict[str, bench.Scene]:
    return bench.scenes(speech, 4)


def test_noise_is_as_loud_as_it_says(scenes: dict[str, bench.Scene]) -> None:
    assert len(scenes) == 2 + 3 * len(bench.SNRS)
    clean = scenes["clean"].pcm.astype(np.float64)
    for noise in bench.NOISES:
        for snr in bench.SNRS:
            added = scenes[f"{noise} {snr} dB"].pcm - clean
            level = 20 * np.log10(bench.LEVEL / np.sqrt(np.mean(np.square(added))))
            assert level == pytest.approx(snr, abs=1.5)  # clatter is clipped a little


def test_every_engine_hears_clean_speech(scenes: dict[str, bench.Scene]) -> None:
    for engine in bench.ENGINES:
        if engine.startswith(("silero", "cascade")):
            pytest.importorskip("faster_whisper")
        found = bench.score("clean", scenes["clean"], engine)
        assert (found.utterances, found.missed, found.cut, found.false_starts) == (4, 0, 0, 0), engine
        assert found.pause_s > 10


def test_starts_in_noise_are_false_and_late_ones_missed(scenes: dict[str, bench.Scene]) -> None:
    found = bench.score("clatter 0 dB", scenes["clatter 0 dB"], "webrtcvad 2")
    assert found.false_starts > 0
    moved = bench.Scene(scenes["clean"].pcm, [(start - 1.0, end - 1.0) for start, end in scenes["clean"].truth])
    assert bench.score("clean", moved, "webrtcvad 2").missed == 4


def test_the_table_has_a_line_for_each_condition(scenes: dict[str, bench.Scene]) -> None:
    lines = bench.table([bench.score(name, scenes[name], "webrtcvad 2") for name in ("clean", "fan 0 dB")]).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| clean",
        "| fan 0 dB",
        "| **all**",
        "| CPU for 1 s of sound",
    ]
