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
        by = pace.source if pace.load_source == pace.source else f"{pace.source}; loading: {pace.load_source}"
        as_fast = self.speedup == 1
        return (
            f"Simulated board: {self.soc} with {self.model} on RKLLM {self.release}, "
            f"{'at its own pace' if as_fast else f'{self.speedup:g} times as fast as it is'}. The board takes "
            f"{pace.load_s:g} s to load the model, {pace.encode_s:g} s for a picture, {pace.prefill_ms_per_token:.1f} ms "
            f"for a token of the prompt, and writes {pace.tokens_per_s:g} a second ({by}). Its answers are made up, and "
            "say so.",
            f"模拟开发板：{self.soc}，模型 {self.model}，RKLLM {self.release}，"
            f"{'速度与开发板相同' if as_fast else f'速度是开发板的 {self.speedup:g} 倍'}。开发板加载模型需 {pace.load_s:g} 秒，"
            f"编码一张照片 {pace.encode_s:g} 秒，每个提示词元 {pace.prefill_ms_per_token:.1f} 毫秒，"
            f"每秒生成 {pace.tokens_per_s:g} 个词元（来源：{by}）。它的回答都是编造的，并会说明是模拟。",
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
