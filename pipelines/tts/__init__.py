"""Speech synthesis: a sentence in, PCM out, with where each word begins."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine


class Word(msgspec.Struct, frozen=True):
    """Where a word begins: character offset in the text given, sample offset from the start of the sentence."""

    char: int
    sample: int


class Chunk(msgspec.Struct, frozen=True):
    """A piece of speech. ``pcm`` is int16 mono at the voice's rate; ``words`` began within it, () where the engine
    does not say."""

    pcm: NDArray[np.int16]
    words: tuple[Word, ...] = ()


class Voice(Protocol):
    rate: int  # Hz of every chunk

    def speak(self, text: str, language: str = "") -> Iterator[Chunk]:
        """Synthesise one sentence (language ISO 639-1, "" = the configured one). Closing the iterator cancels it.

        Text without anything speakable yields nothing. Raises EngineError."""


def load(name: str, options: Mapping[str, Any]) -> Voice:
    """The voice of the engine called ``name``. Raises EngineError."""
    return cast(Voice, engine.load("tts", name, options))
