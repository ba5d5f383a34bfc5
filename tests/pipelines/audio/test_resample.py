"""Rate conversion: the same samples however the sound is cut, in time with the input, and what it means to be loud."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.audio import AudioError
from pipelines.audio.level import SILENCE, peak_dbfs, rms_dbfs
from pipelines.audio.resample import SPEECH_RATE, Converter, convert, frames
from pipelines.audio.wav import Pcm

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000]


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_stays_the_same_tone_at_the_same_time(rate: int) -> None:
    got = convert(tone(rate), rate).astype(np.float64) / 32768
    wanted = tone(SPEECH_RATE)
    assert abs(len(got) - len(wanted)) <= 1
    middle = slice(1_000, 7_000)  # the ends ring
    assert np.abs(got[middle] - wanted[middle]).max() < 0.002


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_there_and_back(rate: int) -> None:
    start = tone(SPEECH_RATE, hertz=1_000)
    back = convert(convert(start, SPEECH_RATE, to=rate), rate).astype(np.float64) / 32768
    assert np.abs(back[1_000:7_000] - start[1_000:7_000]).max() < 0.003


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(RATES),
    st.integers(1, 3),
    st.sampled_from(["int16", "float32"]),
    st.lists(st.integers(0, 2_000), max_size=12),
)
def test_the_cut_into_blocks_changes_nothing(rate: int, channels: int, kind: str, cuts: list[int]) -> None:
    noise = np.random.default_rng(1).uniform(-0.8, 0.8, (6_000, channels)).astype(np.float32)
    pcm: Pcm = (noise * 32767).astype(np.int16) if kind == "int16" else noise
    whole = convert(pcm, rate)
    converter, parts, at = Converter(rate, channels), [], 0
    for cut in cuts:
        parts.append(converter.feed(pcm[at : at + cut]))
        at += cut
    parts += [converter.feed(pcm[at:]), converter.flush()]
    assert (np.concatenate(parts) == whole).all()


def test_sound_of_the_right_rate_passes_untouched_and_undelayed() -> None:
    pcm = np.arange(-500, 500, dtype=np.int16)
    assert (Converter(SPEECH_RATE).feed(pcm) == pcm).all()


def test_channels_are_mixed_and_floats_that_are_no_numbers_are_silence() -> None:
    stereo = np.array([[1000, 3000], [-2000, 0]], np.int16)
    assert Converter(SPEECH_RATE, 2).feed(stereo).tolist() == [2000, -1000]
    broken = np.array([np.nan, 2.0, -2.0], np.float32)
    assert Converter(SPEECH_RATE).feed(broken).tolist() == [0, 32767, -32768]
    assert np.abs(convert(np.array([np.nan] * 100, np.float32), 48_000)).max() == 0


def test_what_cannot_be_converted_is_said() -> None:
    for rate, channels, to in ((0, 1, 16_000), (16_000, 0, 16_000), (16_000, 1, 10**9)):
        with pytest.raises(AudioError, match="not possible"):
            Converter(rate, channels, to)
    with pytest.raises(AudioError, match="2 channels came into a stream of 1"):
        Converter(16_000).feed(np.zeros((5, 2), np.int16))


def test_raw_bytes_become_frames_or_an_error() -> None:
    pcm = np.arange(6, dtype=np.int16)
    assert frames(pcm.tobytes(), 2, "int16").tolist() == [[0, 1], [2, 3], [4, 5]]
    assert frames(memoryview(np.ones(2, np.float32).tobytes()), 1, "float32").tolist() == [[1.0], [1.0]]
    for payload, channels in ((b"abc", 1), (pcm.tobytes(), 4), (b"", 0)):
        with pytest.raises(AudioError, match="no whole frames"):
            frames(payload, channels, "int16")


@pytest.mark.parametrize(
    ("pcm", "rms", "peak"),
    [
        (np.zeros(0, np.int16), SILENCE, SILENCE),
        (np.zeros(10, np.int16), SILENCE, SILENCE),
        (np.full(10, -32768, np.int16), 0.0, 0.0),
        (np.full(10, 0.1, np.float32), -20.0, -20.0),
        (tone(16_000, amplitude=1.0), -3.01, 0.0),
    ],
)
def test_levels(pcm: Pcm, rms: float, peak: float) -> None:
    assert rms_dbfs(pcm) == pytest.approx(rms, abs=0.01)
    assert peak_dbfs(pcm) == pytest.approx(peak, abs=0.01)
