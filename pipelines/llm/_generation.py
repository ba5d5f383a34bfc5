"""A reply in the making: from logits to tokens, from tokens to text that may be shown, and when it is over."""

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np

from pipelines.llm import Sampling
from pipelines.llm._prompt import Cell
from pipelines.llm._sampling import Logits, StopText, choose
from pipelines.llm._tokens import Stream, Tokens


class Generation:
    """``count``: tokens so far, an end token included. ``ended``: by one. ``cut``: by a stop string in the text."""

    def __init__(self, tokens: Tokens, ends: Collection[int], sampling: Sampling, prompt: Sequence[Cell]) -> None:
        self._ends, self._sampling = () if sampling.ignore_end else ends, sampling
        self._seen = {cell for cell in prompt if isinstance(cell, int)}
        self._random = np.random.default_rng(sampling.seed)
        self._stream, self._stops = Stream(tokens), StopText(sampling.stop)
        self._begun = False
        self.count = 0
        self.ended = False

    @property
    def cut(self) -> bool:
        return self._stops.stopped

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
        self.count += 1
        self.ended = id in self._ends
        return id, "" if self.ended else self._visible(self._stops.add(self._stream.add(id)))

    def rest(self) -> str:
        """What was held back and may be shown now that no token follows."""
        if self.cut:
            return ""
        return self._visible(self._stops.add(self._stream.rest()) + self._stops.rest())

    def _visible(self, text: str) -> str:
        """Without space at the beginning of the reply: models of some templates begin with one, and their templates
        put one before a reply themselves, so that a history with both would be another text than was generated."""
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        return text


NONE = np.empty(0, np.intp)
