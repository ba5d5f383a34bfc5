"""Sound in files of other kinds than WAV: FLAC, MP3, Ogg, WebM, MP4, AAC. (PyAV, BSD-3-Clause, with FFmpeg, LGPL.)

What a file is, is told from its first bytes and said to FFmpeg: left to guess, it also knows kinds of files that are
lists of other files and addresses, and would open those.
"""

import importlib
import io
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.audio import AudioError, wav
from pipelines.audio.resample import SPEECH_RATE, Converter

Kind = Literal["mp3", "opus", "aac", "flac"]
# How a file begins, where, and what FFmpeg calls its kind.
KINDS: tuple[tuple[bytes, int, str], ...] = (
    (b"fLaC", 0, "flac"),
    (b"OggS", 0, "ogg"),
    (b"\x1aE\xdf\xa3", 0, "matroska"),
    (b"ftyp", 4, "mp4"),
    (b"ID3", 0, "mp3"),
    (b"\xff\xf1", 0, "aac"),
    (b"\xff\xf9", 0, "aac"),
)
WRITTEN: dict[Kind, tuple[str, str, int]] = {  # FFmpeg's names of the file and the codec; its rate, 0: any
    "mp3": ("mp3", "libmp3lame", 0),
    "opus": ("ogg", "libopus", 48_000),
    "aac": ("adts", "aac", 0),
    "flac": ("flac", "flac", 0),
}
NEEDS = "needs PyAV: pip install 'edge-assistant[faster-whisper]'"


def decode(data: bytes, at_most_s: float, name: str = "the upload") -> NDArray[np.int16]:
    """A sound file as int16 [samples] at 16 kHz mono. ``name`` is what errors call it.

    Raises AudioError for no sound, damage, a kind that cannot be read here, and what is longer than ``at_most_s``:
    no more than that is decoded, whatever the file's size.
    """
    if data[:4] == b"RIFF" or not data:
        sound = wav.decode(data, name)
        if sound.seconds > at_most_s:
            raise _too_long(name, at_most_s)
        converter = Converter(sound.rate, sound.pcm.shape[1])
        return np.concatenate([converter.feed(sound.pcm), converter.flush()])
    parts, count = [], 0
    for part in _decoded(data, _kind(data, name), name):
        parts.append(part)
        count += len(part)
        if count > at_most_s * SPEECH_RATE:
            raise _too_long(name, at_most_s)
    if not count:
        raise AudioError(f"{name} holds no sound (0 s): record it again")
    return np.concatenate(parts)


def writes() -> tuple[Kind, ...]:
    """What can be encoded here."""
    try:
        import av.codec
    except ImportError:
        return ()
    return tuple(kind for kind, (_, codec, _) in WRITTEN.items() if codec in av.codec.codecs_available)


class Writer:
    """A sound file that grows: ``feed`` it int16 [samples] mono, then ``finish``; each gives the next bytes of it."""

    def __init__(self, kind: Kind, rate: int) -> None:
        """``rate``: of what it is fed, Hz. Raises AudioError without PyAV."""
        av = _av(f"writing {kind} files")
        form, codec, own = WRITTEN[kind]
        self._frame, self._rate, self._sink = av.AudioFrame, rate, _Sink()
        self._container = av.open(self._sink, mode="w", format=form)
        self._stream = self._container.add_stream(codec, rate=own or rate)
        self._stream.layout = "mono"
        sample = self._stream.codec_context.format or "s16"
        self._resampler = av.AudioResampler(format=sample, layout="mono", rate=own or rate)

    def feed(self, pcm: NDArray[np.int16]) -> bytes:
        frame = self._frame.from_ndarray(np.ascontiguousarray(pcm)[None], format="s16", layout="mono")
        frame.sample_rate = self._rate
        self._encode(frame)
        return self._sink.taken()

    def finish(self) -> bytes:
        self._encode(None)
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()
        return self._sink.taken()

    def _encode(self, frame: Any) -> None:
        for ready in self._resampler.resample(frame):
            for packet in self._stream.encode(ready):
                self._container.mux(packet)


class _Sink:
    """A file that is only written, in order."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def taken(self) -> bytes:
        taken, self._bytes = bytes(self._bytes), bytearray()
        return taken


def _kind(data: bytes, name: str) -> str:
    for begins, at, kind in KINDS:
        if data[at : at + len(begins)] == begins:
            return kind
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:  # an MP3 without tags begins with a frame
        return "mp3"
    raise AudioError(f"{name} is no WAV, FLAC, MP3, Ogg, WebM, MP4 or AAC file (it begins with {data[:4]!r})")


def _decoded(data: bytes, kind: str, name: str) -> Iterator[NDArray[np.int16]]:
    av = _av(f"reading {name} ({kind})")
    try:
        with av.open(io.BytesIO(data), mode="r", format=kind) as container:
            if not container.streams.audio:
                raise AudioError(f"{name} holds no sound: record it again")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SPEECH_RATE)
            for frame in container.decode(container.streams.audio[0]):
                for ready in resampler.resample(frame):
                    yield ready.to_ndarray()[0]
            for ready in resampler.resample(None):
                yield ready.to_ndarray()[0]
    except (av.FFmpegError, ValueError, EOFError) as error:
        raise AudioError(f"{name} is damaged or cut off ({error}); record or copy it again") from error


def _av(what: str) -> Any:
    """Raises AudioError without it."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise AudioError(f"{what} {NEEDS}; WAV files need nothing") from error


def _too_long(name: str, at_most_s: float) -> AudioError:
    return AudioError(f"{name} is longer than {at_most_s:g} s, which is as much as is taken; cut it into parts")
