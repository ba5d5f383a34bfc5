"""Any server with ``/v1/audio/speech`` as the voice: speaches, Kokoro-FastAPI, LocalAI, or a service on the internet.

Runs on: the server; here only the official client (openai, Apache-2.0). What crosses the network: each sentence. Where
words begin is not known. The sound is played as it arrives, where the server sends raw PCM.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np

from pipelines import openai_client
from pipelines.audio import AudioError, resample, wav
from pipelines.engine import EngineError
from pipelines.tts import Chunk

BLOCK = 4096  # bytes handed on at a time: 85 ms at 24 kHz
WRONG = ("audio/mpeg", "audio/ogg", "audio/flac", "audio/aac", "text/", "application/json")  # what PCM is never called


class Options(openai_client.Options, frozen=True, kw_only=True):
    voice: Annotated[str, msgspec.Meta(min_length=1)]  # as the server calls it
    voices: Mapping[str, str] = msgspec.field(
        default_factory=dict
    )  # language, ISO 639-1 -> voice, where sentences in it need another
    format: Literal["pcm", "wav"] = "pcm"  # wav: for servers without raw PCM; is played when it is whole
    rate: Annotated[int, msgspec.Meta(ge=8000, le=96_000)] = 24_000  # Hz of the server's PCM; WAVs are converted to it
    speed: Annotated[float, msgspec.Meta(ge=0.25, le=4.0)] = 1.0
    instructions: str = ""  # how to speak, for models that take it


class Engine:
    """See ``pipelines.tts.Voice``."""

    Options: TypeAlias = Options
    extra = "openai"

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a key that cannot be read. Does not connect."""
        self._options = options
        self._server = openai_client.Server(options)
        self.rate = options.rate

    def speak(self, text: str, language: str = "") -> Iterator[Chunk]:
        """See the Protocol. Raises EngineError naming the server and the mend, perhaps after some chunks."""
        if not any(character.isalnum() for character in text):
            return
        blocks = self._server.stream(self._source(text, language))
        try:
            yield from self._whole(blocks) if self._options.format == "wav" else self._as_it_comes(blocks)
        finally:
            blocks.close()

    def _as_it_comes(self, blocks: Iterator[bytes | None]) -> Iterator[Chunk]:
        rest, came = b"", False
        for block in blocks:
            data = rest + (block or b"")
            if not came and data[:4] == b"RIFF":
                raise EngineError(f"the server at {self._options.base_url} sends WAV; set format to 'wav'")
            whole = len(data) // 2 * 2  # the network cuts between bytes, not samples
            data, rest = data[:whole], data[whole:]
            if data:
                came = True
                yield Chunk(np.frombuffer(data, "<i2").astype(np.int16))
        if not came:
            raise self._silent()

    def _whole(self, blocks: Iterator[bytes | None]) -> Iterator[Chunk]:
        data = b"".join(block or b"" for block in blocks)
        if not data:
            raise self._silent()
        try:
            sound = wav.decode(data, f"the sound from {self._options.base_url}")
            yield Chunk(resample.convert(sound.pcm, sound.rate, self.rate))
        except AudioError as error:
            raise EngineError(f"{error}; or see whether the server knows the format 'wav'") from error

    def _source(self, text: str, language: str) -> openai_client.Source[bytes]:
        asked: dict[str, Any] = {
            "model": self._options.model,
            "voice": self._options.voices.get(language, self._options.voice),
            "input": text,
            "response_format": self._options.format,
            "speed": self._options.speed,
        }
        if self._options.instructions:
            asked["instructions"] = self._options.instructions

        async def source(client: Any) -> AsyncIterator[bytes]:
            async with client.audio.speech.with_streaming_response.create(**asked) as response:
                kind = str(response.headers.get("content-type", ""))
                if kind.startswith(WRONG):
                    told = f"sends {kind} instead of {self._options.format}"
                    raise EngineError(
                        f"the server at {self._options.base_url} {told}; see its log, or change the format"
                    )
                async for block in response.iter_bytes(BLOCK):
                    yield block

        return source

    def _silent(self) -> EngineError:
        return EngineError(f"the server at {self._options.base_url} sent no sound; see its log")
