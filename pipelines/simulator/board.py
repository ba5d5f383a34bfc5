"""A simulated board ready for use: the runtime of a release, the files of a model of one family, and the board's pace.

Everything lies in one folder: the model's files, the NPU's locks, and, should two jobs ever have met on the NPU, the
board's own count of that.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipelines import simulator
from pipelines.npu.families import family
from pipelines.npu.lock import FOLDER
from pipelines.simulator import build, timings

RELEASE = "1.3.0"  # of RKLLM, where none is named
# What the simulated model says: that it is none, what it was asked, and which picture was before it.
REPLIES = {
    "RKLLM_SIM_REPLY": 'Simulated answer to "{question}": {picture:I was given picture #|I was given no picture}.',
    "RKLLM_SIM_REPLY_ZH": "模拟回答“{question}”：{picture:我收到的照片是 #|我没有收到照片}。",
}


class Board(NamedTuple):
    """What is simulated."""

    soc: str
    model: str  # a family of models/manifest.toml
    release: str = RELEASE
    speedup: float = 1.0  # times as fast as the board is

    def check(self) -> None:
        """Raises EngineError for a board, model or release that is not simulated, listing those that are."""
        timings.pace(self.soc, self.model)
        build.known(self.release)

    def told(self) -> tuple[str, str]:
        """What is simulated, at what pace, and who says so: a line in English, one in Chinese."""
        pace = timings.pace(self.soc, self.model)
        what = self.soc, self.model, self.release
        by = pace.source if pace.load_source == pace.source else f"{pace.source}; load: {pace.load_source}"
        times = pace.load_s, pace.encode_s, pace.prefill_ms_per_token, pace.tokens_per_s, by
        own = self.speedup == 1
        return (
            "Simulated board: {}, {}, RKLLM {}, ".format(*what)
            + ("at its own pace" if own else f"{self.speedup:g} times as fast as it is")
            + " (load {:g} s, picture {:g} s, prompt {:.1f} ms a token, reply {:g} tokens/s; {}).".format(*times)
            + " Its answers are made up, and say so.",
            "模拟开发板：{}，{}，RKLLM {}，".format(*what)
            + ("速度与开发板相同" if own else f"速度是开发板的 {self.speedup:g} 倍")
            + "（加载 {:g} 秒，照片 {:g} 秒，提示词每词元 {:.1f} 毫秒，回答每秒 {:g} 词元；来源：{}）。".format(*times)
            + "回答都是编造的，并会说明是模拟。",
        )


class Placed(NamedTuple):
    """Where the parts of a board lie, for the options of the engines ``rkllm`` and ``rknn``."""

    library: Path
    model: Path
    encoder: Path
    environment: dict[str, str]  # of the processes that run the engines


def place(board: Board, folder: Path, environ: Mapping[str, str] = os.environ) -> Placed:
    """Build and write what the board needs into ``folder``. What ``environ`` already says of RKLLM_SIM_… stays so:
    faults, another reply, a slower token. Raises EngineError as Board.check, and without a C compiler."""
    board.check()
    traits = family(board.model)
    size = traits.image_size[0]
    shape = {"size": size, "tokens": traits.rows(size), "width": traits.width, "outputs": traits.outputs}
    model = simulator.write_model(
        folder / f"{board.model}.rkllm",
        name=board.model,
        soc=board.soc,
        context_limit=traits.context,
        width=traits.row_width,
        reuse=traits.reuse != "none",
        strip=traits.history == "lines",
    )
    wanted = {
        **timings.environment(board.soc, board.model, 1 / board.speedup),
        **REPLIES,
        "RKLLM_SIM_NPU": str(folder / "board"),
    }
    path = [str(simulator.STAND_IN), *filter(None, [environ.get("PYTHONPATH")])]
    own = {FOLDER: str(folder / "npu"), "PYTHONPATH": os.pathsep.join(path)}
    return Placed(
        build.library(board.release),
        model,
        simulator.write_encoder(folder / f"{board.model}.rknn", soc=board.soc, **shape),
        own | {name: environ.get(name, value) for name, value in wanted.items()},
    )
