"""Ears and mouth of a simulated board: another engine's work, never sooner than the board would have done it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines import asr, engine, tts
from pipelines.asr import Recognition
from pipelines.simulator import ears, mouth, timings

HERE = "tests.pipelines.simulator.test_senses"
EARS, MOUTH = "pipelines.simulator.ears:Engine", "pipelines.simulator.mouth:Engine"
SECOND = np.zeros(asr.RATE, np.int16)


class NoOptions(engine.Options, frozen=True, kw_only=True):
    work_ms: float = 0.0


class Parrot:
    """A recognizer and a voice of no size: says how much it heard, and speaks 100 ms a word."""

    Options = NoOptions
    rate = 8000
    name = "pocketsphinx"  # whose figures it is given

    def __init__(self, options: NoOptions) -> None:
        self._work_s = options.work_ms / 1000

    def utterance(self, language: str = "") -> "Parrot":
        self._samples = 0
        return self

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        self._samples += len(pcm)
        return f"{self._samples}"

    def so_far(self) -> Recognition | None:
        return self.finish()

    def finish(self) -> Recognition:
        time.sleep(self._work_s)
        return Recognition(text=f"{self._samples} samples")

    def speak(self, text: str, language: str = "") -> Iterator[tts.Chunk]:
        for word in text.split():
            time.sleep(self._work_s)
            yield tts.Chunk(np.full(self.rate // 10, len(word), np.int16))


class Owl(Parrot):
    """It decodes half of what it is fed."""

    @property
    def decoded_s(self) -> float:
        return self._samples / asr.RATE / 2


class Crow(Parrot):
    name = "espeak"


class Stranger(Parrot):
    name = "stranger"


class Clock:
    """Time passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(time, "sleep", one.sleep)
    monkeypatch.setattr(time, "perf_counter", lambda: one.now)
    return one


def recognizer(inner: str = "Parrot", slowness: float = 1.0, **options: Any) -> asr.Recognizer:
    given = {"engine": f"{HERE}:{inner}", "options": options, "board": "rk3588", "slowness": slowness}
    return asr.load(EARS, given)


def voice(inner: str = "Crow", slowness: float = 1.0, board: str = "rk3588", **options: Any) -> tts.Voice:
    return tts.load(MOUTH, {"engine": f"{HERE}:{inner}", "options": options, "board": board, "slowness": slowness})


def test_recognition_takes_its_time_for_every_second_of_speech(clock: Clock) -> None:
    utterance = recognizer(slowness=0.5).utterance()
    assert [utterance.feed(SECOND) for _ in range(3)] == ["16000", "32000", "48000"]
    assert clock.now == 0
    assert utterance.finish().text == "48000 samples"
    assert clock.now == pytest.approx(0.5 * 3 * timings.EARS["rk3588", "pocketsphinx"].per_second_ms / 1000)


def test_what_is_not_decoded_takes_no_time(clock: Clock) -> None:
    utterance = recognizer("Owl").utterance()
    utterance.feed(SECOND)
    utterance.finish()
    assert clock.now == pytest.approx(0.5 * timings.EARS["rk3588", "pocketsphinx"].per_second_ms / 1000)


def test_each_guess_in_a_pause_takes_its_time_and_a_confirmed_one_no_more(clock: Clock) -> None:
    utterance = recognizer().utterance()
    second_s = timings.EARS["rk3588", "pocketsphinx"].per_second_ms / 1000
    utterance.feed(SECOND)
    assert utterance.so_far() == Recognition(text="16000 samples")
    assert clock.now == pytest.approx(second_s)
    utterance.feed(SECOND)
    utterance.so_far()
    assert clock.now == pytest.approx(3 * second_s)
    assert utterance.finish().text == "32000 samples"
    assert clock.now == pytest.approx(3 * second_s)


