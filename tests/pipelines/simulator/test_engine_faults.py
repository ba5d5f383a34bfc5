"""The RKLLM engine when the board, the files or the library are not in order: what it says, and that it goes on."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipelines import engine, simulator
from pipelines.llm import Ended, Message, Picture, Sampling, Stuck, Token
from pipelines.llm.librkllm import ABI
from pipelines.npu import elf
from pipelines.npu.lock import Npu, Rank
from pipelines.simulator import build
from tests.pipelines.npu import elves

FAMILIES = ("1.1.4", "1.2.0", "1.2.1b1", "1.2.3", "1.3.0")
LONG = Sampling(max_tokens=2000)
Start = Callable[..., Any]


@pytest.fixture
def start(built: Path, tmp_path: Path) -> Iterator[Start]:
    """Loads the engine on a simulated release; ``model`` may name another file than the one that is made."""
    opened: list[Any] = []

    def one(version: str, **options: Any) -> Any:
        model = simulator.write_model(tmp_path / "m.rkllm", width=8)
        given = {"model": str(model), "library": str(build.library(version, built)), "row_width": 8, "template": {}}
        given |= {"max_new_tokens": 2000, "npu": str(tmp_path / "npu")}
        opened.append(engine.load("llm", "rkllm", {**given, **options}))
        return opened[-1]

    yield one
    for model in opened:
        model.close()


def said(model: Any, *content: str | Picture) -> str:
    events = list(model.reply([Message("user", content)], LONG))
    assert isinstance(events[-1], Ended)
    return "".join(event.text for event in events if isinstance(event, Token))


def picture(seed: int = 0, width: int = 8) -> Picture:
    return Picture(str(seed), np.random.default_rng(seed).random((4, width), np.float32))


LOADING = {
    "old-driver": r"cannot load m\.rkllm .*the rknpu driver too old or not accessible",
    "no-memory": r"cannot load m\.rkllm .*Usual causes: memory is full",
    "context-limit": r"cannot load m\.rkllm .*a context above the model's limit",
    "null-handle": r"loaded m\.rkllm without an error and gave no handle: the board's memory is full",
}


@pytest.mark.parametrize("version", FAMILIES)
def test_what_stops_a_model_from_loading_is_named(version: str, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for fault, why in LOADING.items():
        monkeypatch.setenv("RKLLM_SIM_FAULTS", fault)
        with pytest.raises(engine.EngineError, match=why):
            start(version)
    monkeypatch.delenv("RKLLM_SIM_FAULTS")
    with pytest.raises(engine.EngineError, match=r"4096, but .* was converted for 1024 tokens at most"):
        start(version, context=4096, context_limit=1024)  # where it is known it is refused before the library could


FILES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_text(simulator.write_model(path).read_text()[:40]),
    "of another SoC": lambda path: simulator.write_model(path, soc="rk3576"),
    "too new": lambda path: simulator.write_model(path, toolkit="1.4.0"),
}


@pytest.mark.parametrize("version", FAMILIES)
def test_a_model_that_is_not_in_order_is_named(
    version: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_SOC", "rk3588")
    for make in FILES.values():
        make(tmp_path / "bad.rkllm")
        with pytest.raises(engine.EngineError, match=r"cannot load bad\.rkllm .*made for another SoC or by a newer"):
            start(version, model=str(tmp_path / "bad.rkllm"))
    with Npu("vision", tmp_path / "npu").hold(Rank.IDLE, 1.0):  # nothing was left held
        pass


def library(version: str, inside: bytes, machine: str = "", without: str = "") -> bytes:
    return elves.make(set(ABI[version].functions) - {without}, inside, machine)


SAYS = b"\0I rkllm: rkllm-runtime version: "
OTHER = "x86_64" if elf.host() == "aarch64" else "aarch64"
LIBRARIES = {
    "of an unknown version": (library("1.3.0", SAYS + b"1.9.0, x\0"), r"says it is 1\.9\.0, which is not known.*set"),
    "for another machine": (library("1.3.0", SAYS + b"1.3.0, x\0", OTHER), f"is built for {OTHER}, this is .*install"),
    "without a symbol": (library("1.3.0", SAYS + b"1.3.0, x\0", without="rkllm_run"), "does not export rkllm_run"),
    "cut short": (library("1.3.0", SAYS + b"1.3.0, x\0")[:700], "damaged or truncated library .*install it again"),
}


@pytest.mark.parametrize(("data", "why"), LIBRARIES.values(), ids=LIBRARIES)
def test_a_library_that_is_not_in_order_is_never_called(data: bytes, why: str, start: Start, tmp_path: Path) -> None:
    (tmp_path / "librkllmrt.so").write_bytes(data)
    with pytest.raises(engine.EngineError, match=why):
        start("1.3.0", library=str(tmp_path / "librkllmrt.so"))


@pytest.mark.parametrize("version", FAMILIES)
def test_rows_of_a_wrong_width_are_refused_and_the_next_turn_goes_on(version: str, start: Start) -> None:
    model = start(version)
    with pytest.raises(engine.EngineError, match=r"2 floats wide, but m\.rkllm takes 8"):
        said(model, picture(width=2), "What?")
    assert json.loads(said(model, picture(), "What?"))["role"] == "user"


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize("thread", ["0", "1"])
def test_bytes_that_are_no_text_harm_nobody(
    version: str, thread: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reply").write_bytes(b"ok \xff\xfe and \xe4\xbd")  # never valid; cut short at the end
    monkeypatch.setenv("RKLLM_SIM_REPLY", f"@{tmp_path / 'reply'}")
    monkeypatch.setenv("RKLLM_SIM_THREAD", thread)
    model = start(version)
    assert re.fullmatch("ok \ufffd+ and \ufffd+", said(model, "x"))
    monkeypatch.delenv("RKLLM_SIM_REPLY")
    assert json.loads(said(model, "y"))["role"] == "user"


@pytest.mark.parametrize("version", FAMILIES)
def test_a_reader_may_leave_before_during_and_after(
    version: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_NPU", str(tmp_path / "board"))
    monkeypatch.setenv("RKLLM_SIM_REPLY", "word " * 50)
    monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "5")
    model, asked = start(version), [Message("user", ("Talk.",))]
    model.reply(asked, LONG).close()  # before it began
    events = model.reply(asked, LONG)
    while not isinstance(next(events), Token):
        pass
    events.close()  # in the middle
    monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "0")
    events = model.reply(asked, LONG)
    assert isinstance(list(events)[-1], Ended)
    events.close()  # when it was over
    assert said(model, "Talk.") == "word " * 50
    assert not (tmp_path / "board.overlaps").exists()
    with Npu("vision", tmp_path / "npu").hold(Rank.IDLE, 5.0):
        pass


HANGS = """
import os, sys
os.environ["RKLLM_SIM_FAULTS"] = "hang"
from pipelines import engine
from pipelines.llm import Message, Sampling, Stuck
model = engine.load("llm", "rkllm", {"model": sys.argv[1], "library": sys.argv[2], "npu": sys.argv[3], "stall_s": 0.1})
for _ in range(2):
    try:
        list(model.reply([Message("user", ("x",))], Sampling()))
    except Stuck as error:
        print(error, flush=True)
