"""One turn that is being answered: from the model's events to tokens, sentences and the end, on the bus."""

import logging
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal

from assistant.core import personas
from assistant.core.reply import Piece, Reply
from assistant.messages import LIVE, NpuCost, ReplyEnded, ReplySentence, ReplyToken, Turn, Usage
from pipelines import llm
from pipelines.engine import EngineError

log = logging.getLogger(__name__)

APOLOGIES: dict[type[EngineError], str] = {llm.PromptTooLong: "too_long", llm.NoModel: "no_model"}

Reason = Literal["stop", "length", "context", "interrupted", "lost", "error", "command", "unseen"]


class Answering:
    """``generate``, then ``advance`` until it gives a reason; or ``say`` words of the daemon's own. At last ``end``."""

    def __init__(
        self, publish: Callable[[Any], None], turn: Turn, question: str, language: str, first_clause: bool
    ) -> None:
        self.turn, self.question, self.language = turn, question, language
        self.reply = Reply(first_clause)
        self.epilogue = ""  # words of the daemon's own, to be said after the model's
        self.look_until = 0  # deadline for the picture, ns; 0 when none is awaited
        self._publish = publish
        self._events: Generator[llm.Event, None, None] | None = None
        self._engine_ms = 0.0  # in the language model so far
        self._first_token_ms = 0.0
        self._usage: Usage | None = None  # as the model told it at its own end
        self._tokens = self._thoughts = self._prompt_tokens = 0

    @property
    def working(self) -> bool:
        """Is there a next event of the language model to take?"""
        return self._events is not None

    @property
    def memory_mb(self) -> float:
        """Of the model's runtime, as it told it at the end; 0 where it did not."""
        return self._usage.memory_mb if self._usage is not None else 0.0

    @property
    def live(self) -> bool:
        """Is it spoken? Other conversations are read, not heard."""
        return self.turn.conversation == LIVE

    def generate(self, events: Generator[llm.Event, None, None]) -> None:
        self._events = events

    def stop(self) -> None:
        """The model need not go on."""
        if self._events is not None:
            self._events.close()

    def advance(self) -> Reason | None:
        """Take the model's next event; at the last one, why it ended. Raises EngineError."""
        assert self._events is not None
        began = time.perf_counter()
        event = next(self._events, None)
        self._engine_ms += (time.perf_counter() - began) * 1000
        match event:
            case llm.Prefilled(total=total):
                self._prompt_tokens = total
            case llm.Thought():
                self._thoughts += 1
            case llm.Token(text=text):
                self._first_token_ms = self._first_token_ms or self._engine_ms
                self._publish(ReplyToken(turn=self.turn, text=text, index=self._tokens))
                self._tokens += 1
                self._hand_over(self.reply.add(text))
            case llm.Ended() as ended:
                self._usage = _usage(ended, self._first_token_ms)
                self._hand_over(self.reply.finish())
                if not self.reply.text.strip():  # silence would leave the user waiting
                    self.say(personas.say("only_thoughts" if self._thoughts else "no_words", self.language))
                if self.epilogue:
                    self.say(f" {self.epilogue}")
                return ended.reason
            case None:
                raise EngineError("the language model stopped without an end")
        return None

    def say(self, words: str) -> None:
        """Words of the daemon's own, after what the model has said."""
        self._hand_over(self.reply.add(words) + self.reply.finish())

    def apologise(self, error: EngineError) -> None:
        """The model could not: say so."""
        log.error("no answer: %s", error)
        self._events = None
        self._hand_over(self.reply.finish())
        self.say(personas.say(_apology(error), self.language))

    def end(self, reason: Reason, detail: str = "") -> int:
        """Tell the end; gives the number of sentences that the speaker was handed."""
        reply = self.reply
        sentences = reply.sentences if self.live else 0
        usage = self._usage or Usage(
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._tokens + self._thoughts,
            first_token_ms=self._first_token_ms,
        )
        ended = ReplyEnded(
            turn=self.turn, reason=reason, text=reply.text, sentences=sentences, usage=usage, detail=detail
        )
        self._publish(ended)
        return sentences

    def _hand_over(self, pieces: Sequence[Piece]) -> None:
        """Sentences to the speaker."""
        if not self.live:
            return
        for piece in pieces:
            sentence = ReplySentence(
                turn=self.turn,
                index=piece.index,
                text=piece.text,
                end=piece.end,
                language=piece.language,
                engine_ms=self._engine_ms,
            )
            self._publish(sentence)


def _apology(error: EngineError) -> str:
    return next((key for kind, key in APOLOGIES.items() if isinstance(error, kind)), "model_error")


def _usage(ended: llm.Ended, first_token_ms: float) -> Usage:
    cost = ended.npu
    return Usage(
        prompt_tokens=ended.prompt_tokens,
        cached_tokens=ended.cached_tokens,
        completion_tokens=ended.completion_tokens,
        prefill_ms=ended.prefill_ms,
        first_token_ms=first_token_ms,
        decode_ms=ended.decode_ms,
        memory_mb=ended.memory_mb,
        npu=None if cost is None else NpuCost(cost.wait_ms, cost.hold_ms, cost.behind),
    )
