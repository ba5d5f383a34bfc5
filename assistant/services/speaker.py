"""Speaker: say the reply sentence by sentence, fall silent at once, report what was really heard."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec
import numpy as np

from assistant import config
from assistant.config import Engine
from assistant.core.playout import Block, Playout, Said
from assistant.messages import (
    AudioOut,
    Interrupt,
    Mute,
    ReplyEnded,
    ReplySentence,
    SpeakerIdle,
    Speaking,
    Spoken,
    Turn,
    TurnStarted,
)
from assistant.service import Service, Unfit
from assistant.wire import Received
from pipelines import tts
from pipelines.engine import EngineError, name_of

log = logging.getLogger(__name__)


class Settings(config.Settings, frozen=True, kw_only=True):
    """Section [speaker]."""

    roles: ClassVar[Mapping[str, str]] = {"tts": "tts"}

    tts: Engine = Engine("espeak")
    output: Literal["bus"] = "bus"  # bus: AudioOut messages at the pace of the ear
    block_ms: int = 20  # an interruption is obeyed within one block


def run(service: Service, settings: Settings) -> None:
    service.listen(TurnStarted, ReplySentence, ReplyEnded, Interrupt)
    service.busy("loading the voice", 60.0)
    try:
        voice = tts.load(settings.tts.engine, settings.tts.options)
    except EngineError as error:
        raise Unfit(str(error)) from error
    mouth = Mouth(service, settings, Synthesis(voice, service))
    service.ready(name_of(voice))
    while service.running:
        received = service.receive(mouth.patience())
        if received is not None:
            mouth.obey(received)
        mouth.play()
    mouth.close()


class Piece(msgspec.Struct, frozen=True):
    """Out of the synthesis thread: a chunk of a sentence, or its end, or why it failed."""

    turn: Turn
    index: int
    chunk: tts.Chunk | None
    engine_ms: float = 0.0  # from the start of the sentence's synthesis
    error: str = ""


class Synthesis:
    """The engine in a thread of its own, so that the mouth can fall silent in the middle of a sentence.

    Should the thread die, ``collect`` raises and the process ends.
    """

    def __init__(self, voice: tts.Voice, service: Service) -> None:
        self.rate = voice.rate
        self._voice, self._wake = voice, service.wake
        self._jobs: queue.SimpleQueue[ReplySentence | None] = queue.SimpleQueue()
        self._pieces: queue.SimpleQueue[Piece] = queue.SimpleQueue()
        self._unwanted: set[Turn] = set()
        self._thread = threading.Thread(target=self._work, name="synthesis", daemon=True)
        self._thread.start()

    def begin(self, sentence: ReplySentence) -> None:
        self._jobs.put(sentence)

    def cancel(self, turn: Turn) -> None:
        """Synthesise nothing more of this turn."""
        self._unwanted.add(turn)

    def collect(self) -> list[Piece]:
        pieces = []
        with contextlib.suppress(queue.Empty):
            while True:
                pieces.append(self._pieces.get_nowait())
        if not pieces and not self._thread.is_alive():
            raise RuntimeError("the synthesis thread died")
        return pieces

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join(timeout=1.0)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            error, began = "", time.perf_counter()
            try:
                for chunk in self._voice.speak(job.text, job.language):
                    if job.turn in self._unwanted:
                        break
                    self._put(Piece(job.turn, job.index, chunk, (time.perf_counter() - began) * 1000))
            except EngineError as problem:
                error = str(problem)
            self._put(Piece(job.turn, job.index, None, error=error))

    def _put(self, piece: Piece) -> None:
        self._pieces.put(piece)
        self._wake()


class Mouth:
    def __init__(self, service: Service, settings: Settings, synthesis: Synthesis) -> None:
        self._service, self._synthesis = service, synthesis
        self._playout = Playout()
        self._samples = synthesis.rate * settings.block_ms // 1000
        self._due = 0  # when the next block begins, ns; 0 while silent
        self._muted = False
        self._engine_ms: dict[tuple[Turn, int], float] = {}
        self._newest: dict[str, int] = {}  # conversation -> start of its newest turn

    def patience(self) -> float:
        """Seconds until the next block is due."""
        if self._due and not self._playout.waits():
            return max(0.0, (self._due - self._service.clock()) / 1e9)
        return 0.25

    def obey(self, received: Received) -> None:
        match received.message:
            case TurnStarted(turn=turn):
                self._silence(turn.conversation, turn.start)
            case ReplySentence() as sentence if sentence.turn.start >= self._newest.get(sentence.turn.conversation, 0):
                self._playout.add(sentence.turn, sentence.index, sentence.text)
                self._synthesis.begin(sentence)
            case ReplyEnded(turn=turn, sentences=count) if turn.start >= self._newest.get(turn.conversation, 0):
                self._playout.ended(turn, count)
            case Interrupt(conversation=conversation, before=before):
                self._silence(conversation, before)
            case Mute(device="speaker", muted=muted):
                self._muted = muted

    def play(self) -> None:
        for piece in self._synthesis.collect():
            self._take(piece)
        if self._playout.empty:
            self._due = 0
        now = self._service.clock()
        if not self._playout.empty and (self._due == 0 or (self._playout.waits() and self._due < now)):
            self._due = now  # the first block, or the voice was slower than the ear: start afresh
        while self._due and self._due <= self._service.clock():
            self._report(self._playout.over())  # what was emitted before has sounded by now
            block = self._playout.take(self._samples)
            if block is None:
                break
            self._emit(block)
        for turn in self._playout.silent():
            self._service.publish(SpeakerIdle(turn=turn))

    def close(self) -> None:
        self._synthesis.close()

    def _take(self, piece: Piece) -> None:
        key = (piece.turn, piece.index)
        if piece.chunk is None:
            if piece.error:
                log.error("a sentence could not be spoken: %s", piece.error)
                self._service.be("degraded", piece.error)
            self._playout.complete(*key)
            return
        self._engine_ms.setdefault(key, piece.engine_ms)
        self._playout.feed(*key, piece.chunk.pcm, [(word.char, word.sample) for word in piece.chunk.words])

    def _emit(self, block: Block) -> None:
        key = (block.turn, block.index)
        if block.first:
            began = Speaking(
                turn=block.turn,
                index=block.index,
                first_sample_at=self._due,
                engine_ms=self._engine_ms.pop(key, 0.0),
            )
            self._service.publish(began)
        pcm = np.zeros_like(block.pcm) if self._muted else block.pcm
        out = AudioOut(turn=block.turn, index=block.index, rate=self._synthesis.rate, first_sample_at=self._due)
        self._service.publish(out, np.ascontiguousarray(pcm))
        self._due += len(block.pcm) * 1_000_000_000 // self._synthesis.rate

    def _silence(self, conversation: str, before: int) -> None:
        self._newest[conversation] = max(before, self._newest.get(conversation, 0))
        said, turns = self._playout.drop(conversation, before)
        self._report(said)
        for turn in turns:
            self._synthesis.cancel(turn)
            self._service.publish(SpeakerIdle(turn=turn))

    def _report(self, said: list[Said]) -> None:
        for sentence in said:
            self._service.publish(
                Spoken(turn=sentence.turn, index=sentence.index, text=sentence.text, complete=sentence.complete)
            )
