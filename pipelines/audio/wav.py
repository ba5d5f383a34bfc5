"""WAV files of every common kind. The standard library's ``wave`` refuses float and, before Python 3.12, extensible
files, so RIFF is read here: bounded by the bytes that are there, whatever the header claims.

Format: Microsoft "Multimedia Programming Interface and Data Specifications 1.0" (1991) and "Multiple Channel Audio
Data and WAVE Files" (2007).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines.audio import AudioError

Pcm = NDArray[np.int16] | NDArray[np.float32]
Encoding = Literal["uint8", "int16", "int24", "int32", "float32"]

LIMIT = 512 << 20  # bytes of one file: about 90 minutes of 48 kHz stereo; a longer one is not a question
RATES = (1_000, 768_000)  # Hz
CHANNELS = 64

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # of every sub-format that is a plain format tag
_UNTOLD = 0x7FFF_0000  # a data size from here on was written into a pipe by a program that could not know it
_CHUNKS = 1_000  # looked at before giving up: a real file has a handful
_KINDS: dict[tuple[int, int], Encoding] = {
    (_PCM, 8): "uint8",
    (_PCM, 16): "int16",
    (_PCM, 24): "int24",
    (_PCM, 32): "int32",
    (_FLOAT, 32): "float32",
}
_OTHERS = {0x0002: "ADPCM", 0x0006: "A-law", 0x0007: "mu-law", 0x0011: "IMA ADPCM", 0x0055: "MP3", 0x00FF: "AAC"}
_MEND = "convert it with: sox {0} -e signed -b 16 good.wav"


class Sound(msgspec.Struct, frozen=True):
    """``pcm`` is [frames, channels]: int16 from 8 and 16 bit files, else float32 in -1..1 (24 bits fit exactly)."""

    rate: int  # Hz
    pcm: Pcm

    @property
    def seconds(self) -> float:
        return len(self.pcm) / self.rate


class _Format(msgspec.Struct, frozen=True):
    encoding: Encoding
    rate: int
    channels: int
    block: int  # bytes of one frame of all channels


def read(path: Path) -> Sound:
    """The whole file. Raises AudioError naming it when it is missing, empty, cut off, damaged, or no plain WAV."""
    try:
        size = path.stat().st_size
        if size > LIMIT:
            raise AudioError(f"{path} has {size >> 20} MB; the limit is {LIMIT >> 20} MB: cut it into shorter files")
        data = path.read_bytes()
    except OSError as error:
        raise AudioError(f"cannot read {path}: {error.strerror or error}; check the path and its rights") from error
    return decode(data, str(path))


def decode(data: bytes, name: str = "the upload") -> Sound:
    """A WAV file that is in memory; ``name`` is what errors call it. Raises AudioError as ``read`` does."""
    if not data:
        raise AudioError(f"{name} is empty (0 bytes): record it again")
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise AudioError(f"{name} is no WAV file (it begins with {data[:4]!r}); {_MEND.format(name)}")
    form: _Format | None = None
    for kind, body, told in _chunks(data):
        if kind == b"fmt ":
            form = _format(body, name)
        elif kind == b"data":
            if form is None:
                raise AudioError(f"{name} is damaged: its sound comes before its format; {_MEND.format(name)}")
            return Sound(form.rate, _samples(_whole(body, told, form, name), form))
    raise AudioError(f"{name} is cut off: it holds no sound; record or copy it again")


def write(path: Path, rate: int, pcm: Pcm, encoding: Encoding = "int16") -> None:
    """Write ``pcm``, [frames] or [frames, channels], int16 or float32 in -1..1. Raises AudioError."""
    try:
        path.write_bytes(encode(rate, pcm, encoding))
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror or error}; check the folder and its space") from error


def encode(rate: int, pcm: Pcm, encoding: Encoding = "int16") -> bytes:
    """The bytes of a WAV file that holds ``pcm`` (see ``write``)."""
    frames = pcm[:, None] if pcm.ndim == 1 else pcm
    body = _bytes(frames, encoding)
    tag, bits = next(key for key, kind in _KINDS.items() if kind == encoding)
    block = frames.shape[1] * bits // 8
    head = struct.pack("<HHIIHH", tag, frames.shape[1], rate, rate * block, block, bits)
    pad = b"\0" * (len(body) % 2)
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(body)) + body + pad
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def head(rate: int) -> bytes:
    """How a WAV file of int16 mono begins whose length is not known yet: as programs write one into a pipe."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 1, rate, rate * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 0xFFFF_FFFF, b"WAVE") + form + struct.pack("<4sI", b"data", 0xFFFF_FFFF)


