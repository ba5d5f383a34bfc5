"""Keyword spotting on the tiny zipformer of tests/fixtures/sherpa: its words come one after the other where there is
sound, whatever that is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines import wakeword
from pipelines.engine import EngineError
from pipelines.wakeword import Detection

pytest.importorskip("sherpa_onnx")
MODEL = Path(__file__).parents[2] / "fixtures" / "sherpa" / "zipformer"
PHRASE = "what do you see"


def spotter(**options: Any) -> wakeword.Spotter:
    return wakeword.load("sherpa_onnx", {"model": str(MODEL), "phrases": [PHRASE], "threshold": 0.01} | options)


def sound() -> NDArray[np.int16]:
    """A second of silence, one and a half of noise, half a second of silence."""
    samples = np.random.default_rng(1).standard_normal(48_000) * 3000
    samples[:16_000] = samples[40_000:] = 0
    return samples.astype(np.int16)


def hear(subject: wakeword.Spotter, pcm: NDArray[np.int16], block: int = 1600) -> list[Detection]:
    return [found for at in range(0, len(pcm), block) for found in subject.feed(pcm[at : at + block])]


def test_a_phrase_is_told_once_each_time_and_never_behind_what_was_fed() -> None:
    subject = spotter(phrases=["you see what", PHRASE])
    assert subject.phrases == ("you see what", PHRASE)
    first, second = hear(subject, sound()), hear(subject, sound())
    assert [found.phrase for found in first + second] == [PHRASE, PHRASE]
    assert 0 <= first[0].end <= 48_000 < second[0].end <= 96_000
    subject.reset()
    assert [found.phrase for found in hear(subject, sound())] == [PHRASE]


@pytest.mark.parametrize("block", [1, 160, 5000])
def test_it_does_not_matter_how_it_is_fed(block: int) -> None:
    pcm = sound()
    assert len(hear(spotter(), pcm[: len(pcm) if block > 1 else 600], block)) == (1 if block > 1 else 0)


def test_silence_holds_no_phrase() -> None:
    assert hear(spotter(), np.zeros(48_000, np.int16)) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phrases": []}, "there are no phrases"),
        ({"phrases": ["what is that"]}, "cannot spell 'is' in 'what is that'"),
        ({"thresholds": {"hello": 0.5}}, "a threshold for 'hello', which is none of the phrases"),
        ({"pronunciations": {"hello": "x"}}, "a pronunciation for 'hello', which is none of the phrases"),
        ({"model": "/no/such"}, r"there is no keyword model \(encoder\*.onnx …\) in /no/such"),
        ({"model": str(MODEL.with_name("sense-voice-en"))}, "there is no keyword model"),
        ({"treshold": 0.5}, "did you mean 'threshold'"),
    ],
)
def test_what_is_not_in_order_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        spotter(**options)


def test_a_phrase_may_be_spelt_in_tokens() -> None:
    subject = spotter(phrases=["看到什么"], pronunciations={"看到什么": "▁WHAT ▁DO ▁YOU ▁SEE"})
    assert [found.phrase for found in hear(subject, sound())] == ["看到什么"]
