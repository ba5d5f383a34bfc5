"""The language model: the whole conversation in, the reply out; which prefix is cached is the engine's own affair.

An engine is given the complete conversation each time (rule 3 of the design: the KV cache is only a cache of it) and
finds the longest prefix that one of its slots already holds. The reply is an iterator of events; whoever reads it
stops the engine by closing the iterator, between two chunks of prefill or two tokens. A closed run leaves the slot
valid: it holds exactly what it computed.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.npu.lock import Figures


class Picture(msgspec.Struct, frozen=True, eq=False):
    """A picture in a message. ``identity`` names it: equal identities are the same picture to the KV cache."""

    identity: str
    rows: NDArray[np.float32] | None = None  # [tokens, width], for engines that want embeddings
    grid: tuple[int, int] = (0, 0)  # tile split (rows, columns) of those rows
    pixels: NDArray[np.uint8] | None = None  # RGB [height, width, 3], for engines that want pictures


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may ask for. Nothing here runs it."""

    name: str
    description: str
    parameters: dict[str, Any]  # JSON schema of its arguments, an object's


class ToolCall(msgspec.Struct, frozen=True):
    """The model asks for a function; complete. The answer is a message of role `tool` with this ``id``."""

    id: str
    name: str  # as the model wrote it: it need not be one of the tools
    arguments: str  # JSON text of an object as the model wrote it, not held against the tool's schema


class Message(msgspec.Struct, frozen=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: tuple[str | Picture, ...]
    calls: tuple[ToolCall, ...] = ()  # assistant: what it asked for after its words
    call_id: str = ""  # tool: the call that this answers; empty: it answers none
    fixed: bool = False  # stands at the beginning of every conversation, as an example of how to answer


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are chosen. Temperature 0 is greedy."""

    temperature: float = 0.0
    top_k: int = 0  # 0: no limit
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    ignore_end: bool = False  # go on past the model's own end, for measuring; overlooked by engines that cannot
    tools: tuple[Tool, ...] = ()  # overlooked by engines whose capabilities say no tools


class Prefilled(msgspec.Struct, frozen=True):
    """A chunk of the prompt was computed; ``done`` of ``total`` tokens (cached ones included) stand in the cache."""

    done: int
    total: int
    npu: Figures | None = None  # what its possession has cost so far; None: without an NPU
    cached: int = 0  # of those done, taken from the KV cache when the run began; 0 where that is told at its end alone


class Token(msgspec.Struct, frozen=True):
    """A piece of the reply: complete characters only, possibly of several tokens."""

    text: str


class Thought(msgspec.Struct, frozen=True):
    """The model goes on thinking before it answers. What it thinks is nobody's to hear, and no part of the reply."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Always the last event of a run that was not closed by its reader.

    A reply that ends in calls has the reason `stop` like any other finished one: the ToolCall events before it tell.
    Of a reply that was gone on with, what stood there already counts as completion and not as prompt.
    """

    reason: Literal["stop", "length", "context"]  # context: the context is full
    prompt_tokens: int
    cached_tokens: int  # of the prompt's, taken from the KV cache
    completion_tokens: int  # those of its thoughts included
    prefill_ms: float
    decode_ms: float
    memory_mb: float = 0.0  # of the runtime, at its peak; 0: not known
    npu: Figures | None = None  # what its possession cost; None: without an NPU


Event = Prefilled | Thought | Token | ToolCall | Ended  # calls come after the text


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    wants: Literal["embeddings", "pictures", "text"]
    width: int = 0  # floats an embedding row must have; 0 where pictures are wanted
    context: int  # tokens, prompt and reply together
    slots: int = 1  # KV caches kept side by side
    live_pictures: int = 1  # pictures the prompt may hold at once
    tools: bool = False  # whether tools, calls and their results are understood
    # What of a conversation prefill() computes so that reply() need not: all of it, only where it holds no picture, …
    ahead: Literal["pictures", "text", "nothing"] = "nothing"
    # Which replies reply() goes on with: any, only where the conversation holds no picture, …
    continues: Literal["pictures", "text", "nothing"] = "nothing"


class PromptTooLong(engine.EngineError):
    """The rendered conversation does not leave room for a reply; the text gives both numbers."""


class Stuck(engine.EngineError):
    """The engine hangs where nothing can end it; only a new process helps. The text says since when."""


class NoModel(engine.EngineError):
    """There is no language model to run; the text says why."""


class LanguageModel(Protocol):
    capabilities: Capabilities

    def count(self, conversation: Sequence[Message]) -> int:
        """How many prompt tokens the conversation renders to, pictures included, generation prompt included."""

    def reply(
        self, conversation: Sequence[Message], sampling: Sampling, owner: str = "live"
    ) -> Generator[Event, None, None]:
        """Prefill what is not cached, then generate. ``owner`` names whose slot it is; `live` is not evicted by others
        where there is more than one slot. Raises PromptTooLong, or EngineError for rows of a wrong width.

        Where the last message is the assistant's, the reply has begun with it and is gone on with (``continues``): only
        what follows is given, ``max_tokens`` counts all of it. An empty one stands for a reply of which nothing was
        said yet. Given what the engine itself has said in a run that was closed, and the same sampling, it says what it
        would have said, token by token, where it can. Raises EngineError where it goes on with none."""

    def prefill(self, conversation: Sequence[Message], owner: str = "live") -> Generator[Prefilled, None, None]:
        """Compute the conversation (without a generation prompt) into the owner's slot ahead of its use."""


def load(name: str, options: Mapping[str, Any]) -> LanguageModel:
    """The language model called ``name``. Raises EngineError."""
    return cast(LanguageModel, engine.load("llm", name, options))
