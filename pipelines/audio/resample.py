"""Any rate, width and channel count to mono int16 at one rate, as a stream: the same samples come out however the
input is cut into blocks. By soxr (LGPL-2.1), in float32, high quality: the ear's and the model's band stays whole at
the price of about 40 ms of delay from 48 kHz; sound that has the wanted rate already is not delayed at all.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.audio import AudioError
from pipelines.audio.wav import CHANNELS, RATES, Pcm, to_float, to_int16

SPEECH_RATE = 16_000  # Hz: what every speech model here is fed


class Converter:
    """One stream of sound. ``feed`` it blocks, then ``flush`` once; after that it must not be used.

    The output is aligned with the input: output sample n belongs to the time n / ``to`` after the first input sample.
    """

    def __init__(self, rate: int, channels: int = 1, to: int = SPEECH_RATE) -> None:
        """Raises AudioError for a rate (Hz) or channel count that no sound has."""
        for hertz in (rate, to):
            if not RATES[0] <= hertz <= RATES[1]:
                raise AudioError(f"a sample rate of {hertz} Hz is not possible; it must lie in {RATES[0]}..{RATES[1]}")
        if not 1 <= channels <= CHANNELS:
            raise AudioError(f"{channels} channels are not possible; it must be 1..{CHANNELS}")
        self.channels = channels
        self._stream = None
        if rate != to:
            import soxr  # here, because most sound has the wanted rate already

            self._stream = soxr.ResampleStream(rate, to, 1, dtype="float32", quality="HQ")

    def feed(self, pcm: Pcm) -> NDArray[np.int16]:
        """Take a block, [frames] or [frames, channels]; return what is finished, int16 [samples], maybe none.

        Raises AudioError if the block has another channel count.
        """
        frames = pcm[:, None] if pcm.ndim == 1 else pcm
        if frames.shape[1] != self.channels:
            raise AudioError(f"a block with {frames.shape[1]} channels came into a stream of {self.channels}")
        mono = frames[:, 0] if self.channels == 1 else np.nan_to_num(to_float(frames)).mean(axis=1, dtype=np.float32)
        if self._stream is None:
            return to_int16(mono)
        return self._resampled(np.nan_to_num(to_float(mono)), last=False)

    def flush(self) -> NDArray[np.int16]:
        """What was still under way, int16 [samples]."""
        return np.zeros(0, np.int16) if self._stream is None else self._resampled(np.zeros(0, np.float32), last=True)

    def _resampled(self, mono: NDArray[np.float32], last: bool) -> NDArray[np.int16]:
        assert self._stream is not None
        return to_int16(self._stream.resample_chunk(np.ascontiguousarray(mono), last=last))


def convert(pcm: Pcm, rate: int, to: int = SPEECH_RATE) -> NDArray[np.int16]:
    """A whole sound, [frames] or [frames, channels] at ``rate`` Hz, as mono int16 [samples] at ``to`` Hz."""
    converter = Converter(rate, 1 if pcm.ndim == 1 else pcm.shape[1], to)
    return np.concatenate([converter.feed(pcm), converter.flush()])


def frames(payload: bytes | memoryview, channels: int, sample: Literal["int16", "float32"]) -> Pcm:
    """Raw interleaved little-endian PCM as [frames, channels]. Raises AudioError if it ends within a frame."""
    width = np.dtype("<i2" if sample == "int16" else "<f4")
    if channels < 1 or len(payload) % (width.itemsize * channels):
        raise AudioError(f"{len(payload)} bytes are no whole frames of {channels} channels of {sample}")
    flat: Pcm = np.frombuffer(payload, width)
    return flat.reshape(-1, channels)
