"""A language model for tests that says what it was allowed, and as much of it as its script wants."""

import json
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TypeAlias

from pipelines import engine
from pipelines.llm import Capabilities, Ended, Event, Message, Prefilled, Sampling, Thought, Token, ToolCall

WIDTH = 4


class Options(engine.Options, frozen=True, kw_only=True):
    script: (
        str  # a JSON file: the pieces of the reply, null for a thought; {max_tokens} is filled in; {hang}: for ever;
    )
    # {wait}: until there is a file beside it that ends in .go
    log: str = ""  # a file that each prompt is written to, as it is given: a JSON line
    pictures: bool = False  # it takes embeddings, of width WIDTH
    tools: bool = False  # it calls functions: a piece {call} is a call of the first one that it is given
    loads: str = ""  # a file that it waits for when it is loaded


class Engine:
    """See ``pipelines.llm.LanguageModel``. The script is read anew for each reply."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        self._script, self._log = Path(options.script), Path(options.log or "/dev/null")
        self.capabilities = Capabilities(
            wants="embeddings" if options.pictures else "text",
            width=WIDTH if options.pictures else 0,
            context=4096,
            ahead="pictures" if options.log else "nothing",
            tools=options.tools,
        )
        if options.loads:
            _await(Path(options.loads))

    def count(self, conversation: Sequence[Message]) -> int:
        return 10

    def prefill(self, conversation: Sequence[Message], owner: str = "live") -> Generator[Prefilled, None, None]:
        self._note("prefill", conversation)
        yield Prefilled(10, 10)

    def reply(
        self, conversation: Sequence[Message], sampling: Sampling, owner: str = "live"
    ) -> Generator[Event, None, None]:
        self._note("reply", conversation)
        yield Prefilled(10, 10)
        pieces: list[str | None] = json.loads(self._script.read_text())
        for piece in pieces:
            if piece == "{hang}":
                threading.Event().wait()
            if piece == "{wait}":
                _await(self._script.with_suffix(".go"))
                continue
            if piece == "{call}":
                yield ToolCall("call_1", sampling.tools[0].name, '{"on": true}')
                continue
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

    def _note(self, what: str, conversation: Sequence[Message]) -> None:
        said = [part if isinstance(part, str) else f"<{part.identity}>" for m in conversation for part in m.content]
        with self._log.open("a") as log:
            log.write(json.dumps([what, *said]) + "\n")


def _await(path: Path) -> None:
    while not path.exists():
        threading.Event().wait(0.01)
