"""Talking through a browser: its sound is understood, asked in its own conversation, and answered to it alone."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any

import msgspec
import numpy as np

from assistant.core.reply import Piece, Reply
from assistant.core.snapshot import named
from assistant.gateway import asking
from assistant.gateway.commanding import Code, Strict
from assistant.gateway.errors import Refusal
from assistant.gateway.hub import Letterbox, encoded
from assistant.gateway.routes import Gate
from assistant.messages import ReplyEnded, ReplyToken, Synthesize, Synthesized, Transcribe, Transcript, Turn
from pipelines.audio.resample import convert

UTTERANCE_S = 60.0  # of one question; gateway.limits.audio_s may be less
UNDERSTAND_S = 60.0  # for whoever speaks to the device goes first
VOICE_S = 30.0  # without a sample of a sentence
SAMPLE = 2  # bytes


class Begin(Strict, frozen=True, kw_only=True):
    rate: Annotated[int, msgspec.Meta(ge=8000, le=96_000)]  # Hz
    language: Code = ""  # ISO 639-1, "": any


class Talking:
    """One client's. ``begin``, ``hear``, then ``end`` or ``cancel``; ``stop`` ends also what is being answered."""

    def __init__(
        self, gate: Gate, line: Letterbox, begin_task: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
    ):
        """``begin_task``: runs a coroutine, and tells the client what it raises."""
        self._gate, self._line, self._begin_task = gate, line, begin_task
        self._open: Begin | None = None
        self._sound = bytearray()
        self._at = 0  # when it began, ns
        self._answering: asyncio.Task[None] | None = None

    def begin(self, wish: Begin) -> None:
        """Whoever begins to speak does not want to hear the last answer any more."""
        self.stop()
        self._open, self._at = wish, self._gate.clock()

    def hear(self, pcm: bytes) -> None:
        """Raises Refusal (400, 413)."""
        if self._open is None:
            raise Refusal(400, "no_talk", "Sound comes between talk_begin and talk_end.")
        most_s = min(UTTERANCE_S, self._gate.settings.limits.audio_s)
        if len(self._sound) + len(pcm) > most_s * self._open.rate * SAMPLE:
            self.cancel()
            raise Refusal(413, "too_long", f"That is more than {most_s:g} s at once.", mend="Say it in parts.")
        self._sound += pcm

    def end(self) -> None:
        """Raises Refusal (400)."""
        wish, pcm, at = self._open, bytes(self._sound), self._at
        if wish is None:
            raise Refusal(400, "no_talk", "There was no talk_begin before this.")
        self.cancel()
        turn, ended_at = Turn(self._line.conversation, at), self._gate.clock()
        self._answering = self._begin_task(self._answer(wish, pcm, turn, ended_at))

    def cancel(self) -> None:
        """What was said since ``begin`` is nothing."""
        self._open = None
        self._sound = bytearray()

    def stop(self) -> None:
        self.cancel()
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None

    async def _answer(self, wish: Begin, pcm: bytes, turn: Turn, ended_at: int) -> None:
        heard = await self._understood(wish, pcm)
        name = msgspec.structs.asdict(named(turn))
        if not heard.text:
            self._tell("dropped", {"turn": name, "why": "no words were understood"})
            return
        self._tell("stt_text", {"turn": name, "text": heard.text})
        pieces: asyncio.Queue[Piece | None] = asyncio.Queue()
        speaking = asyncio.ensure_future(self._speak(turn, pieces))
        try:
            reply, said = Reply(), False
            asked = asking.asked(self._gate, turn.conversation, heard.text, start=turn.start, asked_at=ended_at)
            async for received in asked:
                match received.message:
                    case ReplyToken(text=text):
                        said = True
                        for piece in reply.add(text):
                            pieces.put_nowait(piece)
                    case ReplyEnded(text=text):
                        # What was never generated (a sentence of the daemon's own) comes as a whole.
                        for piece in [*reply.add("" if said else text), *reply.finish()]:
                            pieces.put_nowait(piece)
            pieces.put_nowait(None)
            await speaking
        finally:
            speaking.cancel()

    async def _understood(self, wish: Begin, pcm: bytes) -> Transcript:
        """Raises Refusal (503, 504)."""
        whole = np.frombuffer(pcm[: len(pcm) // SAMPLE * SAMPLE], np.int16)
        sound = await asyncio.to_thread(convert, whole, wish.rate)
        stream = f"{self._line.conversation}-{secrets.token_hex(4)}"
        with self._gate.link.follow(Transcript, where=lambda received: _stream(received) == stream) as inbox:
            await self._gate.link.send(Transcribe(stream=stream, language=wish.language), sound.tobytes())
            received = await inbox.get(UNDERSTAND_S)
        if received is None:
            raise Refusal(504, "not_understood", "The microphone's process did not answer.", mend="Say it once more.")
        heard = received.message
        assert isinstance(heard, Transcript)
        if heard.error:
            raise Refusal(503, "not_understood", heard.error, mend="See GET /api/v1/health.")
        return heard

    async def _speak(self, turn: Turn, pieces: "asyncio.Queue[Piece | None]") -> None:
        """Sentence by sentence, as they come; the last block has no sound in it."""
        name = msgspec.structs.asdict(named(turn))
        blocks, rate = 0, 0
        while (piece := await pieces.get()) is not None:
            self._tell("tts_speaking", {"turn": name, "index": piece.index, "text": piece.text})
            async for rate, pcm in self._voiced(piece):
                self._play(name, rate, blocks, False, pcm)
                blocks += 1
        self._play(name, rate, blocks, True, b"")
        self._tell("tts_finished", {"turn": name})

    async def _voiced(self, piece: Piece) -> AsyncIterator[tuple[int, bytes]]:
        """Rate and sound of a sentence, block by block. Raises Refusal (503, 504)."""
        stream = f"{self._line.conversation}-{secrets.token_hex(4)}"
        with self._gate.link.follow(Synthesized, where=lambda received: _stream(received) == stream) as inbox:
            await self._gate.link.send(Synthesize(stream=stream, text=piece.text, language=piece.language))
            while True:
                received = await inbox.get(VOICE_S)
                if received is None:
                    raise Refusal(504, "no_voice", "The speaker's process did not answer.", mend="Ask once more.")
                block = received.message
                assert isinstance(block, Synthesized)
                if block.error:
                    raise Refusal(503, "no_voice", block.error, mend="See GET /api/v1/health.")
                if block.last:
                    return
                yield block.rate, bytes(received.payload)

    def _play(self, turn: dict[str, Any], rate: int, index: int, last: bool, pcm: bytes) -> None:
        told = {"turn": turn, "rate": rate, "index": index, "last": last}
        self._line.put(encoded("audio", told, self._gate.clock()), pcm)

    def _tell(self, name: str, data: dict[str, Any]) -> None:
        self._line.put(encoded(name, data, self._gate.clock()))


def _stream(received: Any) -> str:
    return str(received.message.stream)
