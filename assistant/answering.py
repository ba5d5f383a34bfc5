"""One turn that is being answered: from the model's events to tokens, sentences and the end, on the bus.

An answer to a Guess is held back: nothing of it is told before the question is confirmed, then all of it at once.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from assistant.core import personas
from assistant.core.conversation import PictureRef
from assistant.core.reply import Piece, Reply
from assistant.journal import of
from assistant.messages import LIVE, Message, Reason, ReplyEnded, ReplySentence, ReplyToken, Turn, Usage
from assistant.thinking import Happened, Run, usage_of
from pipelines import llm
from pipelines.engine import EngineError

log = logging.getLogger(__name__)


APOLOGIES: dict[type[Exception], str] = {
    llm.PromptTooLong: "too_long",
    llm.NoModel: "no_model",
    llm.Stuck: "model_stuck",
}


class Answering:
    """``generate``, then ``advance`` until it gives a reason; or ``say`` words of the daemon's own. At last ``end``."""

    def __init__(
        self,
        publish: Callable[[Any], None],
        turn: Turn,
        question: str,
        language: str,
        first_clause: bool,
        held: bool = False,
    ) -> None:
        """``held``: the question is only guessed, see ``confirm``."""
        self.turn, self.question, self.language = turn, question, language
        self.reply = Reply(first_clause)
        self.voice = ""  # the language that it is spoken in; "": each sentence's own
        self.epilogue = ""  # words of the daemon's own, to be said after the model's
        self.look_until = 0  # deadline for the picture, ns; 0 when none is awaited
        self.looked = turn  # whom the picture was asked for
        self.picture: PictureRef | None = None  # that it is about
        self.asked_for = False  # the prompt is with the model, or words of our own were found
        self.kept_end: tuple[Reason, str] | None = None  # it came to its end while it was held
        self.prompt: list[llm.Message] = []
        self.made_at = 0  # ns
        self.wasted = (0.0, 0.0)  # ms of the model, and of them on the NPU, that came to nothing for this turn
        self._publish = publish
        self._kept: list[Message] | None = [] if held else None
        self._run: Run | None = None
        self._engine_ms = 0.0  # in the language model so far
        self._first_token_ms = 0.0
        self._first_token_at = self._began_at = 0
        self._npu_wait_ms: float | None = None
        self._usage: Usage | None = None  # as the model told it at its own end
        self._tokens = self._thoughts = self._prompt_tokens = 0

    # --- held back ---

    @property
    def held(self) -> bool:
        return self._kept is not None

    def tell(self, message: Message) -> None:
        """Publish it, or keep it until the question is confirmed."""
        self._publish(message) if self._kept is None else self._kept.append(message)

    def confirm(self, turn: Turn) -> None:
        """It was the question, and is this turn's: all that was kept is told, and what comes from now on at once."""
        kept, self._kept, self.turn = self._kept or [], None, turn
        for message in kept:
            self._publish(msgspec.structs.replace(message, turn=turn))

    @property
    def spent(self) -> tuple[float, float | None]:
        """Milliseconds in the model, and of them in the queue for the NPU (None: without one)."""
        return self._engine_ms, self._npu_wait_ms

    # --- the model ---

    @property
    def working(self) -> bool:
        """Does the model have to do with it?"""
        return self._run is not None

    @property
    def waiting(self) -> bool:
        """Is there an event of the model's to take?"""
        return self._run is not None and self._run.waiting

    @property
    def stuck_since(self) -> int:
        """When the model last came on with it, ns; 0: it is not at work."""
        return self._run.progress_at if self._run is not None else 0

    @property
    def begun(self) -> bool:
        """Has the reply begun?"""
        return self._first_token_at > 0 or self._thoughts > 0

    @property
    def prompt_tokens(self) -> int:
        """As far as they are known."""
        return self._prompt_tokens

    @property
    def memory_mb(self) -> float:
        """Of the model's runtime, as it told it at the end; 0 where it did not."""
        return self._usage.memory_mb if self._usage is not None else 0.0

    @property
    def tokens(self) -> int:
        """That stand in the KV cache at its end; 0 where the model did not tell."""
        return self._usage.prompt_tokens + self._usage.completion_tokens if self._usage is not None else 0

    @property
    def live(self) -> bool:
        """Is it spoken? Other conversations are read, not heard."""
        return self.turn.conversation == LIVE

    def generate(self, run: Run) -> None:
        self._run, self._began_at, self.asked_for = run, run.began_at, True

    def stop(self) -> None:
        """The model need not go on."""
        if self._run is not None:
            self._run.close()
            self._run = None

    def advance(self, on_prompt: Callable[[int, int], None] = lambda done, total: None) -> Reason | None:
        """Take what happened in the model; at the last event, why it ended. ``on_prompt`` is told how far the prompt
        is. Raises EngineError."""
        happened = self._run.take() if self._run is not None else None
        if happened is None:
            return None
        self._engine_ms += happened.engine_ms
        if happened.error is not None:
            raise happened.error
        match happened.event:
            case llm.Prefilled(done=done, total=total, npu=npu):
                self._prompt_tokens = total
                if npu is not None:
                    self._npu_wait_ms = npu.wait_ms
                on_prompt(done, total)
            case llm.Thought():
                self._thoughts += 1
            case llm.Token(text=text):
                self._note_first(happened)
                self.tell(ReplyToken(turn=self.turn, text=text, index=self._tokens))
                self._tokens += 1
                self._hand_over(self.reply.add(text))
            case llm.Ended() as ended:
                self._run = None
                self._usage = usage_of(ended)
                self._hand_over(self.reply.finish())
                if not self.reply.text.strip():  # silence would leave the user waiting
                    self.say(personas.say("only_thoughts" if self._thoughts else "no_words", self.language))
                if self.epilogue:
                    self.say(f" {self.epilogue}")
                return ended.reason
            case None:
                raise EngineError("the language model stopped without an end")
        return None

    def _note_first(self, happened: Happened) -> None:
        if not self._first_token_at:
            self._first_token_ms, self._first_token_at = self._engine_ms, happened.at

    def say(self, words: str) -> None:
        """Words of the daemon's own, after what the model has said."""
        self.asked_for = True
        self._hand_over(self.reply.add(words) + self.reply.finish())

    def apologise(self, error: EngineError) -> None:
        """The model could not: say so."""
        log.error("no answer: %s", error, extra=of(self.turn))
        self.stop()
        self._hand_over(self.reply.finish())
        self.say(personas.say(_apology(error), self.language))

    def end(self, reason: Reason, detail: str = "") -> int:
        """Tell the end; gives the number of sentences that the speaker was handed."""
        reply = self.reply
        sentences = reply.sentences if self.live else 0
        usage = self._usage or Usage(
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._tokens + self._thoughts,
        )
        usage = msgspec.structs.replace(
            usage,
            first_token_ms=self._first_token_ms,
            first_token_at=self._first_token_at,
            began_at=self._began_at,
            wasted_ms=self.wasted[0],
            wasted_npu_ms=self.wasted[1],
        )
        ended = ReplyEnded(
            turn=self.turn, reason=reason, text=reply.text, sentences=sentences, usage=usage, detail=detail
        )
        self.tell(ended)
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
                language=self.voice or piece.language,
                engine_ms=self._engine_ms,
            )
            self.tell(sentence)


def _apology(error: Exception) -> str:
    return next((key for kind, key in APOLOGIES.items() if isinstance(error, kind)), "model_error")
