"""Vision-language models as ONNX folders, on the CPU (onnxruntime, MIT; the models have licences of their own).

Takes embeddings of pictures from the vision engine of the same folder. Keeps several KV caches side by side and
continues whichever shares the longest prefix with the conversation, rows of pictures included.
"""

import time
from collections import deque
from collections.abc import Generator, Sequence
from typing import Annotated, TypeAlias

import msgspec
import numpy as np

from pipelines import engine
from pipelines.llm import Capabilities, Ended, Event, Message, Prefilled, PromptTooLong, Sampling, Thought, Token
from pipelines.llm._cache import Caches
from pipelines.llm._decoder import Decoder
from pipelines.llm._generation import Generation
from pipelines.llm._prompt import Cell, Prompt, Prompts
from pipelines.modelfolder import ModelFolder

Positive = Annotated[int, msgspec.Meta(ge=1)]
NOTHING = np.empty(0, np.float32)
LEFT = 4  # replies that their reader left before the end: so many can be gone on with token by token


class Options(engine.Options, frozen=True, kw_only=True):
    model: str  # the folder
    dtype: str = "auto"  # fp32, fp16, q8, q4 …: which of the graphs' files; auto: for each graph the best for a CPU
    threads: Positive = 1
    slots: Positive = 2  # KV caches side by side
    context: Annotated[int, msgspec.Meta(ge=0)] = 0  # tokens, prompt and reply together; 0: all that the model allows
    chunk: Positive = 64  # prompt tokens computed at a time; between two, a run can be stopped
    live_pictures: Positive = 2  # pictures the prompt may hold


class Engine:
    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a folder or an option that is not in order."""
        folder = ModelFolder(options.model)
        allowed = folder.text.max_position_embeddings
        if options.context > allowed:
            raise engine.EngineError(f"context is {options.context}, but {folder.path} allows {allowed} tokens at most")
        self._context = options.context or allowed
        self._chunk = options.chunk
        decoder = Decoder(folder, options.dtype, options.threads)
        self._caches = Caches(decoder, options.slots, folder.config.image_token_id)
        self._prompts = Prompts(folder, decoder.width, options.live_pictures)
        self._ends = folder.ends()
        self.capabilities = Capabilities(
            wants="embeddings",
            width=decoder.width,
            context=self._context,
            slots=options.slots,
            live_pictures=options.live_pictures,
            ahead="pictures",
            continues="pictures",
        )
        self._left: deque[tuple[list[Cell], Generation]] = deque(maxlen=LEFT)
        decoder.run(decoder.rows([0]), decoder.empty)  # the first run is slow: let it not be the user's

    def count(self, conversation: Sequence[Message]) -> int:
        return len(self._prompts.cells(conversation, generate=True))

    def prefill(self, conversation: Sequence[Message], owner: str = "live") -> Generator[Prefilled, None, None]:
        """Gives no event where nothing has to be computed. Raises what reply() raises."""
        prompt = self._prompts.build(conversation, generate=False)
        self._check_room(len(prompt.cells), room=0)
        return self._prefill(prompt, owner)

    def reply(
        self, conversation: Sequence[Message], sampling: Sampling, owner: str = "live"
    ) -> Generator[Event, None, None]:
        """Raises EngineError at once for what is wrong with the conversation, while iterating for a failed run."""
        prompt = self._prompts.build(conversation, generate=True)
        self._check_room(len(prompt.cells) + len(prompt.begun_ids), room=1)
        return self._reply(prompt, sampling, owner)

    def _check_room(self, tokens: int, room: int) -> None:
        if tokens + room > self._context:
            raise PromptTooLong(f"the prompt has {tokens} tokens, which leaves no room in a context of {self._context}")

    def _prefill(self, prompt: Prompt, owner: str) -> Generator[Prefilled, None, None]:
        lease = self._caches.lease(owner, prompt.cells, most=len(prompt.cells))
        for part in lease.missing(prompt.cells, self._chunk):
            lease.extend(part, prompt.rows, logits=False)
            yield Prefilled(lease.held, len(prompt.cells))

    def _reply(self, prompt: Prompt, sampling: Sampling, owner: str) -> Generator[Event, None, None]:
        prefill, decode, total = Stopwatch(), Stopwatch(), len(prompt.cells)
        reply = self._generation(prompt, sampling)
        cells = [*prompt.cells, *reply.ids]
        try:
            with prefill:
                lease = self._caches.lease(owner, cells, most=len(cells) - 1)  # the last again, for its logits
                cached, parts = lease.held, lease.missing(cells, self._chunk)
            logits = NOTHING
            for part in parts:
                with prefill:
                    logits = lease.extend(part, prompt.rows, logits=part is parts[-1])
                yield Prefilled(lease.held, len(cells), cached=cached)

            limit = min(sampling.max_tokens, self._context - total)
            while reply.count < limit and not (reply.ended or reply.cut):
                with decode:
                    token, text = reply.take(logits)
                if text:
                    yield Token(text)
                elif reply.thought:
                    yield Thought()
                if not reply.cut:  # an end token belongs to the history, the one that completes a stop string does not
                    with decode:
                        logits = lease.extend([token], prompt.rows)
            if text := reply.rest():
                yield Token(text)
        except GeneratorExit:
            self._left.append((prompt.cells, reply))
            raise
        yield Ended(
            reason=reply.reason,
            prompt_tokens=total,
            cached_tokens=min(cached, total),
            completion_tokens=reply.count,
            prefill_ms=prefill.ms,
            decode_ms=decode.ms,
        )

    def _generation(self, prompt: Prompt, sampling: Sampling) -> Generation:
        """A new reply; or one that was left, where this is to go on with it."""
        if prompt.begun is not None:
            for at, (cells, left) in enumerate(self._left):
                if left.said == prompt.begun and cells == prompt.cells and left.goes_on(sampling):
                    del self._left[at]
                    return left
        reply = Generation(self._prompts.tokens, self._ends, sampling, prompt.cells, prompt.opened and not prompt.begun)
        reply.begun(prompt.begun_ids, prompt.begun or "")
        return reply


class Stopwatch:
    """Adds up the time inside its ``with`` blocks: an engine's own, without that of whoever reads its events."""

    def __init__(self) -> None:
        self.ms = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.ms += (time.perf_counter() - self._began) * 1000
