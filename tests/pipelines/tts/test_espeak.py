"""The contract of a voice, on the embedded engine; and what it says is speech to the detector."""

import threading

import numpy as np
import pytest

from assistant.core.endpointer import MS, Ended, Endpointer, Event, Paused, Settings, Started
from pipelines import tts, vad
from pipelines.audio.level import rms_dbfs
from pipelines.audio.resample import convert
from pipelines.engine import EngineError
from pipelines.tts import espeak


@pytest.fixture(scope="module")
def voice() -> tts.Voice:
    return tts.load("espeak", {})


def sound(voice: tts.Voice, text: str, language: str = "") -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int16), *(chunk.pcm for chunk in voice.speak(text, language))])


def spoken_words(voice: tts.Voice, text: str, language: str = "") -> list[tts.Word]:
    return [word for chunk in voice.speak(text, language) for word in chunk.words]


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """As long and as loud: the sounds themselves are a little random."""
    return abs(len(one) / len(other) - 1) < 0.04 and abs(rms_dbfs(one) - rms_dbfs(other)) < 1


def test_a_sentence_comes_in_short_pieces(voice: tts.Voice) -> None:
    chunks = list(voice.speak("There are two red balls on the table."))
    assert voice.rate == 22_050
    assert all(chunk.pcm.dtype == np.int16 and 0 < len(chunk.pcm) <= 0.1 * voice.rate for chunk in chunks)
    assert 1.5 < sum(len(chunk.pcm) for chunk in chunks) / voice.rate < 4
    assert rms_dbfs(np.concatenate([chunk.pcm for chunk in chunks])) > -30


@pytest.mark.parametrize(
    ("text", "language", "begin"),
    [
        ("Two red balls, and a (small) mug.", "en", ["Two", "red", "balls,", "and", "a", "small", "mug."]),
        # what it speaks in one breath is one word to it
        ("There are two red balls.", "en", ["There are", "two", "red", "balls."]),
        ("The café's 25 cups, 3.5 cm", "en", ["The", "café's", "25", "cups,", "3.5", "cm"]),
        ("two\n\tlines", "en", ["two", "lines"]),
        ("红球，在桌子上", "zh", ["红", "球", "在", "桌", "子", "上"]),
    ],
)
def test_words_are_where_they_begin(voice: tts.Voice, text: str, language: str, begin: list[str]) -> None:
    words = spoken_words(voice, text, language)
    assert [text[word.char :][: len(start)] for word, start in zip(words, begin, strict=True)] == begin
    samples = [word.sample for word in words]
    assert samples == sorted(set(samples))
    assert samples[0] >= 0
    assert samples[-1] < len(sound(voice, text, language))


def test_a_words_sample_lies_in_the_chunk_that_names_it(voice: tts.Voice) -> None:
    at = 0
    for chunk in voice.speak("The lamp is on, and the gauge reads five."):
        assert all(at <= word.sample < at + len(chunk.pcm) for word in chunk.words)
        at += len(chunk.pcm)


def test_a_very_long_text_is_spoken_to_its_end_in_order(voice: tts.Voice) -> None:
    text = "the quick brown fox jumps over the lazy dog and then " * 30
    assert len(text) > 3 * espeak.PIECE
    starts = [word.char for word in spoken_words(voice, text)]
    assert starts == [at for at in range(len(text)) if text[at] != " " and (at == 0 or text[at - 1] == " ")]


@pytest.mark.parametrize("text", ["", "   ", "...", "?!", "\0\x07\n", "🙂", "\ud800"])
def test_what_cannot_be_said_yields_nothing(voice: tts.Voice, text: str) -> None:
    assert list(voice.speak(text)) == []


@pytest.mark.parametrize("text", ["stop\0here", "a\x1bb", "lone \ud800 half", "[[h@'loU]] <b>bold</b> & more"])
def test_odd_characters_neither_end_nor_break_it(voice: tts.Voice, text: str) -> None:
    last = max(word.char for word in spoken_words(voice, text))
    assert last >= len(text.rstrip()) - 9


