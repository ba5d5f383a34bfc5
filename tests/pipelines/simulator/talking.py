"""How tests talk to a simulated model, and what they read from its reports."""

import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.llm.librkllm import Input, Run, Session, Tags, Text

WIDTH = 8
QWEN = Tags("<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
Open = Callable[..., Session]


def ask(session: Session, given: Input | str, **wanted: Any) -> str:
    pieces: list[str] = []
    prompt = Text(given) if isinstance(given, str) else given
    outcome = session.run(prompt, lambda text, _token: pieces.append(text), Run(**wanted))
    assert outcome.state == "finished"
    return "".join(pieces)


def report(session: Session, given: Input | str, **wanted: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(ask(session, given, **wanted))
    return told


def pictures(count: int, tokens: int = 4, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, tokens, WIDTH), np.float32)


def sums(rows: NDArray[np.float32]) -> list[str]:
    return [f"{zlib.crc32(picture.tobytes()):08x}" for picture in rows]
