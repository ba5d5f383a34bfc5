"""sherpa-onnx on tiny models in its real formats (tests/fixtures/sherpa), whose text is written beforehand."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines import asr, engine, onnxfile
from pipelines.asr import Recognition

pytest.importorskip("sherpa_onnx")
MODELS = Path(__file__).parents[2] / "fixtures" / "sherpa"
KINDS = ["sense-voice-en", "zipformer"]


def spoken(seconds: float = 1.5) -> NDArray[np.int16]:
    """Not speech, but as loud and uneven as speech."""
    samples = np.random.default_rng(1).standard_normal(int(16_000 * seconds)) * 3000
    samples[: len(samples) // 4] *= 0.01
    return samples.astype(np.int16)


def recognizer(model: str | Path, **options: Any) -> asr.Recognizer:
    return asr.load("sherpa_onnx", {"model": str(MODELS / model), "threads": 1, **options})


def hear(subject: asr.Recognizer, pcm: NDArray[np.int16]) -> tuple[list[str], Recognition]:
    """The partial texts and the result."""
    utterance = subject.utterance()
    partials = [utterance.feed(pcm[at : at + 1600]) for at in range(0, len(pcm), 1600)]
    return [text for text in partials if text], utterance.finish()


@pytest.mark.parametrize(
    ("model", "text", "language"),
    [
        ("sense-voice-en", "what do you see", "en"),
        ("sense-voice-zh", "你看到什么", "zh"),
        ("zipformer", "what do you see", ""),
    ],
)
def test_it_writes_what_it_hears(model: str, text: str, language: str) -> None:
    assert hear(recognizer(model), spoken())[1] == Recognition(text=text, language=language)


@pytest.mark.parametrize("model", ["sense-voice-en", "zipformer"])
def test_a_guess_in_a_pause_is_the_result_and_ends_nothing(model: str) -> None:
    subject, pcm = recognizer(model), np.concatenate([spoken(), np.zeros(8_000, np.int16)])
    result = hear(subject, pcm)[1]
    assert result.text
    utterance = subject.utterance()
    utterance.feed(pcm)
    assert utterance.so_far() == result
    utterance.feed(np.zeros(8_000, np.int16))
    assert utterance.finish() == result


def test_a_streaming_model_writes_along() -> None:
    partials, result = hear(recognizer("zipformer"), spoken())
    assert partials == sorted(partials, key=len)
    assert len(partials) >= 2
    assert partials[-1] == result.text


def test_sense_voice_writes_along_where_that_is_wanted() -> None:
    partials, _ = hear(recognizer("sense-voice-en", partial_ms=400), spoken())
    assert partials[-1] == "what do you see"
    assert hear(recognizer("sense-voice-en"), spoken())[0] == []


def test_the_last_words_are_not_lost() -> None:
    partials, result = hear(recognizer("zipformer"), spoken(0.6))
    assert len(result.text) > len("".join(partials[-1:]))


@pytest.mark.parametrize("model", KINDS)
@pytest.mark.parametrize("pcm", [np.zeros(0, np.int16), np.zeros(32_000, np.int16), spoken()[-800:]])
def test_silence_and_clicks_are_refused(model: str, pcm: NDArray[np.int16]) -> None:
    assert hear(recognizer(model), pcm)[1] == Recognition(refused="silence")


def test_what_the_model_calls_no_speech_is_noise() -> None:
    faint = (np.random.default_rng(1).standard_normal(32_000) * 45).astype(np.int16)
    assert hear(recognizer("sense-voice-en"), faint)[1] == Recognition(refused="noise")


@pytest.mark.parametrize("model", KINDS)
def test_several_utterances_may_be_open(model: str) -> None:
    subject = recognizer(model)
    first, second = subject.utterance(), subject.utterance()
    first.feed(spoken())
    second.feed(np.zeros(16_000, np.int16))
    assert second.finish().refused == "silence"
    assert first.finish().text == "what do you see"


def test_options_reach_the_model() -> None:
    subject: Any = recognizer("sense-voice-zh", language="zh", punctuate=False)
    assert subject.recognizer.config.model_config.sense_voice.language == "zh"
    assert not subject.recognizer.config.model_config.sense_voice.use_itn
    with pytest.raises(engine.EngineError, match="language"):
        recognizer("sense-voice-zh", language="de")


def copied(model: str, folder: Path) -> Path:
    return shutil.copytree(MODELS / model, folder / model)


@pytest.mark.parametrize(
    ("model", "name"),
    [(kind, path.name) for kind in KINDS for path in sorted((MODELS / kind).iterdir())],
)
def test_a_missing_file_is_named(model: str, name: str, tmp_path: Path) -> None:
    folder = copied(model, tmp_path)
    (folder / name).unlink()
    with pytest.raises(engine.EngineError, match=f"{name.split('.')[0]}") as caught:
        recognizer(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("model", "name"),
    [(kind, path.name) for kind in KINDS for path in sorted((MODELS / kind).iterdir())],
)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_that_is_cut_short_does_not_end_the_process(model: str, name: str, share: float, tmp_path: Path) -> None:
    folder = copied(model, tmp_path)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(engine.EngineError, match=str(folder)):
        recognizer(folder)


def test_swapped_files_do_not_end_the_process(tmp_path: Path) -> None:
    folder = copied("zipformer", tmp_path)
    for first, second in (("encoder.int8.onnx", "joiner.int8.onnx"), ("encoder.int8.onnx", "decoder.onnx")):
        shutil.copy(MODELS / "zipformer" / first, folder / second)
        shutil.copy(MODELS / "zipformer" / second, folder / first)
        with pytest.raises(engine.EngineError, match=str(folder)):
            recognizer(folder)
    folder = copied("sense-voice-en", tmp_path)
    shutil.copy(MODELS / "vits" / "model.onnx", folder / "model.int8.onnx")
    with pytest.raises(engine.EngineError, match=r"type 'vits'.*none of SenseVoice"):
        recognizer(folder)


def test_graphs_that_do_not_fit_together_fail_in_words(tmp_path: Path) -> None:
    folder = copied("zipformer", tmp_path)
    shutil.copy(MODELS / "zipformer" / "decoder.onnx", folder / "joiner.int8.onnx")
    with pytest.raises(engine.EngineError, match=str(folder)):
        hear(recognizer(folder), spoken())


def test_folders_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError, match="there is no model folder"):
        recognizer(tmp_path / "none")
    with pytest.raises(engine.EngineError, match=r"neither model\*\.onnx"):
        recognizer(tmp_path)


def test_metadata_is_read_without_loading(tmp_path: Path) -> None:
    told = onnxfile.metadata(MODELS / "zipformer" / "encoder.int8.onnx")
    assert told["model_type"] == "zipformer2"
    assert told["decode_chunk_len"] == "32"
    for data in (b"", b"\x00", b"hello, this is no model at all", b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x0f"):
        (tmp_path / "bad.onnx").write_bytes(data)
        with pytest.raises(engine.EngineError, match=r"bad\.onnx is cut short or no ONNX model"):
            onnxfile.metadata(tmp_path / "bad.onnx")
