"""Between the values of ``pipelines.llm`` and those of the RKLLM binding."""

import time
from pathlib import Path
from typing import Any

from pipelines.llm import Ended, Picture, Sampling
from pipelines.llm.librkllm import Figures, RkllmError, Sampler
from pipelines.npu.lock import Figures as NpuCost


def tokenizer(path: str) -> Any:
    import tokenizers

    if not Path(path).is_file():
        raise RkllmError(
            f"there is no tokenizer {path}; set `tokenizer` to the model's tokenizer.json, or leave it out"
        )
    try:
        return tokenizers.Tokenizer.from_file(path)
    except Exception as error:  # tokenizers raises plain Exception
        raise RkllmError(f"the tokenizer {path} is damaged ({error}); download it again") from error


def rows_of(picture: Picture, otherwise: int) -> int:
    return otherwise if picture.rows is None else len(picture.rows)


def sampler(sampling: Sampling) -> Sampler:
    """The vendor's way to be greedy is top_k 1."""
    if sampling.temperature <= 0:
        return Sampler(top_k=1, repeat_penalty=sampling.repetition_penalty)
    return Sampler(
        top_k=sampling.top_k or None,
        top_p=sampling.top_p,
        temperature=sampling.temperature,
        repeat_penalty=sampling.repetition_penalty,
    )


class Clock:
    """Measures a run that is left before its own end, for which the runtime gives no figures."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._first = 0.0

    def piece(self) -> None:
        """Something of the reply has come."""
        self._first = self._first or time.perf_counter()

    def figures(self, wait_ms: float, pieces: int) -> Figures:
        now = time.perf_counter()
        first = self._first or now
        prefill_ms = max(0.0, (first - self._began) * 1000 - wait_ms)
        return Figures(
            prefill_ms=prefill_ms,
            prefill_tokens=-1,
            decode_ms=(now - first) * 1000,
            decode_tokens=pieces,
            measured=True,
        )


def ended(figures: Figures, total: int, empty: bool, taken: int, limit: int, stopped: bool, cost: NpuCost) -> Ended:
    """``total``: of the prompt, perhaps estimated; ``empty``: the cache was, so that what was computed is all of it.
    ``taken``: the pieces that came; ``stopped``: by a stop string."""
    count = taken if figures.measured else figures.decode_tokens
    computed = figures.prefill_tokens if figures.prefill_tokens >= 0 else total
    prompt = computed if empty else max(total, computed)
    return Ended(
        reason="length" if count >= limit and not stopped else "stop",
        prompt_tokens=prompt,
        cached_tokens=prompt - computed,
        completion_tokens=count,
        prefill_ms=figures.prefill_ms,
        decode_ms=figures.decode_ms,
        memory_mb=figures.memory_mb,
        npu=cost,
    )