"""


@pytest.mark.parametrize("version", ["1.1.4", "1.3.0"])
def test_a_run_that_hangs_is_said_and_so_is_whoever_waits_for_it(version: str, built: Path, tmp_path: Path) -> None:
    """In a process of its own: nothing but its end gets rid of the run."""
    model = simulator.write_model(tmp_path / "m.rkllm")
    command = [sys.executable, "-c", HANGS, str(model), str(build.library(version, built)), str(tmp_path / "npu")]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [line.partition(" gave nothing")[0] for line in done.stdout.splitlines()] == [f"RKLLM {version}"] * 2
    assert done.stdout.count("only a restart of this process frees it") == 2
    with Npu("vision", tmp_path / "npu").hold(Rank.IDLE, 1.0):  # the process is gone, and with it its lock
        pass


def test_a_slow_prompt_is_no_hang(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RKLLM_SIM_PREFILL_MS", "8")
    model = start("1.3.0", stall_s=0.1)
    assert len(said(model, "word " * 15)) > 0  # about 0.25 s without a word
    monkeypatch.setenv("RKLLM_SIM_PREFILL_MS", "0")
    monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "400")
    with pytest.raises(Stuck):  # between two tokens it is
        said(model, "x")


@pytest.mark.parametrize("version", FAMILIES[1:])
@pytest.mark.parametrize("reuse", ["history", "none"])
def test_pictures_leave_no_memory_behind(
    version: str, reuse: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library loses 2 MB with each picture of a run without history (#529): the engine runs none where it can."""
    monkeypatch.setenv("RKLLM_SIM_FAULTS", "leak")

    def grown(**options: Any) -> float:
        model = start(version, **options)
        said(model, picture(0), "What?")
        before = psutil.Process().memory_info().rss
        for seed in range(1, 21):
            said(model, picture(seed), "What?")
        return (psutil.Process().memory_info().rss - before) / 2**20

    assert grown(reuse="prefix") > 30  # there is no other way for this one
    assert grown(reuse=reuse) < 15


