"""What the commands that can run on a simulated board share: --simulate, and what it changes of the settings.

``run`` makes the board; commands that start a daemon for themselves pass the option on to that daemon's ``run``.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assistant import config
from assistant.commands import USAGE, Failure, _settings
from assistant.config import Config, Engine, Layer
from assistant.service import SIMULATED
from pipelines.simulator import timings
from pipelines.simulator.board import RELEASE, Board, Placed, place

OPTION = "--simulate"
EARS, MOUTH = "pipelines.simulator.ears:Engine", "pipelines.simulator.mouth:Engine"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        OPTION,
        default="",
        metavar="BOARD:MODEL[:RELEASE]",
        help=f"run on a simulated Rockchip board, as rk3588:qwen3-vl-2b (RKLLM {RELEASE} if no release is named); the "
        "answers are made up and say so",
    )
    parser.add_argument(
        "--speedup", type=float, default=1.0, metavar="FACTOR", help="times as fast as the simulated board is (1)"
    )


def wanted(asked: argparse.Namespace) -> Board | None:
    """The board that is asked for, or None. Raises Failure, and EngineError listing what can be simulated."""
    if not asked.simulate:
        if asked.speedup != 1.0:
            raise Failure(f"--speedup is of a simulated board; name one with {OPTION}", USAGE)
        return None
    parts = asked.simulate.split(":")
    if len(parts) not in (2, 3) or not all(parts):
        known = ", ".join(":".join(pair) for pair in timings.MODELS)
        raise Failure(
            f"{OPTION} {asked.simulate}: expected BOARD:MODEL or BOARD:MODEL:RELEASE; there are: {known}", USAGE
        )
    if not asked.speedup > 0:
        raise Failure(f"--speedup {asked.speedup:g}: expected a number above 0; 1 is the board's own pace", USAGE)
    board = Board(parts[0], parts[1], parts[2] if parts[2:] else RELEASE, asked.speedup)
    board.check()
    if asked.board not in ("", board.soc):
        raise Failure(
            f"{OPTION} {asked.simulate} uses the board file {board.soc}; leave out --board {asked.board}", USAGE
        )
    return board


def passed_on(asked: argparse.Namespace) -> list[str]:
    """The options for the ``run`` of a daemon of one's own; [] where nothing is simulated. Raises as ``wanted``."""
    return [OPTION, asked.simulate, "--speedup", str(asked.speedup)] if wanted(asked) else []


def tell(asked: argparse.Namespace) -> None:
    """Say on stderr what is simulated, if anything is."""
    board = wanted(asked)
    for line in board.told() if board else ():
        print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def settings(asked: argparse.Namespace, runtime: Path) -> Iterator[Config]:
    """The settings as asked; on a simulated board, those that put its engines in place of the profile's. The board
    lies in ``runtime`` and lasts as long as this. Raises ConfigError, EngineError, Failure."""
    board = wanted(asked)
    if board is None:
        yield _settings.load(asked)
        return
    asked.board = board.soc
    profile = config.load(_settings.sections(), asked.profile or "", asked.board, asked.set)
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=SIMULATED, dir=runtime) as folder:
        placed = place(board, Path(folder))
        os.environ.update(placed.environment)  # which the services inherit
        yield _settings.load(asked, [Layer(OPTION, _replaced(profile, board, placed))])


def _replaced(profile: Config, board: Board, placed: Placed) -> dict[str, Any]:
    encoder = {"model": str(placed.encoder), "family": board.model}
    model = {"model": str(placed.model), "library": str(placed.library), "family": board.model}
    return {
        "vision": {"encoder": {"engine": "rknn", "rknn": encoder}},
        "dialogue": {"llm": {"engine": "rkllm", "rkllm": model}},
        "microphone": {"asr": _paced(EARS, profile, "microphone", "asr", board)},
        "speaker": {"tts": _paced(MOUTH, profile, "speaker", "tts", board)},
    }


def _paced(name: str, profile: Config, section: str, role: str, board: Board) -> dict[str, Any]:
    """The profile's engine of a role, at the board's pace."""
    chosen: Engine = getattr(profile.section(section, _settings.sections()[section]), role)
    inner = {"engine": chosen.engine, "options": dict(chosen.options), "board": board.soc}
    return {"engine": name, name: {**inner, "slowness": 1 / board.speedup}}
