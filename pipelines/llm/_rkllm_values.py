"""Between the values of ``pipelines.llm`` and those of the RKLLM binding."""

import time
from pathlib import Path
from typing import Any

from pipelines.llm import Ended, Picture, Sampling
from pipelines.llm.librkllm import Outcome, RkllmError, Sampler
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


def ended(
    outcome: Outcome | None, total: int, taken: int, limit: int, stopped: bool, began: float, cost: NpuCost
) -> Ended:
    """The runtime's figures where the run came to its own end; ``began`` counts where it was left."""
    figures = outcome.figures if outcome is not None else None
    count = figures.decode_tokens if figures and not figures.measured else taken
    computed = figures.prefill_tokens if figures and figures.prefill_tokens >= 0 else total
    return Ended(
        reason="length" if count >= limit and not stopped else "stop",
        prompt_tokens=max(total, computed),
        cached_tokens=max(0, total - computed),
        completion_tokens=count,
        prefill_ms=figures.prefill_ms if figures else 0.0,
        decode_ms=figures.decode_ms if figures else (time.perf_counter() - began) * 1000,
        memory_mb=figures.memory_mb if figures else 0.0,
        npu=cost,
    )
