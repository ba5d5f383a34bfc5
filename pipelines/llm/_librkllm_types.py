"""What goes into the RKLLM binding and comes out of it: plain values, checked later against the runtime's release."""

from enum import Enum
from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines.engine import EngineError


class RkllmError(EngineError):
    """The RKLLM runtime cannot be used as asked, or failed; the text names the thing and the mend."""


class Unsupported(RkllmError):
    """This release of the runtime cannot do it; the text names the release and the first one that can."""


class NullHandle(RkllmError):
    """init returned success and no handle: the board's memory is full."""


class Busy(RkllmError):
    """A run is under way on this handle, and the runtime allows nothing but abort meanwhile."""


class Sampler(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are chosen. None: the library's default (top_k 40, top_p 0.9, temperature 0.8 … in 1.2.1)."""

    top_k: int | None = None  # 1: greedy
    top_p: float | None = None
    temperature: float | None = None
    repeat_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None


class Tags(msgspec.Struct, frozen=True):
    """What stands around and for a picture in the prompt; a model's own, see models/manifest.toml."""

    start: str = ""
    end: str = ""
    content: str = ""


class Init(msgspec.Struct, frozen=True, kw_only=True):
    """What rkllm_init is given. None: the library's default. Set values that a release lacks are refused."""

    model: str  # the .rkllm file
    max_context_len: int  # tokens, prompt and reply together
    context_limit: int | None = None  # the most that the model was converted for
    max_new_tokens: int | None = None
    sampler: Sampler = Sampler()
    skip_special_token: bool | None = None
    ignore_eos_token: bool | None = None
    n_keep: int | None = None  # tokens at the head that survive a shift of the window; -1: the runtime's choice
    tags: Tags | None = None  # needed for pictures
    row_width: int | None = None  # floats a picture's or a token's row has: needed for embeddings and pictures
    base_domain_id: int | None = None  # 4 GB of the NPU's addresses each; 1 keeps the LLM apart from RKNN's 0
    embed_flash: bool | None = None  # read word embeddings from the file instead of memory
    cpus: tuple[int, ...] | None = None  # cores to run on: count and mask are made of them
    n_batch: int | None = None


class Text(msgspec.Struct, frozen=True):
    text: str


class Tokens(msgspec.Struct, frozen=True, eq=False):
    ids: NDArray[np.int32]  # [tokens]


class Rows(msgspec.Struct, frozen=True, eq=False):
    rows: NDArray[np.float32]  # [tokens, width]: embeddings instead of tokens


class Seen(msgspec.Struct, frozen=True, eq=False):
    """A prompt with pictures: ``text`` holds ``<image>`` once for each of ``rows``."""

    text: str
    rows: NDArray[np.float32]  # [pictures, tokens a picture, width]
    size: tuple[int, int] = (0, 0)  # what the encoder took: pixels (width, height)


Input = Text | Tokens | Rows | Seen
IMAGE = "<image>"  # the mark that the runtime replaces by a picture, whatever the model's own tags


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How one run differs from what init was given."""

    keep_history: bool = False
    role: Literal["user", "tool"] = "user"
    thinking: bool | None = None  # None: off, as the structure's zero says
    sampler: Sampler | None = None
    max_new_tokens: int | None = None
    lora: str = ""  # a loaded adapter's name
    save_cache: str = ""  # the file that the prompt's KV cache is written to
    prompt_tokens: int | None = None  # as counted by the caller: checked against the context
    pausable: bool = False  # whether the sink may return Answer.PAUSE


class Answer(Enum):
    CONTINUE = 0
    PAUSE = 1  # stop here, keep the KV cache; the next run goes on from it


class Sink(Protocol):
    def __call__(self, text: str, token: int, /) -> Answer | None:
        """Takes a piece of the reply: complete characters, or none yet, and the token's number. Called on the thread
        of the runtime's choice. What it raises stops the run and is raised from it."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a run cost: the runtime's own figures, or, where the release gives none, what the binding measured."""

    prefill_ms: float
    prefill_tokens: int  # -1: not known
    decode_ms: float
    decode_tokens: int
    memory_mb: float = 0.0  # peak of the process; 0: not known
    measured: bool = False  # by the binding


class Outcome(msgspec.Struct, frozen=True):
    """How a run ended that did not fail."""

    state: Literal["finished", "aborted", "paused"]
    figures: Figures


class Utf8Joiner:
    """Joins characters that the runtime delivers in pieces, whichever way it does so.

    After a WAITING piece some runtimes send only the bytes that were missing, others the whole character again. A
    character never begins with a continuation byte, so the next piece's first byte tells which it was.
    """

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, piece: bytes) -> str:
        """The characters that are complete now. What can never become one is replaced by U+FFFD."""
        if self._pending and piece and piece.startswith(self._pending) and piece[0] & 0xC0 != 0x80:
            self._pending = b""
        data = self._pending + piece
        whole = len(data) - _unfinished(data)
        self._pending = data[whole:]
        return data[:whole].decode("utf-8", "replace")

    def rest(self) -> str:
        """What is left at the end: U+FFFD for a character that was never completed."""
        pending, self._pending = self._pending, b""
        return pending.decode("utf-8", "replace")


def _unfinished(data: bytes) -> int:
    """How many bytes at the end are the beginning of a character that more bytes could complete."""
    for back in range(1, min(3, len(data)) + 1):
        if data[-back] & 0xC0 == 0x80:
            continue
        try:
            data[-back:].decode()
        except UnicodeDecodeError as error:
            return back if error.reason == "unexpected end of data" else 0
        return 0
    return 0
