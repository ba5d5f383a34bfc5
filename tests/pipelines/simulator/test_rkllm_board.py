"""What the runtime is told of the board it runs on, and what is said of a runtime that grows."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines import engine, simulator
from pipelines.llm import _librkllm_fill as fill
from pipelines.llm._rkllm_board import BOARDS, Soc
from pipelines.llm._rkllm_family import settle
from pipelines.llm.librkllm import Library, Unsupported
from pipelines.llm.rkllm import Options, _init
from pipelines.simulator import build

# Of each board: domain, cores, their mask; as flask_server.py and the multimodal demo of rknn-llm 1.3.0 have them.
TOLD: dict[Soc, tuple[int, int, int]] = {"rk3588": (1, 4, 0xF0), "rk3576": (1, 4, 0xF0), "rk3562": (0, 4, 0x0F)}


def told(version: str, built: Path, **options: Any) -> Any:
    """RKLLMParam as init would be given it."""
    library = Library(str(build.library(version, built)))
    filled = library.defaults()
    given = Options(model=__file__, **options)
    fill.param(library.abi, filled, _init(given, settle(given), library.abi))
    return filled


@pytest.mark.parametrize("soc", BOARDS)
@pytest.mark.parametrize("version", ["1.2.0", "1.2.1b1", "1.2.3", "1.3.0"])
def test_each_board_gets_the_vendors_values(version: str, soc: Soc, built: Path) -> None:
    param = told(version, built, soc=soc)
    extended = param.extend_param
    assert (extended.base_domain_id, extended.enabled_cpus_num, extended.enabled_cpus_mask) == TOLD[soc]
    assert (param.n_keep, extended.embed_flash, getattr(extended, "n_batch", 1)) == (-1, 1, 1)


def test_all_of_it_can_be_set(built: Path) -> None:
    param = told("1.3.0", built, base_domain_id=3, cpus=(1, 5), n_keep=7, embed_flash=False)
    extended = param.extend_param
    assert (extended.base_domain_id, extended.enabled_cpus_num, extended.enabled_cpus_mask) == (3, 2, 0b100010)
    assert (param.n_keep, extended.embed_flash) == (7, 0)


def test_a_release_without_them_runs_and_refuses_what_is_set(built: Path) -> None:
    assert told("1.1.4", built).extend_param.base_domain_id == 1
    for option in ({"cpus": (4, 5)}, {"n_keep": 7}, {"embed_flash": True}):
        with pytest.raises(Unsupported, match=r"RKLLM 1\.1\.4 has no"):
            told("1.1.4", built, **option)


ASKING = """
import sys
from pipelines import engine
from pipelines.llm import Message, Picture, Sampling
import numpy as np, logging
logging.basicConfig()
library, model, folder, count, options = sys.argv[1:]
given = {"model": model, "library": library, "npu": folder, "row_width": 8, **eval(options)}
llm = engine.load("llm", "rkllm", given)
for seed in range(int(count)):
    shown = Picture(str(seed), np.full((4, 8), seed, np.float32))
    end = list(llm.reply([Message("user", (shown, "Secret?"))], Sampling()))[-1]
    print(end.memory_mb)
llm.close()
"""


def ask(built: Path, tmp_path: Path, options: str, count: int = 1, **environment: str) -> tuple[list[float], str]:
    """Memory after each of ``count`` questions, and what was written to stderr, by a process of its own."""
    given = [
        build.library("1.3.0", built),
        simulator.write_model(tmp_path / "m.rkllm"),
        tmp_path / "npu",
        count,
        options,
    ]
    command = [sys.executable, "-c", ASKING, *map(str, given)]
    path = {"PYTHONPATH": str(Path.cwd()), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=path | environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()], done.stderr


@pytest.mark.parametrize(
    ("options", "environment", "figures", "prompt"),
    [
        ("{}", {}, False, False),
        ('{"log_level": 1}', {}, True, False),
        ('{"log_level": 2}', {}, True, True),
        ("{}", {"RKLLM_LOG_LEVEL": "1"}, True, False),
        ('{"log_level": 0}', {"RKLLM_LOG_LEVEL": "2"}, False, False),
    ],
)
def test_the_library_says_as_much_as_it_is_asked_to(
    options: str, environment: dict[str, str], figures: bool, prompt: bool, built: Path, tmp_path: Path
) -> None:
    _, said = ask(built, tmp_path, options, 1, **environment)
    assert ("prefill" in said, "Secret" in said) == (figures, prompt)


def test_a_log_level_that_there_is_not(built: Path) -> None:
    with pytest.raises(engine.EngineError, match=r"Invalid enum value 3 - at `\$\.log_level`"):
        engine.options("llm", "rkllm", {"model": "m", "log_level": 3})


def test_a_runtime_that_grows_is_told_of_once(built: Path, tmp_path: Path) -> None:
    memory, said = ask(built, tmp_path, '{"growth_mb": 8, "reuse": "prefix"}', 12, RKLLM_SIM_FAULTS="leak")
    assert memory[-1] - memory[0] > 16
    assert said.count("the RKLLM runtime takes") == 1
    assert "rknn-llm #529" in said
    _, said = ask(built, tmp_path, '{"growth_mb": 8}', 12)
    assert "the RKLLM runtime takes" not in said
