"""The contract of a detector, on the embedded engine."""

from pathlib import Path

import numpy as np
import pytest

from pipelines import vad
from pipelines.audio import wav
from pipelines.engine import EngineError

SPEECH = Path(__file__).parents[2] / "speech"


def verdicts(detector: vad.Detector, pcm: np.ndarray) -> list[float]:
    size = detector.frame_samples
    return [detector.speech(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)]


@pytest.mark.parametrize(("frame_ms", "samples"), [(10, 160), (20, 320), (30, 480)])
@pytest.mark.parametrize("aggressiveness", [0, 1, 2, 3])
def test_it_hears_speech_and_no_silence(frame_ms: int, samples: int, aggressiveness: int) -> None:
    detector = vad.load("webrtcvad", {"frame_ms": frame_ms, "aggressiveness": aggressiveness})
    assert detector.frame_samples == samples
    spoken = wav.read(SPEECH / "rms" / "what-do-you-see.wav").pcm[:, 0]
    assert np.mean(verdicts(detector, spoken)) > 0.6
    detector.reset()
    assert not any(verdicts(detector, np.zeros(16_000, np.int16)))


def test_a_reset_makes_it_new() -> None:
    detector = vad.load("webrtcvad", {})
    spoken = wav.read(SPEECH / "awb" / "is-there-a-ball.wav").pcm[:, 0]
    first = verdicts(detector, spoken)
    detector.reset()
    assert verdicts(detector, spoken) == first
    assert set(first) == {0.0, 1.0}


def test_a_frame_of_another_length_is_refused() -> None:
    with pytest.raises(EngineError, match="320 samples"):
        vad.load("webrtcvad", {}).speech(np.zeros(319, np.int16))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"frame_ms": 25}, "frame_ms"), ({"aggressiveness": 4}, "aggressiveness"), ({"agressiveness": 1}, "did you mean")],
)
def test_options_out_of_range_are_named(options: dict[str, int], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        vad.load("webrtcvad", options)
