"""Speech recognition: 16 kHz mono PCM in, text out, or the reason why there is none."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine

RATE = 16_000  # Hz, mono int16: what every recognizer is fed


class Recognition(msgspec.Struct, frozen=True):
    """What one utterance came to. Exactly one of ``text`` and ``refused`` is non-empty."""

    text: str = ""
    language: str = ""  # ISO 639-1, "" where the engine does not say
    refused: str = ""  # "not understood", "silence", "repetition" …: why there is no text


class Utterance(Protocol):
    """One utterance being heard; several may be open at once (one a stream)."""

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        """Take more audio; return the partial text if it changed, else None."""

    def so_far(self) -> Recognition | None:
        """In a pause: what ``finish`` would give if nothing but silence were still to come; more may be fed afterwards.
        None where asking costs more than this machine's time (a server), so that one does not ask on suspicion."""

    def finish(self) -> Recognition:
        """No more audio: the final result. The utterance must not be used afterwards."""


class Recognizer(Protocol):
    def utterance(self, language: str = "") -> Utterance:
        """Begin a new utterance. ``language``: ISO 639-1, where it is known to be of one; engines that cannot be told
        overlook it."""


def load(name: str, options: Mapping[str, Any]) -> Recognizer:
    """The recognizer called ``name``, ready to listen. Raises EngineError."""
    return cast(Recognizer, engine.load("asr", name, options))


def believed(result: Recognition, languages: Sequence[str] = ()) -> Recognition:
    """The gate that whatever any recognizer wrote must pass: there are words, they are no decoder's loop, and they are
    of one of these languages (ISO 639-1; empty: of any), where the engine says which."""
    from pipelines.asr import _gates

    if not result.text:
        return result if result.refused else Recognition(refused="not understood")
    words = _gates.plain(result.text)
    if not words:
        return Recognition(refused="not understood")
    if _gates.loops(words):
        return Recognition(refused="repetition")
    if languages and result.language and result.language not in languages:
        return Recognition(refused=f"another language: {result.language}")
    return result
