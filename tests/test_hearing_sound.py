"""Where the sound of an utterance begins and ends, whatever the detector of speech says."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from assistant.messages import Heard, SpeechDropped, SpeechEnded
from pipelines import asr, vad
from pipelines.audio import wav
from tests.room import ALL, ENDPOINT, WORD_MS, Enter, enter

__all__ = ["enter"]


@pytest.mark.parametrize("hangover_ms", [0, 60, 200])
def test_the_last_sample_is_that_of_the_sound_and_not_of_the_detector(hangover_ms: int, enter: Enter) -> None:
    room = enter(hangover_ms=hangover_ms)
    room.say(ALL)
    room.silence(900)
    heard = room.service.told[-1]
    assert isinstance(heard, Heard)
    assert heard.last_sample_at == 1_000_000_000


def test_the_hold_is_counted_from_the_last_sound_and_not_from_the_detectors_last_word(enter: Enter) -> None:
    room = enter(hangover_ms=200)
    room.say(ALL)
    room.silence(300)
    assert room.story[-1] == f"heard 1: {ALL}"


def test_what_is_said_after_a_bang_is_heard_though_it_is_far_less_loud(enter: Enter) -> None:
    """A thousandth of the bang's level at most is no speech; half a second later it is again."""
    room = enter()
    room.hear(32_000, 100)
    for _ in range(40):
        room.hear(300, 100)
    assert room.story == ["started 0"]  # and it has not ended


SPEECH = Path(__file__).parent / "speech"


@pytest.mark.parametrize(("snr_db", "median_ms", "worst_ms"), [(60, 20, 100), (20, 60, 150)])
def test_the_end_of_recorded_speech_is_told_where_it_was(
    snr_db: int, median_ms: int, worst_ms: int, enter: Enter
) -> None:
    """webrtcvad alone tells it 70 to 210 ms late (median 120) in quiet."""
    random, errors = np.random.default_rng(5), list[float]()
    for path in sorted(SPEECH.rglob("*.wav"))[::4]:
        sound = wav.read(path).pcm[:, 0].astype(np.float64)
        blocks = np.square(sound[: len(sound) // 160 * 160].reshape(-1, 160)).mean(axis=1)
        until = (int(np.flatnonzero(blocks > blocks.max() * 10 ** (-35 / 10))[-1]) + 1) * 160
        sound = np.concatenate([np.zeros(asr.RATE // 2), sound, np.zeros(asr.RATE)])
        noise = random.standard_normal(len(sound)) * np.sqrt(blocks.mean()) * 10 ** (-snr_db / 20)
        room = enter(detector=vad.load("webrtcvad", {}))
        room.play(np.clip(sound + noise, -32768, 32767).astype(np.int16))
        room.ear.drop("the test is over")
        ended = next(message for message in room.service.told if isinstance(message, SpeechEnded | SpeechDropped))
        errors.append(abs(ended.last_sample_at / 1e6 - 500 - until * 1000 / asr.RATE))
    assert np.median(errors) <= median_ms
    assert max(errors) <= worst_ms


@pytest.mark.parametrize(("hiss", "kept_ms"), [(2, 160), (90, 500)])
def test_of_silence_before_the_first_sound_little_is_recognised(hiss: int, kept_ms: int, enter: Enter) -> None:
    room = enter(endpoint=msgspec.structs.replace(ENDPOINT, pre_roll_ms=500))
    room.hear(hiss, 1000)  # what is not far below the words may be a part of them
    room.say("what is")
    room.silence(300)
    assert room.story[-1] == "guess 1: what is"
    spoken = 2 * WORD_MS + ENDPOINT.guess_ms
    assert room.reader.length_ms == pytest.approx(kept_ms + spoken, abs=40)