def test_settings_reach_the_library(start: Start) -> None:
    given = {"n_keep": 7, "embed_flash": False, "cpus": (4, 5, 6), "max_new_tokens": 99, "context": 512}
    param = start("1.3.0", **given, ignore_eos=True)._session._param
    extended = param.extend_param
    assert (param.max_context_len, param.max_new_tokens, param.n_keep) == (512, 99, 7)
    assert (extended.embed_flash, extended.enabled_cpus_num, extended.enabled_cpus_mask) == (0, 3, 0b1110000)
    assert param.ignore_eos_token
    assert not start("1.3.0")._session._param.ignore_eos_token
    with pytest.raises(engine.EngineError, match=r"no ignore_eos_token; it comes with 1\.3\.0"):
        start("1.2.3", ignore_eos=True)


@pytest.mark.parametrize("version", FAMILIES)
def test_the_vendors_defaults_stand_where_nothing_is_set(version: str, start: Start) -> None:
    for soc, domain in (("rk3588", 1), ("rk3576", 1), ("rk3562", 0)):
        extended = start(version, soc=soc)._session._param.extend_param
        assert extended.base_domain_id == domain
        if version != "1.1.4" and soc != "rk3562":  # the fast cores, as the library has them
            assert (extended.enabled_cpus_num, extended.enabled_cpus_mask, extended.embed_flash) == (4, 0xF0, 1)
    assert start(version, base_domain_id=0)._session._param.extend_param.base_domain_id == 0


@pytest.mark.parametrize("version", FAMILIES)
def test_rk3562_runs_text(version: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RKLLM_SIM_SOC", "rk3562")
    made = simulator.write_model(tmp_path / "text.rkllm", soc="rk3562")
    model = start(version, model=str(made), soc="rk3562", row_width=0)
    assert model.capabilities.wants == "text"
    assert json.loads(said(model, "Who?"))["role"] == "user"
    with pytest.raises(engine.EngineError, match="row_width is not set"):
        said(model, picture(), "What?")


@pytest.mark.parametrize("version", ["1.3.0"])
def test_a_reply_goes_on_to_its_length_where_it_is_to(
    version: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_REPLY", "one two three")
    model, asked = start(version, ignore_eos=True), [Message("user", ("Count.",))]
    for count in (2, 10):
        ended = list(model.reply(asked, Sampling(max_tokens=count)))[-1]
        assert (ended.reason, ended.completion_tokens) == ("length", count)
