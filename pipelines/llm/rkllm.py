"""Language models on a Rockchip NPU through librkllmrt.so (the library has a licence of its own), releases 1.1 to 1.3.

One slot: the runtime holds one conversation. How a turn reaches it is decided anew each time:

| case   | when                                                            | cache     | keep_history | input |
|--------|-----------------------------------------------------------------|-----------|--------------|-------|
| grown  | the conversation only grew by this turn, the last reply was not | kept      | 1            | turn  |
|        | cut, and no second picture comes to a first (#257)              |           |              |       |
| tokens | otherwise: no live picture, tokenizer and template at hand      | cleared   | 1            | TOKEN |
| whole  | otherwise                                                       | cleared   | 1            | text  |
| prefix | `reuse = "prefix"`: the runtime itself finds the beginning that | kept; for | 0            | TOKEN |
|        | it has (1.2.0; with pictures 1.3.0, where it is the default)    | a new     |              | or    |
|        |                                                                 | picture   |              | text  |
|        |                                                                 | its       |              |       |
|        |                                                                 | opening   |              |       |
| fresh  | `reuse = "none"` (Qwen3.5 cannot, #519; with keep_history=0 it  | cleared   | 1            | TOKEN |
|        | leaves 2 MB behind with each picture, #529)                     |           |              | or    |
|        | 1.1, which has neither history nor a way to clear it            | as it is  | 0            | text  |

Input: the new turn only; the whole conversation as tokens; the whole conversation as one user's text with its picture.
What every conversation begins with, the system prompt and the examples, is handed to the runtime as its template's
(where that is known). Earlier turns stand before the last one in the model's own template, or as plain lines where the
runtime strips special tokens from text (``history``). Runs block, so each has a thread; a reader who leaves aborts it
and waits for nothing.
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
from pipelines.llm import Capabilities, Event, Message, Prefilled, PromptTooLong, Sampling, Stuck, Thought, Token
from pipelines.llm._librkllm_fill import require
from pipelines.llm._rkllm_board import BOARDS, Growth, LogLevel, Soc, cpus, speak
from pipelines.llm._rkllm_family import Model, settle
from pipelines.llm._rkllm_plan import Reuse, Step, Template, Traits, Writer, opening_of, pictures, plan, system_of
from pipelines.llm._rkllm_values import Clock, ended, rows_of, sampler, tokenizer
from pipelines.llm._sampling import StopText
from pipelines.llm._thinking import Thinking, opens
from pipelines.llm.librkllm import (
    Abi,
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
from pipelines.npu.files import allow_many
from pipelines.npu.lock import POLL_S, Claim, Figures, Npu, Rank

TICK = 0.05  # s: how often a reader who waits for the NPU gets the chance to leave
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Options(engine.Options, frozen=True, kw_only=True):
    model: str  # the .rkllm file
    library: str = ""  # librkllmrt.so; empty: where it is usually installed
    runtime_version: str = ""  # overrides what the library says of itself
    soc: Soc = "rk3588"
    family: str = ""  # of models/manifest.toml: it says what is left None below; empty: most models have it so
    context: Annotated[int, msgspec.Meta(ge=64)] | None = None  # tokens, prompt and reply together; 4096, or the limit
    context_limit: Positive | None = None  # the most that the model was converted for
    max_new_tokens: Positive = 512  # the most a reply may have where the release cannot be told for each
    row_width: Annotated[int, msgspec.Meta(ge=0)] | None = None  # floats of a picture's row, all outputs; 0: text only
    picture_tokens: Positive | None = None  # taken for a picture whose rows are not at hand yet; 196
    tags: Tags | None = None  # those of Qwen
    template: Template | Literal["built in"] | None = None  # the model's own: a system prompt enters it as a line
    tokenizer: str = ""  # the model's tokenizer.json: exact counts, and conversations as tokens
    history: Literal["template", "lines"] | None = None  # earlier turns; "template": special tokens are not stripped
    reuse: Reuse | None = None  # None: the family's; "prefix" from 1.3.0 where that allows it
    thinking: bool | None = None  # whether a model that can think before it answers does; None: not, if its family can
    thinking_opened: bool = False  # the model's own template opens the thought itself, at the prompt's end
    sampler: Sampler = Sampler(top_k=1)  # for releases before 1.3.0, which cannot be told for each reply
    n_keep: int | None = None  # tokens at the head that survive a full context; None: the library's choice (-1)
    embed_flash: bool | None = None  # word embeddings from flash instead of memory; None: the library's choice (true)
    cpus: tuple[int, ...] | None = None  # cores to run on; None: the SoC's fast ones
    base_domain_id: int | None = None  # which 4 GB of the NPU's addresses; None: not those of RKNN's encoder
    ignore_eos: bool = False  # a reply goes on to its greatest length: for measuring, from 1.3.0
    stall_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0  # a run that gives nothing for so long hangs; at its prompt
    # it may take five times as long: 8000 tokens took 226 s on a board (rkllama #169)
    log_level: LogLevel | None = None  # of the library: 1 figures, 2 prompts as well; None: RKLLM_LOG_LEVEL's
    growth_mb: Annotated[float, msgspec.Meta(ge=0)] = 256.0  # a runtime that grows by more is reported in the log
    npu: str = ""  # the folder of the NPU's lock files, the same for all its users; empty: the usual one


class Engine:
    """See ``pipelines.llm.LanguageModel``."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Loads the model: seconds to a minute. Raises EngineError for what is not in order."""
        self._model = settle(options)
        self._encoder = tokenizer(options.tokenizer) if options.tokenizer else None
        speak(options.log_level)
        allow_many()
        self._library = Library(options.library, options.runtime_version)
        abi = self._library.abi
        self._opened = options.thinking_opened or (
            self._model.template is not None and opens(self._model.template.postfix)
        )
        self._each = abi.has("RKLLMInferParam", "sampling_params")  # sampling and length for each reply
        history = "rkllm_set_chat_template" in abi.functions
        exact = self._encoder is not None and self._model.template is not None
        self._model = self._model._replace(reuse=_reuse(options, self._model, self._each))
        lines, prefix = self._model.history == "lines", self._model.reuse == "prefix"
        self._writer = Writer(self._model.template, self._model.tags, lines, prefix)
        self._traits = Traits(history, self._model.reuse, exact)
        if options.thinking is not None:
            require(abi, "RKLLMInput", "enable_thinking")
        quiet = self._model.quiet and abi.has("RKLLMInput", "enable_thinking")
        self._thinking = False if quiet else options.thinking
        self._npu = Npu("llm", Path(options.npu) if options.npu else None)
        self._session = Session(self._library, _init(options, self._model, abi))
        self._growth, self._stall_s = Growth(options.growth_mb), options.stall_s
        self._held: list[Message] | None = None  # what the cache holds; None: nothing to rely on
        self._opening: str | None = None  # in the runtime's template
        self._empty = True  # so was the cache when the latest run began
        self._thread: threading.Thread | None = None
        self._claim: Claim | None = None  # the latest run's on the NPU
        wants: Literal["embeddings", "text"] = "embeddings" if self._model.row_width else "text"
        self._ahead = self._model.reuse == "prefix" and abi.LLMResultCallback._restype_ is not None
        # 1.2.3 still computes everything behind a picture anew (#492), mended in 1.3.0.
        ahead: Literal["pictures", "text", "nothing"] = "pictures" if self._each else "text"
        self.capabilities = Capabilities(
            wants=wants,
            width=self._model.row_width,
            context=self._model.context,
            ahead=ahead if self._ahead else "nothing",
        )

    def close(self) -> None:
        """Frees the NPU's memory; also done when the process leaves."""
        self._session.close()

    def count(self, conversation: Sequence[Message]) -> int:
        """Exact with a tokenizer, but for the model's own template; else rather too high: three bytes a token."""
        seen = sum(rows_of(picture, self._model.picture_tokens) for picture in pictures(conversation))
        if self._encoder is None:
            said = [part for message in conversation for part in message.content if isinstance(part, str)]
            return seen + sum(len(text.encode()) // 3 + 1 for text in said) + 8 * len(conversation)
        writer = self._writer
        templated = self._model.template is not None
        text = writer.rendered(*opening_of(conversation)) if templated else writer.whole(*system_of(conversation))
        return seen + len(self._encoder.encode(text, add_special_tokens=False).ids)

    def prefill(self, conversation: Sequence[Message], owner: str = "live") -> Generator[Prefilled, None, None]:
        """Only with ``reuse = "prefix"``, from 1.2.1: a run of one token (1.3.0), or one paused at its first. Elsewhere
        nothing: with a kept history it would become part of it."""
        if not self._ahead or conversation[-1].role != "user":
            return
        total = self._check_room(conversation)
        wanted = Run(max_new_tokens=1) if self._each else Run(pausable=True)
        sink: Callable[[str, int], Answer | None] = (lambda *_: None) if self._each else (lambda *_: Answer.PAUSE)
        with contextlib.closing(self._events(conversation, wanted, Rank.USER_SPEAKS, sink)) as events:
            for _ in events:
                yield Prefilled(0, total, self._cost())
        self._held = list(conversation)  # its pictures are what the cache shows; it is no prefix that a turn grows on
        yield Prefilled(total, total, self._cost())

    def _cost(self) -> Figures:
        assert self._claim is not None
        return self._claim.so_far()

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
        total, context = self.count(conversation), self._model.context
        if total + 1 > context:
            raise PromptTooLong(f"the prompt has {total} tokens, which leaves no room in a context of {context}")
        return total

    def _reply(
        self, conversation: list[Message], sampling: Sampling, total: int, rank: Rank
    ) -> Generator[Event, None, None]:
        limit = min(sampling.max_tokens, self._model.context - total)
        wanted = Run(keep_history=False, thinking=self._thinking)
        if self._each:
            wanted = msgspec.structs.replace(wanted, sampler=sampler(sampling), max_new_tokens=limit)
        stops, thinking, said, taken = StopText(sampling.stop), Thinking(self._opened), "", 0
        clock, outcome = Clock(), None
        with contextlib.closing(self._events(conversation, wanted, rank, lambda *_: None)) as events:
            for piece in events:
                if piece is None:
                    yield Prefilled(0, total, self._cost())
                elif isinstance(piece, Outcome):
                    outcome = piece
                elif piece:
                    taken += 1
                    clock.piece()
                    said += (text := stops.add(thinking.feed(piece)))
                    if text:
                        yield Token(text)
                    elif thinking.thought:
                        yield Thought()
                    if stops.stopped or (taken >= limit and not self._each):
                        break
        if rest := stops.add(thinking.rest()) + stops.rest():
            said += rest
            yield Token(rest)
        cost = self._cost()
        figures = outcome.figures if outcome is not None else clock.figures(cost.wait_ms, taken)
        end = ended(figures, total, self._empty, taken, limit, stops.stopped, cost)
        self._growth.note(end.memory_mb)
        if outcome is not None and end.reason == "stop":  # a reply that was cut lacks its end in the cache
            self._held = [*conversation, Message("assistant", (said,))]
        yield end

    def _events(
        self, conversation: Sequence[Message], wanted: Run, rank: Rank, sink: Callable[[str, int], Answer | None]
    ) -> Generator[str | Outcome | None, None, None]:
        """The pieces of a run's reply, None while there are none, at last the outcome. Left early, it is aborted."""
        self._claim = claim = self._npu.claim(rank)
        since = time.monotonic()
        try:
            while not claim.take():  # an aborted run of this engine, too, may still be at its prompt
                if self._thread is not None and self._thread.is_alive():
                    self._check_alive(since, at_prompt=True)
                yield None
                time.sleep(POLL_S)
            if self._thread is not None:
                self._thread.join()  # it has let go of the NPU: nothing is left of its run
            pieces = self._start(claim, conversation, wanted, sink)
        except BaseException:  # also where the reader has left
            claim.release()
            raise
        yield from self._read(pieces)

    def _start(
        self, claim: Claim, conversation: Sequence[Message], wanted: Run, sink: Callable[[str, int], Answer | None]
    ) -> "queue.SimpleQueue[str | Outcome | BaseException]":
        """Begins the run. Its thread lets go of the NPU before it tells the outcome: the figures are whole then."""
        step = plan(self._held, conversation, self._traits)
        self._held = None  # until this run has come to its own end
        given, wanted = self._prepare(step, conversation, wanted)
        pieces: queue.SimpleQueue[str | Outcome | BaseException] = queue.SimpleQueue()

        def take(text: str, token: int) -> Answer | None:
            pieces.put(text)
            return sink(text, token)

        def work() -> None:
            outcome: Outcome | BaseException
            try:
                try:
                    outcome = self._session.run(given, take, wanted)
                finally:
                    claim.release()
            except BaseException as error:  # raised again where the pieces are read
                outcome = error
            pieces.put(outcome)

        self._thread = threading.Thread(target=work, name="rkllm", daemon=True)
        self._thread.start()
        return pieces

    def _read(
        self, pieces: "queue.SimpleQueue[str | Outcome | BaseException]"
    ) -> Generator[str | Outcome | None, None, None]:
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
        silent, patience = time.monotonic() - since, self._stall_s * (5 if at_prompt else 1)
        if silent > patience:
            raise Stuck(
                f"RKLLM {self._library.release} gave nothing for {silent:.0f} s and cannot be stopped: the runtime or "
                "the NPU hangs; only a restart of this process frees it, and of the board where it comes again"
            )

    def _prepare(self, step: Step, conversation: Sequence[Message], wanted: Run) -> tuple[Input, Run]:
        """Brings the runtime where the step wants it, and gives what to run."""
        clear, template, inside = step.clear, self._model.template, system_of(conversation)
        self._empty = clear or not self._traits.history
        if self._traits.history and template is not None:
            opening, messages = opening_of(conversation)
            inside = "", messages
            if (text := self._writer.opening(opening)) != self._opening:
                self._session.chat_template(text, template.prefix, template.postfix)
                self._opening, clear, self._empty = text, False, True  # it empties the cache
        if clear:
            self._session.clear(keep_system=step.keep_system)
            self._empty = not step.keep_system
        wanted = msgspec.structs.replace(wanted, keep_history=step.keep_history)
        if step.form == "tokens":
            assert self._encoder is not None
            ids = self._encoder.encode(self._writer.rendered(*opening_of(conversation)), add_special_tokens=False).ids
            return Tokens(np.array(ids, np.int32)), wanted
        if step.form == "turn":
            shown, text = pictures(conversation[-1:]), self._writer.turn(conversation[-1])
        else:  # an opening without a template enters as lines
            shown, text = pictures(conversation), self._writer.whole(*inside)
        if not shown:
            return Text(text), wanted
        assert shown[0].rows is not None
        rows = np.require(shown[0].rows, requirements=["C", "A"])  # from a message they may begin at any byte
        return Seen(text, rows[np.newaxis]), wanted


def bare(options: Options) -> Session:
    """The runtime itself, loaded as the engine would: for whoever asks what it does. Raises RkllmError."""
    library = Library(options.library, options.runtime_version)
    return Session(library, _init(options, settle(options), library.abi))


def _reuse(options: Options, model: Model, each: bool) -> Reuse:
    """From 1.3.0 the runtime finds also what stands behind a picture (#492): then a prompt can be computed ahead."""
    return "prefix" if options.reuse is None and each and model.reuse == "history" else model.reuse


def _init(options: Options, model: Model, abi: Abi) -> Init:
    domain = BOARDS[options.soc].base_domain_id if options.base_domain_id is None else options.base_domain_id
    return Init(
        model=options.model,
        max_context_len=model.context,
        context_limit=model.context_limit,
        max_new_tokens=min(options.max_new_tokens, model.context - 1),
        sampler=options.sampler,
        skip_special_token=True,
        ignore_eos_token=options.ignore_eos or None,
        n_keep=options.n_keep,
        tags=model.tags,
        row_width=model.row_width or None,
        base_domain_id=domain,
        embed_flash=options.embed_flash,
        cpus=cpus(options.soc, options.cpus, abi),
    )
