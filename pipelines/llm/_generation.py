"""A reply in the making: from logits to tokens, from tokens to text that may be shown, and when it is over."""

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec
import numpy as np

from pipelines.llm import Sampling
from pipelines.llm._prompt import Cell
from pipelines.llm._sampling import Logits, StopText, choose
from pipelines.llm._thinking import Thinking
from pipelines.llm._tokens import Stream, Tokens


class Generation:
    """``ids``: the tokens so far, an end token included. ``ended``: by one. ``cut``: by a stop string in the text."""

    def __init__(
        self, tokens: Tokens, ends: Collection[int], sampling: Sampling, prompt: Sequence[Cell], opened: bool
    ) -> None:
        """``opened``: the prompt ends inside a thought."""
        self._ends, self._sampling = () if sampling.ignore_end else ends, sampling
        self._seen = {cell for cell in prompt if isinstance(cell, int)}
        self._random = np.random.default_rng(sampling.seed)
        self._stream, self._stops, self._thinking = Stream(tokens), StopText(sampling.stop), Thinking(opened)
        self.ids: list[int] = []
        self.said = ""  # the text that was let out
        self.ended = False

    def begun(self, ids: Sequence[int], text: str) -> None:
        """Somebody has said so much of it already."""
        self.ids, self.said = list(ids), text
        self._seen |= set(ids)

    def goes_on(self, sampling: Sampling) -> bool:
        """Can it go on with this sampling? It may have become longer or shorter."""
        same = msgspec.structs.replace(self._sampling, max_tokens=sampling.max_tokens) == sampling
        if same:
            self._sampling = sampling
        return same

    @property
    def count(self) -> int:
        return len(self.ids)

    @property
    def cut(self) -> bool:
        return self._stops.stopped

    @property
    def thought(self) -> bool:
        """Was something of the latest token a thought?"""
        return self._thinking.thought

    @property
    def reason(self) -> Literal["stop", "length", "context"]:
        """Why nothing follows; `context` where neither the model nor the sampling asked for an end."""
        if self.ended or self.cut:
            return "stop"
        return "length" if self.count >= self._sampling.max_tokens else "context"

    def take(self, logits: Logits) -> tuple[int, str]:
        """The next token, and the text that may be shown because of it."""
        seen = np.fromiter(self._seen, np.intp, len(self._seen)) if self._sampling.repetition_penalty != 1.0 else NONE
        id = choose(logits, seen, self._sampling, self._random)
        self._seen.add(id)
        self.ids.append(id)
        self.ended = id in self._ends
        return id, "" if self.ended else self._let_out(self._stops.add(self._thinking.feed(self._stream.add(id))))

    def rest(self) -> str:
        """What was held back and may be shown now that no token follows."""
        if self.cut:
            return ""
        answer = self._thinking.feed(self._stream.rest()) + self._thinking.rest()
        return self._let_out(self._stops.add(answer) + self._stops.rest())

    def _let_out(self, text: str) -> str:
        self.said += text
        return text


NONE = np.empty(0, np.intp)
