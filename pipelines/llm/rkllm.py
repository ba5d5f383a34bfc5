"""Language models on a Rockchip NPU through librkllmrt.so (the library has a licence of its own), releases 1.1 to 1.3.

One slot: the runtime holds one conversation. How a turn reaches it is decided anew each time:

| case   | when                                                            | cache     | keep_history | input |
|--------|-----------------------------------------------------------------|-----------|--------------|-------|
| grown  | the conversation only grew by this turn, the last reply was not | kept      | 1            | turn  |
|        | cut, and no second picture comes to a first (#257)              |           |              |       |
| tokens | otherwise: no live picture, tokenizer and template at hand      | cleared   | 1            | TOKEN |
| whole  | otherwise                                                       | cleared   | 1            | text  |
| prefix | `reuse = "prefix"`: the runtime itself finds the beginning that | kept, but | 0            | TOKEN |
|        | it has (1.2.0; with pictures 1.3.0)                             | for a new |              | or    |
|        |                                                                 | picture   |              | text  |
| fresh  | `reuse = "none"` (Qwen3.5 cannot, #519; with keep_history=0 it  | cleared   | 1            | TOKEN |
|        | leaves 2 MB behind with each picture, #529)                     |           |              | or    |
|        | 1.1, which has neither history nor a way to clear it            | as it is  | 0            | text  |

Input: the new turn only; the whole conversation as tokens; the whole conversation as one user's text with its picture.
Earlier turns stand before the last one in the model's own template, or as plain lines where the runtime strips special
tokens from text (``history``). Runs block, so each has a thread; a reader who leaves aborts it and waits for nothing.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
import numpy as np

from pipelines import engine
from pipelines.llm import Capabilities, Event, Message, Prefilled, PromptTooLong, Sampling, Stuck, Token
from pipelines.llm._librkllm_fill import require
from pipelines.llm._rkllm_plan import Reuse, Step, Template, Traits, Writer, pictures, plan, system_of
from pipelines.llm._rkllm_values import ended, rows_of, sampler, tokenizer
from pipelines.llm._stops import Stops
from pipelines.llm.librkllm import (
    Answer,
    Init,
    Input,
    Library,
    Outcome,
    Run,
    Sampler,
    Seen,
    Session,
    Tags,
    Text,
    Tokens,
)
from pipelines.npu.lock import POLL_S, Claim, Npu, Rank

TICK = 0.05  # s: how often a reader who waits for the NPU gets the chance to leave
DOMAINS = {"rk3588": 1, "rk3576": 1, "rk3562": 0}  # as the vendor's multimodal demo has it: 1 beside RKNN's 0
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Options(engine.Options, frozen=True, kw_only=True):
    model: str  # the .rkllm file
    library: str = ""  # librkllmrt.so; empty: where it is usually installed
    runtime_version: str = ""  # overrides what the library says of itself
    soc: Literal["rk3588", "rk3576", "rk3562"] = "rk3588"
    context: Annotated[int, msgspec.Meta(ge=64)] = 4096  # tokens, prompt and reply together
    context_limit: Positive | None = None  # the most that the model was converted for
    max_new_tokens: Positive = 512  # the most a reply may have where the release cannot be told for each
    row_width: Annotated[int, msgspec.Meta(ge=0)] = 0  # floats of a picture's row (several outputs: all); 0: text only
    picture_tokens: Positive = 196  # taken for a picture whose rows are not at hand yet
    tags: Tags = Tags("<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
    template: Template | None = None  # None: the model's own, which the system prompt then enters as a line
    tokenizer: str = ""  # the model's tokenizer.json: exact counts, and conversations as tokens
    history: Literal["template", "lines"] = "lines"  # earlier turns; "template" where special tokens are not stripped
    reuse: Reuse = "history"
    thinking: bool | None = None
    sampler: Sampler = Sampler(top_k=1)  # for releases before 1.3.0, which cannot be told for each reply
    n_keep: int | None = None
    embed_flash: bool | None = None
    cpus: tuple[int, ...] | None = None
    base_domain_id: int | None = None
    ignore_eos: bool = False  # a reply goes on to its greatest length: for measuring, from 1.3.0
    stall_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0  # a run that gives nothing for so long hangs; at its prompt
    # it may take five times as long: 8000 tokens took 226 s on a board (rkllama #169)
    npu: str = ""  # the folder of the NPU's lock files, the same for all its users; empty: the usual one


class Engine:
    """See ``pipelines.llm.LanguageModel``."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Loads the model: seconds to a minute. Raises EngineError for what is not in order."""
        self._options = options
        self._encoder = tokenizer(options.tokenizer) if options.tokenizer else None
        self._library = Library(options.library, options.runtime_version)
        self._writer = Writer(options.template, options.tags, options.history == "lines")
        abi = self._library.abi
        self._each = abi.has("RKLLMInferParam", "sampling_params")  # sampling and length for each reply
        history = "rkllm_set_chat_template" in abi.functions
        exact = self._encoder is not None and options.template is not None
        self._traits = Traits(history, options.reuse, exact)
        if options.thinking is not None:
            require(abi, "RKLLMInput", "enable_thinking")
        self._npu = Npu("llm", Path(options.npu) if options.npu else None)
        self._session = Session(self._library, _init(options))
        self._held: list[Message] | None = None  # what the cache holds; None: nothing to rely on
        self._system: str | None = None  # in the runtime's template
        self._thread: threading.Thread | None = None
        wants: Literal["embeddings", "text"] = "embeddings" if options.row_width else "text"
        self.capabilities = Capabilities(wants=wants, width=options.row_width, context=options.context)

    def close(self) -> None:
        """Frees the NPU's memory; also done when the process leaves."""
        self._session.close()

    def count(self, conversation: Sequence[Message]) -> int:
        """Exact with a tokenizer, but for the model's own template; else rather too high: three bytes a token."""
        system, messages = system_of(conversation)
        seen = sum(rows_of(picture, self._options.picture_tokens) for picture in pictures(conversation))
        if self._encoder is None:
            said = [part for message in conversation for part in message.content if isinstance(part, str)]
            return seen + sum(len(text.encode()) // 3 + 1 for text in said) + 8 * len(conversation)
        writer = self._writer
        text = writer.rendered(system, messages) if self._options.template else writer.whole(system, messages)
        return seen + len(self._encoder.encode(text, add_special_tokens=False).ids)

    def prefill(self, conversation: Sequence[Message], owner: str = "live") -> Generator[Prefilled, None, None]:
        """Only with ``reuse = "prefix"``, from 1.2.1: a run of one token (1.3.0), or one paused at its first. Elsewhere
        nothing: with a kept history it would become part of it."""
        pausable = self._library.abi.LLMResultCallback._restype_ is not None
        if self._options.reuse != "prefix" or not pausable or conversation[-1].role != "user":
            return
        total = self._check_room(conversation)
        wanted = Run(max_new_tokens=1) if self._each else Run(pausable=True)
        sink: Callable[[str, int], Answer | None] = (lambda *_: None) if self._each else (lambda *_: Answer.PAUSE)
        with contextlib.closing(self._events(conversation, wanted, Rank.USER_SPEAKS, sink)) as events:
            for _ in events:
                yield Prefilled(0, total)
        self._held = list(conversation)  # its pictures are what the cache shows; it is no prefix that a turn grows on
        yield Prefilled(total, total)

    def reply(
        self, conversation: Sequence[Message], sampling: Sampling, owner: str = "live"
    ) -> Generator[Event, None, None]:
        """While the NPU is at the prompt, Prefilled(0, total) comes every TICK. Raises EngineError at once for what is
        wrong with the conversation, while iterating for a failed run."""
        if not conversation or conversation[-1].role not in ("user", "tool"):
            raise engine.EngineError("a reply needs a conversation that ends with a user's message")
        rank = Rank.USER_WAITS if owner == "live" else Rank.USER_SPEAKS
        return self._reply(list(conversation), sampling, self._check_room(conversation), rank)

    def _check_room(self, conversation: Sequence[Message]) -> int:
        shown = pictures(conversation)
        if len(shown) > self.capabilities.live_pictures:
            raise engine.EngineError(f"the prompt holds {len(shown)} pictures, but this engine shows one at a time")
        if any(picture.rows is None for picture in shown):
            raise engine.EngineError("a picture comes without embedding rows, which this engine wants")
        total, context = self.count(conversation), self._options.context
        if total + 1 > context:
            raise PromptTooLong(f"the prompt has {total} tokens, which leaves no room in a context of {context}")
        return total

    def _reply(
        self, conversation: list[Message], sampling: Sampling, total: int, rank: Rank
    ) -> Generator[Event, None, None]:
        limit = min(sampling.max_tokens, self._options.context - total)
        wanted = Run(keep_history=False, thinking=self._options.thinking)
        if self._each:
            wanted = msgspec.structs.replace(wanted, sampler=sampler(sampling), max_new_tokens=limit)
        stops, said, taken = Stops(sampling.stop), "", 0
        began, outcome = time.perf_counter(), None
        with contextlib.closing(self._events(conversation, wanted, rank, lambda *_: None)) as events:
            for piece in events:
                if piece is None:
                    yield Prefilled(0, total)
                elif isinstance(piece, Outcome):
                    outcome = piece
                elif piece:
                    taken += 1
                    said += (text := stops.feed(piece))
                    if text:
                        yield Token(text)
                    if stops.met or (taken >= limit and not self._each):
                        break
        if rest := stops.rest():
            said += rest
            yield Token(rest)
        end = ended(outcome, total, taken, limit, stops.met, began)
        if outcome is not None and end.reason == "stop":  # a reply that was cut lacks its end in the cache
            self._held = [*conversation, Message("assistant", (said,))]
        yield end

    def _events(
        self, conversation: Sequence[Message], wanted: Run, rank: Rank, sink: Callable[[str, int], Answer | None]
    ) -> Generator[str | Outcome | None, None, None]:
        """The pieces of a run's reply, None while there are none, at last the outcome. Left early, it is aborted."""
        since = time.monotonic()
        while self._thread is not None and self._thread.is_alive():  # an aborted run may still be at its prompt
            self._check_alive(since, at_prompt=True)
            yield None
            self._thread.join(TICK)
        claim = self._npu.claim(rank)
        try:
            while not claim.take():
                yield None
                time.sleep(POLL_S)
            yield from self._started(claim, conversation, wanted, sink)
        finally:
            if self._thread is None or not self._thread.is_alive():  # else its own end lets go of the NPU
                claim.release()

    def _started(
        self, claim: Claim, conversation: Sequence[Message], wanted: Run, sink: Callable[[str, int], Answer | None]
    ) -> Generator[str | Outcome | None, None, None]:
        step = plan(self._held, conversation, self._traits)
        self._held = None  # until this run has come to its own end
        given, wanted = self._prepare(step, conversation, wanted)
        pieces: queue.SimpleQueue[str | Outcome | BaseException] = queue.SimpleQueue()

        def take(text: str, token: int) -> Answer | None:
            pieces.put(text)
            return sink(text, token)

        def work() -> None:
            try:
                pieces.put(self._session.run(given, take, wanted))
            except BaseException as error:  # raised again where the pieces are read
                pieces.put(error)
            finally:
                claim.release()

        self._thread = threading.Thread(target=work, name="rkllm", daemon=True)
        self._thread.start()
        ended, since, at_prompt = False, time.monotonic(), True
        try:
            while not ended:
                try:
                    piece = pieces.get(timeout=TICK)
                except queue.Empty:
                    self._check_alive(since, at_prompt)
                    yield None
                    continue
                since, at_prompt = time.monotonic(), False
                ended = not isinstance(piece, str)
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            if not ended:
                self._session.abort()

    def _check_alive(self, since: float, at_prompt: bool) -> None:
        silent, patience = time.monotonic() - since, self._options.stall_s * (5 if at_prompt else 1)
        if silent > patience:
            raise Stuck(
                f"RKLLM {self._library.release} gave nothing for {silent:.0f} s and cannot be stopped: the runtime or "
                "the NPU hangs; only a restart of this process frees it, and of the board where it comes again"
            )

    def _prepare(self, step: Step, conversation: Sequence[Message], wanted: Run) -> tuple[Input, Run]:
        """Brings the runtime where the step wants it, and gives what to run."""
        system, messages = system_of(conversation)
        clear = step.clear
        if self._traits.history and self._options.template is not None and system != self._system:
            template = self._options.template
            self._session.chat_template(self._writer.system(system), template.prefix, template.postfix)
            self._system, clear = system, False  # it empties the cache
        if clear:
            self._session.clear(keep_system=False)
        wanted = msgspec.structs.replace(wanted, keep_history=step.keep_history)
        if step.form == "tokens":
            assert self._encoder is not None
            ids = self._encoder.encode(self._writer.rendered(system, messages), add_special_tokens=False).ids
            return Tokens(np.array(ids, np.int32)), wanted
        if step.form == "turn":
            shown, text = pictures(messages[-1:]), self._writer.turn(messages[-1])
        else:
            inside = "" if self._system is not None else system  # a system prompt without a template enters as a line
            shown, text = pictures(messages), self._writer.whole(inside, messages)
        if not shown:
            return Text(text), wanted
        assert shown[0].rows is not None
        rows = np.require(shown[0].rows, requirements=["C", "A"])  # from a message they may begin at any byte
        return Seen(text, rows[np.newaxis]), wanted


def bare(options: Options) -> Session:
    """The runtime itself, loaded as the engine would: for whoever asks what it does. Raises RkllmError."""
    return Session(Library(options.library, options.runtime_version), _init(options))


def _init(options: Options) -> Init:
    domain = DOMAINS[options.soc] if options.base_domain_id is None else options.base_domain_id
    return Init(
        model=options.model,
        max_context_len=options.context,
        context_limit=options.context_limit,
        max_new_tokens=min(options.max_new_tokens, options.context - 1),
        sampler=options.sampler,
        skip_special_token=True,
        ignore_eos_token=options.ignore_eos or None,
        n_keep=options.n_keep,
        tags=options.tags,
        row_width=options.row_width or None,
        base_domain_id=domain,
        embed_flash=options.embed_flash,
        cpus=options.cpus,
    )