def test_closing_stops_it(voice: tts.Voice) -> None:
    speech = voice.speak("This sentence will not be heard to its end. " * 100)
    assert len(next(speech).pcm) > 0
    speech.close()  # type: ignore[attr-defined]
    assert next(speech, None) is None


def test_languages_have_their_own_voice(voice: tts.Voice) -> None:
    assert alike(sound(voice, "123"), sound(voice, "123", "en"))
    assert not alike(sound(voice, "123", "en"), sound(voice, "123", "zh"))
    with pytest.raises(EngineError, match="'fr'; it has: en, zh"):
        list(voice.speak("bonjour", "fr"))


@pytest.mark.parametrize("name", ["zh", "cmn", "sit/cmn", "en-gb", "en", "en-us+f3", "gmw/en-US", "EN-US"])
def test_voices_that_the_library_itself_does_not_find_by_name(name: str) -> None:
    assert len(sound(tts.load("espeak", {"voices": {"en": name}}), "one two 你好")) > 10_000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"voices": {"en": "en-uss"}}, "en-us"),
        ({"voices": {"en": "nosuchvoice"}}, "no voice 'nosuchvoice'"),
        ({"voices": {"en": "en-us+f99"}}, "no variant 'f99'"),
        ({"language": "de"}, "no voice set for the language 'de'"),
        ({"words_per_minute": 10}, "words_per_minute"),
    ],
)
def test_what_it_lacks_is_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(EngineError, match=words.replace("+", r"\+")):
        tts.load("espeak", options)


def test_two_engines_in_two_threads_keep_their_voices() -> None:
    engines = [
        tts.load("espeak", {"voices": {"en": "en-us"}, "words_per_minute": 120}),
        tts.load("espeak", {"voices": {"en": "en-gb+f3"}, "words_per_minute": 300, "pitch": 90}),
    ]
    wanted = [sound(engine, "is there a green bottle") for engine in engines]
    assert len(wanted[0]) > 1.5 * len(wanted[1])
    wrong: list[int] = []

    def speak(which: int) -> None:
        for _ in range(20):
            if not alike(sound(engines[which], "is there a green bottle"), wanted[which]):
                wrong.append(which)

    threads = [threading.Thread(target=speak, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_louder_is_louder() -> None:
    soft, loud = (tts.load("espeak", {"volume": volume}) for volume in (30, 100))
    assert rms_dbfs(sound(loud, "hello")) > rms_dbfs(sound(soft, "hello")) + 6


@pytest.mark.parametrize(("text", "language"), [("There are two red balls.", "en"), ("桌子上有两个红色的球。", "zh")])
def test_the_detector_takes_it_for_speech(voice: tts.Voice, text: str, language: str) -> None:
    pcm = convert(sound(voice, text, language), voice.rate)
    detector = vad.load("webrtcvad", {})
    heard = [detector.speech(pcm[at : at + 320]) for at in range(0, len(pcm) - 319, 320)]
    assert sum(heard) > 0.6 * len(heard)


def test_it_is_one_utterance_to_the_endpointer(voice: tts.Voice) -> None:
    silence = np.zeros(16_000, np.int16)
    pcm = np.concatenate([silence, convert(sound(voice, "How many red balls are there?"), voice.rate), silence])
    detector, endpointer, events = vad.load("webrtcvad", {}), Endpointer(Settings()), list[Event]()
    for at in range(0, len(pcm) - 319, 320):
        events += endpointer.frame(detector.speech(pcm[at : at + 320]), at * MS // 16, 20 * MS)
    started, *pauses, ended = events
    assert [type(pause) for pause in pauses] == [Paused]  # at its end
    assert isinstance(started, Started)
    assert isinstance(ended, Ended)
    assert abs(started.at - 1_000 * MS) < 150 * MS
    assert abs(ended.last_sample_at - (len(pcm) - 16_000) * MS // 16) < 300 * MS
