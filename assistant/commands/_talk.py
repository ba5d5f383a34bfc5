"""What ``ask`` and ``chat`` share: which daemon they talk to, and the figures of an answer."""

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from assistant import client, paths
from assistant.client import Client, Unavailable
from assistant.commands import FAILED, OK, USAGE, Failure, _settings, _simulated
from assistant.core.turnfacts import WAITED_MS
from assistant.messages import NpuCost, PictureBound, ReplyEnded, TurnStarted
from assistant.wire import Received

QUIET = "log.level=warning"  # a private daemon's log would stand between the lines of the conversation
SEEING = ("dialogue", "camera", "vision")
BAD_ENDS = ("lost", "error")


def arguments(parser: argparse.ArgumentParser) -> None:
    _settings.arguments(parser, "camera-qa")
    _simulated.arguments(parser)
    parser.add_argument(
        "--runtime", type=Path, default=None, help=f"where a daemon may run ({_settings.shown(paths.runtime())})"
    )


@contextlib.contextmanager
def connected(asked: argparse.Namespace, conversation: str, services: Sequence[str] = SEEING) -> Iterator[Client]:
    """A client of the daemon that runs, or of a private one: a simulated board is never one that runs. ``services`` are
    waited for. Raises Failure when there is none to be had."""
    simulated = _simulated.passed_on(asked)
    if simulated and asked.runtime:
        raise Failure("--simulate starts a daemon of its own; leave out --runtime", USAGE)
    _simulated.tell(asked)
    sets = [QUIET, *asked.set]
    try:
        with (
            client.private(asked.profile, sets, asked.board, more=simulated)
            if simulated
            else client.found(asked.runtime or paths.runtime(), asked.profile, asked.board, sets)
        ) as runtime:
            one = Client(runtime, conversation)
            try:
                one.await_ready(services)
                yield one
            finally:
                one.close()
    except Unavailable as error:
        raise Failure(str(error), error.code) from error


def picture(path: Path) -> bytes:
    """The bytes of a picture file. Raises Failure."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror}); check the path", USAGE) from error


class Answer(msgspec.Struct, kw_only=True):
    """An answer with its figures. Times in milliseconds; ``picture_age_ms`` None: answered without a picture."""

    question: str
    answer: str = ""
    finish_reason: str = ""
    detail: str = ""
    camera: str | None = None
    frame_seq: int | None = None
    picture_age_ms: float | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    tokens_per_s: float | None = None  # as the engine measured it
    prefill_ms: float = 0.0
    first_token_ms: float = 0.0
    decode_ms: float = 0.0
    memory_mb: float | None = None  # of the model's runtime, at its peak
    npu: dict[str, NpuCost] = {}  # what its possession cost "encode" and "reply"; empty without an NPU
    total_ms: float = 0.0

    @property
    def code(self) -> int:
        return FAILED if self.finish_reason in BAD_ENDS else OK

    def figures(self) -> str:
        """One line for people; of the language model and the NPU only what is known."""
        seen = "no picture" if self.picture_age_ms is None else f"picture {self.picture_age_ms:.0f} ms old"
        computed = self.prompt_tokens - self.cached_tokens
        tokens = f"{computed} tokens computed, {self.cached_tokens} from cache, {self.completion_tokens} generated"
        told = [seen, tokens, f"{self.total_ms:.0f} ms"]
        if self.tokens_per_s is not None:
            first = f"prompt {self.prefill_ms:.0f} ms, first token after {self.first_token_ms:.0f} ms"
            told.append(f"{first}, then {self.tokens_per_s:.1f} tokens/s")
        if self.memory_mb is not None:
            told.append(f"{self.memory_mb:.0f} MB")
        if self.npu:
            told.append(f"NPU: {', '.join(_cost(job, cost) for job, cost in self.npu.items())}")
        if self.finish_reason != "stop":
            told.append(self.finish_reason)
        return " · ".join(told)


def _cost(job: str, cost: NpuCost) -> str:
    behind = f" behind {cost.behind}" if cost.behind else ""
    waited = f" after {cost.wait_ms:.0f} ms{behind}" if cost.wait_ms >= WAITED_MS else ""
    return f"{job} {cost.hold_ms:.0f} ms{waited}"


def answer(question: str, messages: Sequence[Received]) -> Answer:
    """Fold the messages of a turn into its answer."""
    found = Answer(question=question)
    asked_at = 0
    for received in messages:
        match received.message:
            case TurnStarted(last_sample_at=at):
                asked_at = at
            case PictureBound() as bound:
                found.camera, found.frame_seq = bound.camera, bound.frame_seq
                if bound.npu is not None:
                    found.npu["encode"] = bound.npu
                found.picture_age_ms = max(0.0, (asked_at - bound.verified_at) / 1e6) if asked_at else None
            case ReplyEnded(usage=usage) as ended:
                found.answer, found.finish_reason, found.detail = ended.text, ended.reason, ended.detail
                found.prompt_tokens, found.cached_tokens = usage.prompt_tokens, usage.cached_tokens
                found.completion_tokens = usage.completion_tokens
                found.prefill_ms, found.decode_ms = usage.prefill_ms, usage.decode_ms
                found.first_token_ms = usage.first_token_ms
                found.tokens_per_s = usage.completion_tokens * 1000 / usage.decode_ms if usage.decode_ms else None
                found.memory_mb = usage.memory_mb or None
                if usage.npu is not None:
                    found.npu["reply"] = usage.npu
                found.total_ms = (received.stamp.sent_at - asked_at) / 1e6 if asked_at else 0.0
    return found
