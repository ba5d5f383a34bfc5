"""Piper on two tiny voices in its real format (tests/fixtures/piper)."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import engine, tts

pytest.importorskip("piper")
VOICES = Path(__file__).parents[2] / "fixtures" / "piper"
ENGLISH, CHINESE = str(VOICES / "tiny.onnx"), str(VOICES / "tiny-zh.onnx")


def voice(path: str | Path = ENGLISH, **options: Any) -> tts.Voice:
    return tts.load("piper", {"voice": str(path), "threads": 1, **options})


def sound(subject: tts.Voice, text: str, language: str = "") -> Any:
    return np.concatenate([np.zeros(0, np.int16), *(chunk.pcm for chunk in subject.speak(text, language))])


def test_sentences_come_one_by_one() -> None:
    subject = voice()
    assert subject.rate == 22_050
    chunks = list(subject.speak("The ball is red. The cube is blue! Is it?"))
    assert len(chunks) == 3
    for chunk in chunks:
        assert chunk.pcm.dtype == np.int16
        assert chunk.pcm.ndim == 1
        assert len(chunk.pcm) > 2000
        assert np.abs(chunk.pcm).max() > 30_000
        assert chunk.words == ()


def test_closing_stops_before_the_next_sentence() -> None:
    chunks = voice().speak("One. Two. Three.")
    assert len(next(chunks).pcm)
    chunks.close()  # type: ignore[attr-defined]
    assert next(chunks, None) is None


@pytest.mark.parametrize("text", ["", "...", " \n", "[[]]", "?!"])
def test_nothing_speakable_is_silent(text: str) -> None:
    assert not list(voice().speak(text))


def test_any_text_is_spoken_and_never_taken_for_phonemes() -> None:
    subject = voice()
    for text in ("a\0b", "café 你好 🙂", "x" * 500, "<|im_start|> \x1b[31m red", "[[ a b"):
        assert len(sound(subject, text))
    assert len(sound(subject, "[[ aaaaaaaaaaaa ]]")) == len(sound(subject, "aaaaaaaaaaaa"))


def test_the_volume_and_the_scales_reach_the_voice() -> None:
    assert 3000 < np.abs(sound(voice(volume=0.1), "Hello there.")).max() < 3400
    assert len(sound(voice(length_scale=2.0, noise_scale=0.1, noise_w=0.2), "Hello there."))


def test_the_voice_follows_the_language_at_one_rate() -> None:
    subject = voice(voices={"zh": CHINESE})
    assert subject.rate == 22_050
    english, chinese = sound(subject, "你好", "en"), sound(subject, "你好", "zh")
    own = sound(voice(CHINESE), "你好")
    assert len(english) != len(chinese)
    assert len(chinese) == pytest.approx(len(own) * 22_050 / 16_000, rel=0.05)


def test_speakers_by_name_and_number() -> None:
    first, second = voice(CHINESE), voice(CHINESE, speaker="bert")
    assert np.array_equal(sound(first, "你好"), sound(voice(CHINESE, speaker="anna"), "你好"))
    assert np.array_equal(sound(second, "你好"), sound(voice(CHINESE, speaker="1"), "你好"))
    assert not np.array_equal(sound(first, "你好"), sound(second, "你好"))
    with pytest.raises(engine.EngineError, match="no speaker 'carl'; it has: anna, bert"):
        voice(CHINESE, speaker="carl")
    with pytest.raises(engine.EngineError, match=r"no speaker '2'; it has: 0\.\.0"):
        voice(speaker="2")


def copied(folder: Path) -> Path:
    for suffix in (".onnx", ".onnx.json"):
        shutil.copy(VOICES / f"tiny{suffix}", folder / f"a{suffix}")
    return folder / "a.onnx"


def changed(path: Path, **changes: Any) -> Path:
    beside = path.with_name(f"{path.name}.json")
    beside.write_text(json.dumps({**json.loads(beside.read_text()), **changes}))
    return path


def test_files_that_are_missing_or_damaged_are_named(tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError, match=r"there is no file .*none\.onnx"):
        voice(tmp_path / "none.onnx")
    path = copied(tmp_path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(engine.EngineError, match=r"a\.onnx cannot be opened; it may be cut short"):
        voice(path)
    beside = copied(tmp_path).with_name("a.onnx.json")
    for text in ("{", "[]", "{}", '{"audio": 3}', "null"):
        beside.write_text(text)
        with pytest.raises(engine.EngineError, match=r"a\.onnx\.json is damaged"):
            voice(path)
    beside.unlink()
    with pytest.raises(engine.EngineError, match=r"has no a\.onnx\.json beside it"):
        voice(path)


def test_voices_that_would_fetch_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError, match="pinyin phonemes"):
        voice(changed(copied(tmp_path), phoneme_type="pinyin"))


def test_a_voice_that_does_not_know_its_phonemes_fails_in_words(tmp_path: Path) -> None:
    path = changed(copied(tmp_path), phoneme_id_map={"^": [1], "$": [2], "_": [0], "h": [5000]})
    with pytest.raises(engine.EngineError, match=r"the piper voice failed on 'Hello\.'"):
        sound(voice(path), "Hello.")
