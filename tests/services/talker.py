"""A language model for tests that says what it was allowed, and as much of it as its script wants."""

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TypeAlias

from pipelines import engine
from pipelines.llm import Capabilities, Ended, Event, Message, Prefilled, Sampling, Thought, Token


class Options(engine.Options, frozen=True, kw_only=True):
    script: str  # a JSON file: the pieces of the reply, null for a thought; {max_tokens} is filled in


class Engine:
    """See ``pipelines.llm.LanguageModel``. The script is read anew for each reply."""

    Options: TypeAlias = Options
    capabilities = Capabilities(wants="text", context=4096)

    def __init__(self, options: Options) -> None:
        self._script = Path(options.script)

    def count(self, conversation: Sequence[Message]) -> int:
        return 10

    def prefill(self, conversation: Sequence[Message], owner: str = "live") -> Generator[Prefilled, None, None]:
        yield Prefilled(10, 10)

    def reply(
        self, conversation: Sequence[Message], sampling: Sampling, owner: str = "live"
    ) -> Generator[Event, None, None]:
        yield Prefilled(10, 10)
        pieces: list[str | None] = json.loads(self._script.read_text())
        for piece in pieces:
            yield Thought() if piece is None else Token(piece.replace("{max_tokens}", str(sampling.max_tokens)))
        yield Ended(
            reason="stop",
            prompt_tokens=10,
            cached_tokens=0,
            completion_tokens=len(pieces),
            prefill_ms=1.0,
            decode_ms=2.0,
            memory_mb=123.0,
        )