def to_int16(pcm: Pcm) -> NDArray[np.int16]:
    """Any PCM as int16: rounded, clipped, and silence where a float is not a number."""
    if pcm.dtype == np.int16:
        return pcm.astype(np.int16, copy=False)
    scaled = np.nan_to_num(np.asarray(pcm, np.float64) * 32768.0, nan=0.0, posinf=32767.0, neginf=-32768.0)
    return np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)


def to_float(pcm: Pcm) -> NDArray[np.float32]:
    """Any PCM as float32 in -1..1."""
    if pcm.dtype == np.int16:
        return np.asarray(pcm / np.float32(32768.0), np.float32)
    return pcm.astype(np.float32, copy=False)


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """Each chunk: its kind, the bytes of it that are there, and how many its header told."""
    view, at = memoryview(data), 12
    for _ in range(_CHUNKS):
        if at + 8 > len(data):
            return
        kind, told = struct.unpack_from("<4sI", data, at)
        yield kind, view[at + 8 : at + 8 + told], told
        at += 8 + told + told % 2  # chunks begin at even offsets


def _format(body: memoryview, name: str) -> _Format:
    if len(body) < 16:
        raise AudioError(f"{name} is damaged: its format takes {len(body)} bytes instead of 16; {_MEND.format(name)}")
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= 40 and bytes(body[26:40]) == _GUID_TAIL:
        (tag,) = struct.unpack_from("<H", body, 24)
    encoding = _KINDS.get((tag, bits))
    if encoding is None:
        what = _OTHERS.get(tag, f"format {tag:#06x}")
        raise AudioError(f"{name} holds {what} with {bits} bits, which is not read here; {_MEND.format(name)}")
    if not (1 <= channels <= CHANNELS and RATES[0] <= rate <= RATES[1] and block == channels * bits // 8):
        raise AudioError(
            f"{name} is damaged: its header tells {channels} channels at {rate} Hz in frames of {block} bytes; "
            + _MEND.format(name)
        )
    return _Format(encoding, rate, channels, block)


def _whole(body: memoryview, told: int, form: _Format, name: str) -> memoryview:
    """The sound's bytes, if they are all there."""
    if told >= _UNTOLD:
        body = body[: len(body) // form.block * form.block]
    elif len(body) < told:
        seconds, wanted = len(body) / form.block / form.rate, told / form.block / form.rate
        raise AudioError(f"{name} is cut off: {seconds:.2f} s of {wanted:.2f} s are there; record or copy it again")
    elif told % form.block:
        raise AudioError(f"{name} is damaged: it ends within a frame; {_MEND.format(name)}")
    if not body:
        raise AudioError(f"{name} holds no sound (0 s): record it again")
    return body


def _samples(body: memoryview, form: _Format) -> Pcm:
    flat: Pcm
    match form.encoding:
        case "uint8":
            flat = ((np.frombuffer(body, np.uint8).astype(np.int16) - 128) << 8).astype(np.int16)
        case "int16":
            flat = np.frombuffer(body, "<i2").astype(np.int16)
        case "int24":
            # three bytes into the upper part of four: the sign comes for free
            wide = np.zeros((len(body) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
            flat = (wide.view("<i4")[:, 0] / 2147483648.0).astype(np.float32)
        case "int32":
            flat = (np.frombuffer(body, "<i4") / 2147483648.0).astype(np.float32)
        case "float32":
            flat = np.nan_to_num(np.frombuffer(body, "<f4").astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
    return flat.reshape(-1, form.channels)


def _bytes(pcm: Pcm, encoding: Encoding) -> bytes:
    match encoding:
        case "uint8":
            return ((to_int16(pcm).astype(np.int32) >> 8) + 128).astype(np.uint8).tobytes()
        case "int16":
            return to_int16(pcm).astype("<i2").tobytes()
        case "float32":
            return to_float(pcm).astype("<f4").tobytes()
        case "int24" | "int32":
            bits = int(encoding[3:])
            top = 2.0 ** (bits - 1)
            whole = np.clip(np.rint(to_float(pcm).astype(np.float64) * top), -top, top - 1).astype("<i4")
            raw = np.ascontiguousarray(whole).view(np.uint8).reshape(-1, 4)
            return raw[:, : bits // 8].tobytes()
