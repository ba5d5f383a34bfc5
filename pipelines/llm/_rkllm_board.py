"""What the RKLLM runtime is told of the board and the process it runs in, where the options leave it open.

The values are those of the vendor's examples (rknn-llm 1.3.0: flask_server.py and the multimodal demo). What they have
alike for all boards (n_keep -1, embed_flash 1, n_batch 1) are the library's defaults too, and left to it.
"""

import logging
import os
from typing import Literal

import msgspec

from pipelines.llm._librkllm_abi import Abi

log = logging.getLogger(__name__)

Soc = Literal["rk3588", "rk3576", "rk3562"]
LogLevel = Literal[0, 1, 2]
LOG_LEVEL = "RKLLM_LOG_LEVEL"  # environment; read by the library when it is loaded


class Board(msgspec.Struct, frozen=True):
    base_domain_id: int  # 1 keeps the model out of the 4 GB of addresses that RKNN's encoder uses (rknn-llm #195)
    cpus: tuple[int, ...]  # the fast cores


BOARDS: dict[Soc, Board] = {
    "rk3588": Board(base_domain_id=1, cpus=(4, 5, 6, 7)),
    "rk3576": Board(base_domain_id=1, cpus=(4, 5, 6, 7)),
    "rk3562": Board(base_domain_id=0, cpus=(0, 1, 2, 3)),
}


def cpus(soc: Soc, wanted: tuple[int, ...] | None, abi: Abi) -> tuple[int, ...] | None:
    """The cores to run on: those wanted, else the board's; None, the library's choice, for a release without a say."""
    if wanted is not None or not abi.has("RKLLMExtendParam", "enabled_cpus_num"):
        return wanted
    return BOARDS[soc].cpus


def speak(level: LogLevel | None) -> None:
    """How much the library prints: 1 a table of each run's figures, 2 also prompts and tokens, which are the user's. To
    be called before it is loaded; None leaves it to the environment."""
    if level is not None:
        os.environ[LOG_LEVEL] = str(level)


class Growth:
    """Notices a runtime that keeps what it should give back, and says so once."""

    def __init__(self, most_mb: float) -> None:
        self._most_mb, self._first_mb, self._runs, self._told = most_mb, 0.0, 0, False

    def note(self, memory_mb: float) -> None:
        """``memory_mb``: after a run; 0 where it is not known."""
        self._runs += 1
        self._first_mb = self._first_mb or memory_mb
        if memory_mb - self._first_mb <= self._most_mb or self._told:
            return
        self._told = True
        log.warning(
            "the RKLLM runtime takes %.0f MB, %.0f more than after its first run, %d runs ago. Known: 2 MB stay "
            'with each picture where no history is kept (rknn-llm #529). Where the model allows it, reuse = "history" '
            "avoids that; else a restart of the service gives the memory back",
            memory_mb,
            memory_mb - self._first_mb,
            self._runs - 1,
        )
