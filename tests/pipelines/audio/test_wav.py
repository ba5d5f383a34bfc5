"""WAV files: every kind is read back, and nothing that is not one gets further than a clear error."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.audio import AudioError, wav

STEPS = {"uint8": 2 / 256, "int16": 2 / 65536, "int24": 2 / 2**24, "int32": 2 / 2**24, "float32": 0.0}


@pytest.mark.parametrize("encoding", STEPS)
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
def test_every_kind_is_read_back(tmp_path: Path, encoding: wav.Encoding, channels: int, rate: int) -> None:
    pcm = np.random.default_rng(0).uniform(-0.9, 0.9, (301, channels)).astype(np.float32)
    path = tmp_path / "x.wav"
    wav.write(path, rate, pcm, encoding)
    sound = wav.read(path)
    assert sound.rate == rate
    assert sound.pcm.shape == pcm.shape
    assert sound.seconds == pytest.approx(301 / rate)
    assert np.abs(wav.to_float(sound.pcm) - pcm).max() <= STEPS[encoding]


def test_int16_is_exact_and_the_standard_library_reads_it(tmp_path: Path) -> None:
    pcm = np.array([-32768, -1, 0, 1, 32767], np.int16)
    wav.write(tmp_path / "x.wav", 16_000, pcm)
    assert (wav.read(tmp_path / "x.wav").pcm[:, 0] == pcm).all()
    with wave.open(str(tmp_path / "x.wav")) as other:
        assert other.getframerate() == 16_000
        assert other.readframes(5) == pcm.tobytes()


def extensible(data: bytes) -> bytes:
    """The same file with the long form of the format chunk, and a chunk of odd length before it."""
    form = data[20:36]
    (tag,) = struct.unpack_from("<H", form)
    long = struct.pack("<H", 0xFFFE) + form[2:] + struct.pack("<HHIH", 22, 16, 3, tag) + wav._GUID_TAIL
    return data[:12] + b"LIST\x03\0\0\0abc\0" + b"fmt " + struct.pack("<I", len(long)) + long + data[36:]


@pytest.mark.parametrize("encoding", ["int16", "int24", "float32"])
def test_the_extensible_format_and_chunks_that_mean_nothing_here(encoding: wav.Encoding) -> None:
    pcm = np.linspace(-1, 0.9, 40, dtype=np.float32).reshape(20, 2)
    plain = wav.encode(48_000, pcm, encoding)
    assert (wav.decode(extensible(plain)).pcm == wav.decode(plain).pcm).all()


def test_a_size_that_a_pipe_could_not_know_means_all_there_is() -> None:
    data = bytearray(wav.encode(16_000, np.arange(100, dtype=np.int16)))
    data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    assert len(wav.decode(bytes(data) + b"\1").pcm) == 100


GOOD = wav.encode(16_000, np.arange(100, dtype=np.int16))


def patched(at: int, value: bytes) -> bytes:
    return GOOD[:at] + value + GOOD[at + len(value) :]


BAD = {
    "empty (0 bytes)": b"",
    "no WAV file": b"ID3\x04" + bytes(60),
    "holds no sound": GOOD[:40] + bytes(4),
    "cut off: it holds": GOOD[:36],
    "0.00 s of 0.01 s are there": GOOD[:60],
    "damaged: its format": GOOD[:16] + struct.pack("<I", 4) + GOOD[20:24],
    "its sound comes before its format": GOOD[:12] + GOOD[36:],
    "MP3": patched(20, struct.pack("<H", 0x55)),
    "format 0x1234": patched(20, struct.pack("<H", 0x1234)),
    "with 12 bits": patched(34, struct.pack("<H", 12)),
    "0 channels": patched(22, struct.pack("<H", 0)),
    "at 0 Hz": patched(24, struct.pack("<I", 0)),
    "in frames of 3 bytes": patched(32, struct.pack("<H", 3)),
    "ends within a frame": patched(40, struct.pack("<I", 199)),
}


@pytest.mark.parametrize("words", BAD)
def test_what_is_wrong_is_said_with_the_file_and_the_mend(tmp_path: Path, words: str) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(BAD[words])
    with pytest.raises(AudioError, match=r"bad\.wav") as error:
        wav.read(path)
    assert words in str(error.value)


def test_a_missing_file_a_folder_and_an_unwritable_place(tmp_path: Path) -> None:
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(AudioError, match=str(path)):
            wav.read(path)
    with pytest.raises(AudioError, match="cannot write"):
        wav.write(tmp_path / "no" / "x.wav", 16_000, np.zeros(1, np.int16))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(AudioError):
        wav.decode(data)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=8), st.integers(0, len(GOOD)))
def test_damage_is_either_harmless_or_refused(at: int, damage: bytes, end: int) -> None:
    data = (GOOD[:at] + damage + GOOD[at + len(damage) :])[:end]
    try:
        sound = wav.decode(data)
    except AudioError:
        return
    assert 1 <= len(sound.pcm) <= len(data)
    assert np.isfinite(wav.to_float(sound.pcm)).all()


@given(hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(width=32)))
def test_any_float_becomes_int16_without_wrapping_around(pcm: np.ndarray) -> None:
    whole = wav.to_int16(pcm)
    loud = np.isfinite(pcm) & (np.abs(pcm) > 1 / 32768)
    assert (np.sign(whole[loud]) == np.sign(pcm[loud])).all()
    assert (whole[np.isnan(pcm)] == 0).all()


def test_ten_minutes_are_read_whole(tmp_path: Path) -> None:
    pcm = np.tile(np.arange(8_000, dtype=np.int16), 600)
    wav.write(tmp_path / "long.wav", 8_000, pcm)
    sound = wav.read(tmp_path / "long.wav")
    assert sound.seconds == 600
    assert np.array_equal(np.ravel(sound.pcm), pcm)
