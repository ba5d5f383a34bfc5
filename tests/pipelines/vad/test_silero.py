"""Silero and the cascade in front of it, on the network in faster-whisper's wheel and on sound made here."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines import engine, vad
from pipelines.audio import wav

pytest.importorskip("faster_whisper")
ENGINES: list[tuple[str, dict[str, Any]]] = [("silero", {}), ("cascade", {}), ("cascade", {"gate": "energy"})]
FOLDERS = [Path(__file__).parents[2] / "speech", Path(__file__).parents[3] / "config" / "demo" / "speech"]


def judged(detector: vad.Detector, pcm: NDArray[np.int16]) -> NDArray[np.float64]:
    size = detector.frame_samples
    return np.array([detector.speech(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)])


@pytest.fixture(scope="module")
def speech() -> NDArray[np.int16]:
    """A second of near-silence, a spoken sentence, and a second and a half of near-silence."""
    found = sorted(path for folder in FOLDERS for path in folder.rglob("*.wav"))
    if not found:
        pytest.skip("no recorded speech in tests/speech or config/demo/speech")
    sound = wav.read(found[0])
    assert sound.rate == 16_000
    random = np.random.default_rng(0)
    before, after = ((random.standard_normal(n) * 3).astype(np.int16) for n in (16_000, 24_000))
    return np.concatenate([before, wav.to_int16(sound.pcm[:, 0]), after])


@pytest.mark.parametrize(("name", "options"), ENGINES)
def test_speech_is_told_from_silence(name: str, options: dict[str, Any], speech: NDArray[np.int16]) -> None:
    found = judged(vad.load(name, options), speech)
    assert found[:25].max() < 0.3
    assert found.max() > 0.9
    assert found[-15:].max() < 0.3


@pytest.mark.parametrize(("name", "options"), ENGINES)
@pytest.mark.parametrize("loud", [30, 1000, 5000])
def test_noise_is_no_speech(name: str, options: dict[str, Any], loud: int) -> None:
    noise = (np.random.default_rng(1).standard_normal(32_000) * loud).astype(np.int16)
    assert judged(vad.load(name, options), noise).mean() < 0.2


@pytest.mark.parametrize(("name", "options"), ENGINES)
def test_reset_forgets_and_streams_are_apart(name: str, options: dict[str, Any], speech: NDArray[np.int16]) -> None:
    detector, other = vad.load(name, options), vad.load(name, options)
    first = judged(detector, speech)
    detector.reset()
    again = []
    for at in range(0, len(speech) - 511, 512):
        again.append(detector.speech(speech[at : at + 512]))
        other.speech(speech[::-1][at : at + 512].copy())
    assert np.array_equal(first, again)


def test_the_cascade_spares_silero_in_silence_and_agrees_with_it_in_speech(speech: NDArray[np.int16]) -> None:
    cascade: Any = vad.load("cascade", {"gate": "energy"})
    calls = []
    judge = cascade._silero.speech
    cascade._silero.speech = lambda frame: calls.append(1) or judge(frame)  # type: ignore[func-returns-value]
    judged(cascade, np.zeros(16_000 * 4, np.int16))
    assert not calls
    cascade.reset()
    found, alone = judged(cascade, speech), judged(vad.load("silero", {}), speech)
    assert np.mean((found > 0.5) == (alone > 0.5)) > 0.95


@pytest.mark.parametrize(("name", "options"), ENGINES)
@pytest.mark.parametrize("samples", [0, 480, 513])
def test_another_frame_length_is_refused(name: str, options: dict[str, Any], samples: int) -> None:
    with pytest.raises(engine.EngineError, match=f"takes 512 samples a frame, not {samples}"):
        vad.load(name, options).speech(np.zeros(samples, np.int16))


def test_files_that_are_no_silero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(engine.EngineError, match="there is no file"):
        vad.load("silero", {"model": str(tmp_path / "none.onnx")})
    (tmp_path / "bad.onnx").write_bytes(b"\x08\x07hello")
    with pytest.raises(engine.EngineError, match=r"bad\.onnx cannot be opened"):
        vad.load("silero", {"model": str(tmp_path / "bad.onnx")})
    other = Path(__file__).parents[2] / "fixtures" / "piper" / "tiny.onnx"
    with pytest.raises(engine.EngineError, match="no Silero network of the form"):
        vad.load("silero", {"model": str(other)})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(engine.EngineError, match=r"edge-assistant\[faster-whisper\]"):
        vad.load("silero", {})
