"""sherpa-onnx on tiny voices in its real formats (tests/fixtures/sherpa)."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import engine, tts

pytest.importorskip("sherpa_onnx")
VOICES = Path(__file__).parents[2] / "fixtures" / "sherpa"
KINDS = {"vits": (16_000, "Red ball. Hello!"), "matcha": (22_050, "你好，你好。"), "kokoro": (24_000, "Hello, ball.")}
FILES = [(kind, path.name) for kind in KINDS for path in sorted((VOICES / kind).iterdir())]


def voice(model: str | Path, **options: Any) -> tts.Voice:
    return tts.load("sherpa_onnx", {"model": str(VOICES / model), "threads": 1, **options})


def sound(subject: tts.Voice, text: str) -> Any:
    return np.concatenate([np.zeros(0, np.int16), *(chunk.pcm for chunk in subject.speak(text))])


@pytest.mark.parametrize("kind", KINDS)
def test_it_speaks(kind: str) -> None:
    rate, text = KINDS[kind]
    subject = voice(kind)
    assert subject.rate == rate
    for chunk in subject.speak(text):
        assert chunk.pcm.dtype == np.int16
        assert chunk.pcm.ndim == 1
        assert len(chunk.pcm) > 500
        assert np.abs(chunk.pcm).max() > 1000
        assert chunk.words == ()


def test_a_sentence_comes_in_pieces_and_can_be_stopped() -> None:
    chunks = voice("vits").speak("Hello red ball, hello red ball. Hello!")
    assert len(next(chunks).pcm)
    chunks.close()  # type: ignore[attr-defined]
    assert next(chunks, None) is None
    assert len(list(voice("vits").speak("Hello red ball, hello red ball. Hello hello hello!"))) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", "...", " \n", "?!"])
def test_nothing_speakable_is_silent(kind: str, text: str) -> None:
    assert not list(voice(kind).speak(text))


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_is_survived(kind: str) -> None:
    subject = voice(kind)
    for text in ("zebra", "a\0b", "café 🙂 好", "hello " * 300, "<|im_start|>\x1b[31m", "1234", "你"):
        list(subject.speak(text))


def test_speakers_and_speed() -> None:
    loud, soft = sound(voice("vits"), "hello"), sound(voice("vits", speaker=1), "hello")
    assert np.abs(loud).max() == pytest.approx(2 * np.abs(soft).max(), rel=0.01)
    assert np.abs(sound(voice("vits", speed=2.0), "hello")).max() == pytest.approx(np.abs(loud).max() / 2, rel=0.01)
    with pytest.raises(engine.EngineError, match=r"no speaker 2; it has 0\.\.1"):
        voice("vits", speaker=2)


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_a_missing_file_is_named(kind: str, name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(VOICES / kind, tmp_path / kind)
    (folder / name).unlink()
    with pytest.raises(engine.EngineError) as caught:
        voice(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(("kind", "name"), [file for file in FILES if not file[1].endswith(".txt")])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_that_is_cut_short_does_not_end_the_process(kind: str, name: str, share: float, tmp_path: Path) -> None:
    folder = shutil.copytree(VOICES / kind, tmp_path / kind)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(engine.EngineError, match=str(folder)):
        voice(folder)


def test_folders_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError, match="there is no model folder"):
        voice(tmp_path / "none")
    with pytest.raises(engine.EngineError, match="holds no voice"):
        voice(tmp_path)
    with pytest.raises(engine.EngineError, match="has no lexicon"):
        voice("sense-voice-en")
    folder = shutil.copytree(VOICES / "sense-voice-en", tmp_path / "a")
    (folder / "lexicon.txt").write_text("hello a\n")
    with pytest.raises(engine.EngineError, match="no voice as sherpa-onnx publishes them"):
        voice(folder)


def test_a_voice_without_a_lexicon_is_told_where_to_go(tmp_path: Path) -> None:
    folder = shutil.copytree(VOICES / "vits", tmp_path / "a")
    (folder / "lexicon.txt").unlink()
    with pytest.raises(engine.EngineError, match="the tts engine 'piper'"):
        voice(folder)
