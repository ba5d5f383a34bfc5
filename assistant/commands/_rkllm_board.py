"""A simulated board for ``assistant bench rkllm``: its files, its environment, processes that run an engine on it."""

import multiprocessing
import os
import random
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from pipelines import engine, simulator
from pipelines.llm import Message, Picture, Sampling
from pipelines.simulator import build, timings

Role = Literal["vision", "llm"]
Strategy = Literal["history", "prefix", "none"]
STRATEGIES: tuple[Strategy, ...] = ("history", "prefix", "none")
# A release of each family of layouts: what holds for one of a family holds for the others.
RELEASES = ("1.1.4", "1.2.0", "1.2.1b1", "1.2.3", "1.3.0")
TOKENS, WIDTH, OUTPUTS, PIXELS = 196, 16, 4, 448  # as Qwen3-VL-2B, but for the width, which nothing here depends on
LONGEST = 4000  # tokens of a reply
PATIENCE_S = 60.0
PAUSE_S = 0.02  # at most, between two jobs of a process: without one, who lets go of the NPU has it again at once


def llm_options(folder: Path, release: str, reuse: Strategy = "history") -> dict[str, Any]:
    """Options of the rkllm engine for a simulated model in ``folder``, which is made. Raises EngineError."""
    model = simulator.write_model(folder / "m.rkllm", width=WIDTH * OUTPUTS)
    return {
        "model": str(model),
        "library": str(build.library(release)),
        "row_width": WIDTH * OUTPUTS,
        "template": {},
        "history": "template",  # the simulated model leaves special tokens in a prompt's text
        "max_new_tokens": LONGEST,
        "reuse": reuse,
        "npu": str(folder / "npu"),
    }


def vision_options(folder: Path) -> dict[str, Any]:
    model = simulator.write_encoder(folder / "m.rknn", size=PIXELS, tokens=TOKENS, width=WIDTH, outputs=OUTPUTS)
    return {"model": str(model), "size": PIXELS, "npu": str(folder / "npu")}


def settle(environment: Mapping[str, str]) -> None:
    """Makes this process one on a simulated board with these settings and no others; the stand-in comes before a real
    rknn-toolkit-lite2."""
    for name in [name for name in os.environ if name.startswith("RKLLM_")]:
        del os.environ[name]
    os.environ.update(environment)
    if str(simulator.STAND_IN) not in sys.path:
        sys.path.insert(0, str(simulator.STAND_IN))


def pace(board: str, model: str, speed_up: float) -> dict[str, str]:
    return timings.environment(board, model, 1 / speed_up)


def picture(seed: int) -> Picture:
    rows = np.random.default_rng(seed).random((TOKENS, WIDTH * OUTPUTS), np.float32)
    return Picture(f"picture-{seed}", rows)


class Worker:
    """A process with one engine: told to load it, then to work; what it gives comes later, so that two can run."""

    def __init__(self, role: Role, options: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, role, dict(options), dict(environment)))
        self._process.daemon = True
        self._process.start()
        theirs.close()

    def __enter__(self) -> "Worker":
        self.given()  # its libraries are imported
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def tell(self, order: str, count: int = 0) -> None:
        self._pipe.send((order, count))

    def given(self) -> Any:
        """What came of the order. Raises EngineError with what the process says, or that it died."""
        try:
            if not self._pipe.poll(PATIENCE_S):
                raise engine.EngineError(f"a process of the benchmark gave no answer in {PATIENCE_S:g} s")
            good, result = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise engine.EngineError(f"a process of the benchmark died ({self._process.exitcode})") from None
        if not good:
            raise engine.EngineError(str(result))
        return result


def _serve(pipe: Connection, role: Role, options: dict[str, Any], environment: dict[str, str]) -> None:
    settle(environment)
    engine.options(role, "rknn" if role == "vision" else "rkllm", options)  # imports all but the library
    loaded: Any = None
    pipe.send((True, None))
    while True:
        try:
            order, count = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            break
        try:
            if order == "load":
                loaded, seconds = _load(role, options)
                pipe.send((True, seconds))
            else:
                pipe.send((True, (_encode if role == "vision" else _reply)(loaded, count)))
        except engine.EngineError as error:
            pipe.send((False, str(error)))
    if loaded is not None:
        loaded.close()


def _load(role: Role, options: dict[str, Any]) -> tuple[Any, float]:
    began = time.monotonic()
    loaded = engine.load(role, "rknn" if role == "vision" else "rkllm", options)
    return loaded, time.monotonic() - began


def _encode(encoder: Any, count: int) -> list[float]:
    waits = []
    for number in range(count):
        time.sleep(random.random() * PAUSE_S)
        waits.append(encoder.encode(np.full((PIXELS, PIXELS, 3), number % 256, np.uint8)).npu.wait_ms)
    return waits


def _reply(model: Any, count: int) -> list[float]:
    waits = []
    for number in range(count):
        time.sleep(random.random() * PAUSE_S)
        asked = [Message("user", (picture(number), "What do you see?"))]
        *_, ended = model.reply(asked, Sampling(max_tokens=LONGEST))
        waits.append(ended.npu.wait_ms)
    return waits