def test_a_streaming_recognizer_works_while_one_speaks(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(timings.EARS, ("rk3588", "pocketsphinx"), timings.Ears(200, 300, "test", streaming=True))
    utterance = recognizer().utterance()
    utterance.feed(SECOND)
    utterance.feed(SECOND)
    assert clock.now == pytest.approx(0.6)
    utterance.finish()
    assert clock.now == pytest.approx(0.8)


@pytest.mark.parametrize(("work_ms", "whole_ms"), [(0, 150), (100, 150), (200, 200)])
def test_real_work_counts_and_is_never_shortened(work_ms: float, whole_ms: float, clock: Clock) -> None:
    utterance = recognizer(work_ms=work_ms).utterance()
    utterance.feed(SECOND)
    utterance.finish()
    assert clock.now * 1000 == pytest.approx(whole_ms)


def test_speech_comes_no_sooner_than_the_board_would_make_it(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word lasts 100 ms; a first block comes after 80 ms, a second of speech takes 500, all ten times as fast."""
    monkeypatch.setitem(timings.MOUTHS, ("rk3588", "espeak"), timings.Mouth(80, 500, "test"))
    came = [(int(chunk.pcm[0]), clock.now * 1000) for chunk in voice(slowness=0.1).speak("one two three four")]
    assert [length for length, _ in came] == [3, 3, 5, 4]
    assert [at for _, at in came] == pytest.approx([8, 10, 15, 20])


def test_a_voice_that_is_slower_than_the_board_is_not_made_faster(clock: Clock) -> None:
    assert [clock.now for _ in voice(work_ms=40).speak("one two")] == pytest.approx([0.04, 0.08])


def test_both_tell_the_figures_and_their_source(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ear, speech = recognizer(), voice()
    assert (engine.name_of(ear), engine.name_of(speech)) == ("pocketsphinx at rk3588's pace", "espeak at rk3588's pace")
    assert speech.rate == 8000
    assert caplog.messages == [
        "pocketsphinx at rk3588's pace: 150 ms a second of speech (assumed: three times what it takes on a PC's core)",
        f"espeak at rk3588's pace: 20 ms to the first block and 0 ms a second of speech ({timings.SMALL})",
    ]


def test_what_nobody_measured_keeps_this_machines_pace(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    ear, speech = recognizer("Stranger"), voice("Stranger")
    assert engine.name_of(ear) == "stranger"
    assert caplog.messages[0] == "of stranger on rk3588 no figures are known; it keeps this machine's pace"
    utterance = ear.utterance()
    utterance.feed(SECOND)
    utterance.finish()
    list(speech.speak("one two"))
    assert clock.now == 0


@pytest.mark.parametrize(
    ("name", "model", "files", "expected"),
    [
        ("faster_whisper", "faster-whisper-base", (), "whisper-base"),
        ("faster_whisper", "large-v3", (), "whisper"),
        ("sherpa_onnx", "x", ("model.int8.onnx",), "sense-voice"),
        ("sherpa_onnx", "x", ("joiner.onnx",), "zipformer"),
        ("pocketsphinx", "", (), "pocketsphinx"),
    ],
)
def test_what_kind_of_ears(name: str, model: str, files: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    assert ears.kind(name, {"model": _folder(tmp_path / model, files)}) == expected


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("sherpa_onnx", ("voices.bin",), "kokoro"),
        ("sherpa_onnx", ("model-steps-3.onnx",), "matcha"),
        ("sherpa_onnx", ("model.onnx",), "piper"),
        ("piper", (), "piper"),
    ],
)
def test_what_kind_of_mouth(name: str, files: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    assert mouth.kind(name, {"model": _folder(tmp_path / "x", files)}) == expected


def test_auto_is_whatever_could_be_loaded() -> None:
    ear = asr.load(EARS, {"engine": "auto", "options": {"pocketsphinx": {"phrases": ["stop"]}}, "board": "rk3576"})
    assert engine.name_of(ear) == "pocketsphinx at rk3576's pace"


def test_what_the_wrapped_engine_refuses_is_told() -> None:
    with pytest.raises(engine.EngineError, match=r"'wrok_ms'.*did you mean 'work_ms'"):
        recognizer(wrok_ms=3)
    with pytest.raises(engine.EngineError, match="slowness"):
        recognizer(slowness=0)


def test_every_figure_has_a_source() -> None:
    assert all(row.source for row in timings.EARS.values())
    assert all(row.source for row in timings.MOUTHS.values())
    assert {board for board, _ in [*timings.EARS, *timings.MOUTHS]} == {board for board, _ in timings.MODELS}


def _folder(path: Path, files: tuple[str, ...]) -> str:
    path.mkdir(parents=True, exist_ok=True)
    for name in files:
        (path / name).touch()
    return str(path)
