"""Sound files of other kinds: what is written can be read, and nothing else is opened or decoded than was sent."""

import builtins
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.audio import AudioError, files, wav
from pipelines.audio.files import Kind
from pipelines.audio.resample import SPEECH_RATE

SOUND = (np.sin(np.arange(22_050) / 10) * 9000).astype(np.int16)  # a second


def written(kind: Kind, rate: int = 22_050) -> bytes:
    writer = files.Writer(kind, rate)
    return b"".join([*(writer.feed(part) for part in np.array_split(SOUND, 7)), writer.finish()])


@pytest.mark.parametrize("kind", files.WRITTEN)
@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000])
def test_what_is_written_can_be_read(kind: Kind, rate: int) -> None:
    pcm = files.decode(written(kind, rate), 10)
    assert pcm.dtype == np.int16
    assert abs(len(pcm) / SPEECH_RATE - len(SOUND) / rate) < 0.15
    assert 3000 < np.sqrt(np.mean(pcm[4000:12_000].astype(float) ** 2)) < 9000


def test_a_wav_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "av":
            raise ImportError(name)
        return real(name, *rest)

    flac = written("flac")
    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setitem(sys.modules, "av", None)
    assert abs(len(files.decode(wav.encode(22_050, SOUND), 10)) - SPEECH_RATE) < 10
    assert files.writes() == ()
    with pytest.raises(AudioError, match=r"writing mp3 files needs PyAV: pip install"):
        files.Writer("mp3", 16_000)
    with pytest.raises(AudioError, match=r"reading the upload \(flac\) needs PyAV.*WAV files need nothing"):
        files.decode(flac, 10)


@pytest.mark.parametrize("kind", files.WRITTEN)
def test_what_is_too_long_is_not_decoded_to_its_end(kind: Kind) -> None:
    with pytest.raises(AudioError, match=r"longer than 0\.5 s"):
        files.decode(written(kind), 0.5)


def test_what_is_no_sound_is_refused() -> None:
    for data in (
        b"#EXTM3U\nhttp://127.0.0.1/x.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<html>",
        b"\x00" * 99,
    ):
        with pytest.raises(AudioError, match="is no WAV, FLAC, MP3"):
            files.decode(data, 10)
    with pytest.raises(AudioError, match="is empty"):
        files.decode(b"", 10)


@pytest.mark.parametrize("kind", files.WRITTEN)
def test_what_is_damaged_is_refused_or_read_as_far_as_it_goes(kind: Kind) -> None:
    whole = written(kind)
    for data in (whole[:20], whole[: len(whole) // 2], whole[:8] + b"\xff" * 500, whole[:40] + b"\0" * 2000):
        pcm, refused = _read(data)
        assert refused.startswith("it ") if pcm is None else 0 < len(pcm) <= 1.2 * SPEECH_RATE


def _read(data: bytes) -> tuple[NDArray[np.int16] | None, str]:
    """The sound, or why there is none."""
    try:
        return files.decode(data, 10, "it"), ""
    except AudioError as error:
        return None, str(error)
