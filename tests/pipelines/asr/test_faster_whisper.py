"""faster-whisper on tiny models in the real format, whose text is written beforehand."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines import asr, engine
from pipelines.asr import Recognition

pytest.importorskip("faster_whisper")
Pcm = NDArray[np.int16]
Maker = Callable[..., Path]
MAKE = Path(__file__).parents[2] / "fixtures" / "whisper" / "make.py"


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    spec = importlib.util.spec_from_file_location("make_whisper", MAKE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def made(*text: str, **what: Any) -> Path:
        folder: Path = module.make(tmp_path_factory.mktemp("whisper"), *text, **what)
        return folder

    return made


@pytest.fixture(scope="module")
def folder(make: Maker) -> Path:
    return make("what do you see")


def spoken(seconds: float = 1.5) -> Pcm:
    """Not speech, but as loud and uneven as speech."""
    random = np.random.default_rng(1)
    samples = random.standard_normal(int(16_000 * seconds)) * 3000
    samples[: len(samples) // 4] *= 0.01
    return samples.astype(np.int16)


def recognizer(folder: Path, **options: Any) -> asr.Recognizer:
    return asr.load("faster_whisper", {"model": str(folder), "threads": 1, **options})


def hear(subject: asr.Recognizer, pcm: Pcm) -> Recognition:
    utterance = subject.utterance()
    for start in range(0, len(pcm), 1600):
        utterance.feed(pcm[start : start + 1600])
    return utterance.finish()


def test_it_writes_what_it_hears(folder: Path) -> None:
    assert hear(recognizer(folder), spoken()) == Recognition(text="what do you see", language="en")


def test_a_guess_in_a_pause_is_the_result_and_ends_nothing(folder: Path) -> None:
    utterance = recognizer(folder).utterance()
    assert utterance.so_far() == Recognition(refused="silence")
    utterance.feed(spoken())
    assert utterance.so_far() == Recognition(text="what do you see", language="en")
    utterance.feed(spoken())
    assert utterance.finish() == Recognition(text="what do you see", language="en")


def test_two_utterances_may_be_open_at_once(folder: Path) -> None:
    subject = recognizer(folder)
    first, second = subject.utterance(), subject.utterance()
    first.feed(spoken())
    second.feed(np.zeros(16_000, np.int16))
    assert second.finish().refused == "silence"
    assert first.finish().text == "what do you see"


@pytest.mark.parametrize("pcm", [np.zeros(0, np.int16), np.zeros(48_000, np.int16), spoken()[-800:]])
def test_silence_and_clicks_are_refused_without_asking_the_model(folder: Path, pcm: Pcm) -> None:
    assert hear(recognizer(folder), pcm) == Recognition(refused="silence")


@pytest.mark.parametrize(
    ("text", "what", "refused"),
    [
        ("thank you", {"no_speech": True}, "noise"),
        ("hello there", {"sure": 0.8}, "not understood"),
        ("hello there", {"sure": 0.8, "no_speech": True}, "not understood"),
        ("you", {"loop": True}, "repetition"),
        ("i see a ball and", {"loop": True}, "repetition"),
        ("", {}, "not understood"),
    ],
)
def test_noise_does_not_become_text(make: Maker, text: str, what: dict[str, Any], refused: str) -> None:
    assert hear(recognizer(make(text, **what)), spoken(4.0)) == Recognition(refused=refused)


def test_thank_you_is_believed_from_speech_and_not_from_a_fan(make: Maker) -> None:
    subject = recognizer(make("thank you"))
    assert hear(subject, spoken()).text == "thank you"
    fan = (np.random.default_rng(2).standard_normal(32_000) * 1500).astype(np.int16)
    assert hear(subject, fan) == Recognition(refused="noise")


def test_a_loop_ends_soon(make: Maker) -> None:
    """The number of tokens is bounded by the length of the sound."""
    subject: Any = recognizer(make("you", loop=True))
    asked: list[int] = []
    transcribe = subject._model.transcribe

    def spy(audio: Any, **options: Any) -> Any:
        asked.append(options["max_new_tokens"])
        return transcribe(audio, **options)

    subject._model.transcribe = spy
    hear(subject, spoken(1.0))
    hear(subject, spoken(40.0))
    assert asked == [28, 200]


def test_languages_are_detected_pinned_or_chosen_among_some(make: Maker) -> None:
    folder = make("你 看到 什么", multilingual=True, language="zh")
    assert hear(recognizer(folder), spoken()) == Recognition(text="你 看到 什么", language="zh")
    assert hear(recognizer(folder, language="en"), spoken()).language == "en"
    assert hear(recognizer(folder, languages=["en", "zh"]), spoken()).language == "zh"
    assert hear(recognizer(folder, languages=["de", "fr"]), spoken()).language in {"de", "fr"}
    assert hear(recognizer(folder, languages=["de"]), spoken()).language == "de"


def test_partials_come_now_and_then_and_only_when_they_change(folder: Path) -> None:
    utterance = recognizer(folder, partial_ms=500).utterance()
    pcm = spoken(3.0)
    texts = [utterance.feed(pcm[start : start + 1600]) for start in range(0, len(pcm), 1600)]
    assert [text for text in texts if text] == ["what do you see"]
    assert utterance.finish().text == "what do you see"
    utterance = recognizer(folder).utterance()
    assert not any(utterance.feed(pcm[start : start + 1600]) for start in range(0, len(pcm), 1600))


def test_hotwords_prompt_and_beam_reach_the_model(folder: Path) -> None:
    subject = recognizer(folder, hotwords=["Pico", "Moritz"], prompt="Questions about a room. " * 80, beam=3)
    assert hear(subject, spoken()).text == "what do you see"


def test_longer_than_one_window(folder: Path) -> None:
    assert hear(recognizer(folder), spoken(33.0)).text == "what do you see what do you see"


@pytest.mark.parametrize("name", ["tokenizer.json", "model.bin", "config.json", "vocabulary.json"])
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    (copy / name).unlink()
    with pytest.raises(engine.EngineError, match=name):
        recognizer(copy)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.bin"])
def test_a_damaged_file_is_an_error_that_names_the_folder(folder: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    (copy / name).write_bytes((copy / name).read_bytes()[:1000])
    with pytest.raises(engine.EngineError, match=str(copy)):
        recognizer(copy)


def test_a_preprocessor_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    (copy / "preprocessor_config.json").write_text('{"feature_size": 128}')
    with pytest.raises(engine.EngineError, match=r"80 mels.*preprocessor_config\.json"):
        recognizer(copy)


def test_what_cannot_work_is_refused_at_once(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError, match="no Whisper model folder"):
        recognizer(tmp_path / "nowhere")
    with pytest.raises(engine.EngineError, match="'zh'; it is English only"):
        recognizer(folder, language="zh")
    with pytest.raises(engine.EngineError, match="did you mean 'partial_ms'"):
        recognizer(folder, partials_ms=3)
