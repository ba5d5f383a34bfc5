"""The parts of ``assistant bench rkllm``: each makes a simulated board in a folder and gives its figures."""

import contextlib
import re
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from assistant.commands import _rkllm_board as board
from assistant.commands._rkllm_board import Strategy, Worker
from pipelines import engine
from pipelines.llm import LanguageModel, Message, Picture, Sampling, Token
from pipelines.llm.librkllm import Init, Library, Session, Text

QUESTIONS = (
    "What do you see?",
    "What colour is the mug?",
    "And what stands beside it?",
    "Is the lamp on?",
    "How many books are there?",
)
TURNS = 10
SAID = "There is a red mug beside two books. [{prefilled}]"
APART_MS = 2  # between two tokens whose way to the reader is timed: the fastest board takes 12 ms
RUNS = 5


def binding(folder: Path, release: str, tokens: int) -> dict[str, Any]:
    """Microseconds that a token of a reply costs above the library's own time, and how long each is on its way."""
    board.settle({"RKLLM_SIM_REPLY": "word " * tokens})
    options = board.llm_options(folder, release)
    model: Any = engine.load("llm", "rkllm", options)
    ours = [_each(model, tokens) for _ in range(RUNS)]
    library = [_library_alone(options, tokens) for _ in range(RUNS)]
    board.settle(
        {"RKLLM_SIM_REPLY": "word " * (tokens // 5), "RKLLM_SIM_STAMP": "1", "RKLLM_SIM_DECODE_MS": str(APART_MS)}
    )
    ways = np.array(_ways(model))
    model.close()
    return {
        "per_token_us": round(max(0.0, statistics.median(ours) - min(library)), 1),
        "library_us": round(min(library), 1),
        "delivery_us": quantiles(ways, 1),
    }


def _asked(model: LanguageModel) -> Any:
    return model.reply([Message("user", ("Talk.",))], Sampling(max_tokens=board.LONGEST))


def _each(model: LanguageModel, tokens: int) -> float:
    """From the question to the end at the reader, µs a token; the few tokens of the prompt are counted with it."""
    began = time.perf_counter()
    count = sum(isinstance(event, Token) for event in _asked(model))
    if count < tokens:
        raise engine.EngineError(f"the simulated board said {count} of {tokens} tokens")
    return (time.perf_counter() - began) / tokens * 1e6


def _library_alone(options: dict[str, Any], tokens: int) -> float:
    """The same run of a library that makes the tokens and calls nobody, µs a token."""
    board.settle({"RKLLM_SIM_REPLY": "word " * tokens, "RKLLM_SIM_MUTE": "1"})
    init = Init(model=options["model"], max_context_len=4096, max_new_tokens=board.LONGEST)
    with Session(Library(options["library"]), init) as session:
        began = time.perf_counter()
        session.run(Text("Talk."), lambda *_: None)
        return (time.perf_counter() - began) / tokens * 1e6


def _ways(model: LanguageModel) -> list[float]:
    """From the library's call to the event in its reader's hands, µs, of tokens that come one at a time."""
    ways = []
    for event in _asked(model):
        now = time.monotonic_ns()
        if isinstance(event, Token) and event.text.strip():
            ways.append((now - int(event.text)) / 1000)
    return ways


# --- tokens of the prompt ---


def prompt_tokens(folder: Path, releases: tuple[str, ...]) -> dict[str, dict[Strategy, int]]:
    """Tokens that the runtime computed of the prompts of a talk about one picture: release -> strategy -> sum."""
    board.settle({"RKLLM_SIM_REPLY": SAID})
    return {release: {reuse: _computed(folder, release, reuse) for reuse in board.STRATEGIES} for release in releases}


def _computed(folder: Path, release: str, reuse: Strategy) -> int:
    model: Any = engine.load("llm", "rkllm", board.llm_options(folder, release, reuse))
    talk, computed = [Message("system", ("Be brief.",))], 0
    for turn in range(TURNS):
        content: tuple[str | Picture, ...] = (QUESTIONS[turn % len(QUESTIONS)],)
        talk.append(Message("user", content if turn else (board.picture(1), *content)))
        events = model.reply(talk, Sampling(max_tokens=board.LONGEST))
        said = "".join(event.text for event in events if isinstance(event, Token))
        talk.append(Message("assistant", (said,)))
        computed += int(re.findall(r"\[(\d+)\]", said)[0])
    model.close()
    return computed


# --- the NPU, and loading ---


def contention(
    folder: Path, release: str, environment: dict[str, str], rounds: int, locked: bool = True
) -> tuple[int, list[float]]:
    """Two processes, vision's and dialogue's engine, that both always want the NPU: (overlaps, waits in ms). Without
    ``locked`` each has a lock of its own, as if there were none."""
    wall = folder / "board"
    environment = {**environment, "RKLLM_SIM_NPU": str(wall), "RKLLM_SIM_REPLY": "There is a red mug."}
    sees, says = board.vision_options(folder), board.llm_options(folder, release)
    if not locked:
        sees["npu"] += "-vision"
    with Worker("vision", sees, environment) as vision, Worker("llm", says, environment) as llm:
        for worker in (vision, llm):
            worker.tell("load")
            worker.given()
        for worker in (vision, llm):
            worker.tell("work", rounds)
        waits = list[float]()
        for worker in (vision, llm):
            with contextlib.nullcontext() if locked else contextlib.suppress(engine.EngineError):  # the board's answer
                waits += worker.given()
    overlaps = Path(f"{wall}.overlaps")
    return (len(overlaps.read_text().splitlines()) if overlaps.exists() else 0), waits


def load_s(folder: Path, release: str, environment: dict[str, str]) -> dict[str, float]:
    """Until both engines are ready, the encoder's warm-up included, as the daemon's processes load them and as one
    after the other would."""
    sees, says = board.vision_options(folder), board.llm_options(folder, release)
    found = {}
    for way in ("parallel", "sequential"):
        with Worker("vision", sees, environment) as vision, Worker("llm", says, environment) as llm:
            began = time.monotonic()
            vision.tell("load")
            if way == "sequential":
                vision.given()
            llm.tell("load")
            for worker in (llm, vision) if way == "parallel" else (llm,):
                worker.given()
            found[way] = time.monotonic() - began
    return found


def quantiles(values: Any, digits: int) -> dict[str, float]:
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), digits), "p99": round(float(p99), digits)}
