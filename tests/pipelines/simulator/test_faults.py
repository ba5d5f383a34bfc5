"""What goes wrong on boards, and what callers do wrong: an error that names it, before anything can crash."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import simulator
from pipelines.llm._librkllm_types import Utf8Joiner
from pipelines.llm.librkllm import (
    Init,
    Input,
    Library,
    NullHandle,
    RkllmError,
    Rows,
    Run,
    Sampler,
    Seen,
    Session,
    Tags,
    Text,
    Tokens,
)
from pipelines.simulator import build
from tests.pipelines.simulator.talking import Open, ask, pictures, report

FAMILIES = ("1.1.4", "1.2.0", "1.2.1b1", "1.2.3", "1.3.0")
rows = pictures(2)
AT_INIT: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": "/nowhere/m.rkllm"}, r"the model /nowhere/m\.rkllm cannot be read \(No such file"),
    "an empty one": ({"model": "/dev/null"}, "is empty; fetch it again"),
    "context above the limit": ({"context_limit": 1024}, "2048, but .* was converted for 1024 tokens at most"),
    "no context": ({"max_context_len": 0}, "max_context_len is 0; it must be from 1"),
    "a reply longer than the context": ({"max_new_tokens": 2048}, "max_new_tokens is 2048; it must be from 1 to 2047"),
    "top_p": ({"sampler": Sampler(top_p=0.0)}, "top_p is 0.0; it must be above 0, at most 1"),
    "temperature": ({"sampler": Sampler(temperature=float("nan"))}, "temperature is nan"),
    "cores": ({"cpus": (4, 4)}, r"cpus is \[4, 4\]; name each core once"),
    "a core too many": ({"cpus": (32,)}, "by a number from 0 to 31"),
    "a cut tag": ({"tags": Tags("a\0b", "", "x")}, "the picture's start tag contains a NUL at character 1"),
}
AT_RUN: dict[str, tuple[Input, dict[str, Any], str]] = {
    "nothing": (Text(""), {}, "the prompt is empty"),
    "a NUL": (Text("a\0b"), {}, "the prompt contains a NUL at character 1, where C would cut it off"),
    "half a surrogate": (Text("a\ud800"), {}, "the prompt is not valid Unicode"),
    "a prompt too long": (Text("x"), {"prompt_tokens": 2048}, "has 2048 tokens, which leaves no room in a context of"),
    "too many tokens": (Tokens(np.zeros(2048, np.int32)), {}, "has 2048 tokens, which leaves no room"),
    "wide tokens": (Tokens(np.zeros(4, np.int64)), {}, r"must be int32 \[tokens\], not int64 \[4\]"),
    "negative tokens": (Tokens(np.array([1, -1], np.int32)), {}, "contain -1"),
    "no tokens": (Tokens(np.zeros(0, np.int32)), {}, r"not int32 \[0\]"),
    "half floats": (Rows(rows[0].astype(np.float16)), {}, r"must be float32 \[tokens, width\], not float16"),
    "a narrow embedding": (Rows(rows[0][:, :4].copy()), {}, r"4 floats wide, but m\.rkllm takes 8"),
    "one of four outputs": (Seen("<image>", rows[:1, :, :2].copy()), {}, "an encoder with several outputs gives all"),
    "a view with gaps": (Rows(rows[0][::2]), {}, "must lie in one piece of memory"),
    "a flat picture": (Seen("<image>", rows[0]), {}, r"must be float32 \[pictures, tokens, width\]"),
    "no mark": (Seen("What?", rows[:1]), {}, "has 0 <image> for 1 pictures"),
    "marks for nobody": (Seen("<image><image>", rows[:1]), {}, "has 2 <image> for 1 pictures"),
    "an unknown adapter": (Text("x"), {"lora": "pirate"}, "no adapter 'pirate' is loaded; loaded: none"),
    "a cache nowhere": (Text("x"), {"save_cache": "/nowhere/c"}, "cannot be written to /nowhere/c"),
}


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize(("wanted", "why"), AT_INIT.values(), ids=AT_INIT)
def test_settings_that_would_crash_are_refused(version: str, wanted: dict[str, Any], why: str, start: Open) -> None:
    with pytest.raises(RkllmError, match=why):
        start(version, **wanted)


@pytest.mark.parametrize("version", FAMILIES)
def test_input_that_would_crash_is_refused(version: str, start: Open) -> None:
    session = start(version)
    for given_, wanted, why in AT_RUN.values():
        with pytest.raises(RkllmError, match=why):
            session.run(given_, lambda *_: None, Run(**wanted))
    assert report(session, "still there")["role"] == "user"


def test_rows_cannot_be_checked_without_a_width_nor_placed_without_tags(start: Open) -> None:
    with pytest.raises(RkllmError, match="row_width is not set"):
        ask(start("1.3.0", row_width=None), Seen("<image>", rows[:1]))
    with pytest.raises(RkllmError, match="tags are not set"):
        ask(start("1.2.3", tags=None), Seen("<image>", rows[:1]))


LOADING = {
    "null-handle": (NullHandle, "gave no handle: the board's memory is full"),
    "no-memory": (RkllmError, r"cannot load m\.rkllm \(rkllm_init: -1\).*Usual causes: memory is full"),
    "context-limit": (RkllmError, "a context above the model's limit"),
    "old-driver": (RkllmError, "the rknpu driver too old"),
}


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize(("fault", "expected"), LOADING.items(), ids=LOADING)
def test_loading_fails_with_what_it_may_be(
    version: str, fault: str, expected: tuple[type[RkllmError], str], start: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_FAULTS", fault)
    kind, why = expected
    with pytest.raises(kind, match=why):
        start(version)
    monkeypatch.delenv("RKLLM_SIM_FAULTS")
    assert report(start(version), "x")["role"] == "user"


MODELS: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_text(simulator.write_model(path).read_text()[:40]),
    "something else": lambda path: path.write_bytes(b"GGUF\0\0\0\3"),
    "for another board": lambda path: simulator.write_model(path, soc="rk3576"),
    "too new": lambda path: simulator.write_model(path, toolkit="1.4.0"),
}


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_model_that_is_not_in_order(
    version: str, make: Callable[[Path], object], built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_SOC", "rk3588")
    make(tmp_path / "bad.rkllm")
    library = Library(str(build.library(version, built)))
    with pytest.raises(RkllmError, match=r"cannot load bad\.rkllm .*another SoC or by a newer"):
        Session(library, Init(model=str(tmp_path / "bad.rkllm"), max_context_len=512))
    assert library.loaded == 0


@pytest.mark.parametrize("version", FAMILIES)
def test_an_abort_that_is_deaf_until_the_prefill_is_over(
    version: str, start: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_FAULTS", "deaf-prefill")
    monkeypatch.setenv("RKLLM_SIM_PREFILL_MS", "5")
    session = start(version)
    took: list[float] = []

    def abort() -> None:
        began = time.monotonic()
        session.abort()
        took.append(time.monotonic() - began)

    timer = threading.Timer(0.05, abort)
    timer.start()
    pieces: list[str] = []
    began = time.monotonic()
    assert session.run(Text("word " * 60), lambda text, _: pieces.append(text)).state == "aborted"
    assert time.monotonic() - began > 0.3  # the whole prefill
    assert took[0] < 0.2  # but nobody waited for it
    assert pieces == []


HANGING = """
import sys, threading
from pipelines.llm.librkllm import *
session = Session(Library(sys.argv[1]), Init(model=sys.argv[2], max_context_len=512))
thread = threading.Thread(target=lambda: session.run(Text("x"), lambda *_: None), daemon=True)
thread.start()
threading.Event().wait(0.3)
try:
    session.close(patience=0.2)
except Busy as error:
    print(error, flush=True)
sys.exit(3)
"""
DYING = """
import sys
from pipelines.llm.librkllm import *
session = Session(Library(sys.argv[1]), Init(model=sys.argv[2], max_context_len=512))
session.run(Text("x"), lambda text, _: print(text, end="", flush=True))
"""
LEAVING = """
import sys, threading
from pipelines.llm.librkllm import *
session = Session(Library(sys.argv[1]), Init(model=sys.argv[2], max_context_len=512))
begun = threading.Event()
threading.Thread(target=lambda: session.run(Text("x"), lambda *_: begun.set()), daemon=True).start()
begun.wait(5)
"""


def run(code: str, version: str, built: Path, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    model = simulator.write_model(tmp_path / "m.rkllm")
    command = [sys.executable, "-c", code, str(build.library(version, built)), str(model)]
    path = {"PYTHONPATH": str(Path.cwd()), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=path | environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("version", ["1.1.4", "1.3.0"])
def test_a_run_that_hangs_is_reported_and_the_process_can_leave(version: str, built: Path, tmp_path: Path) -> None:
    done = run(HANGING, version, built, tmp_path, RKLLM_SIM_FAULTS="hang")
    assert "the run did not end within 0.2 s of its abort; destroying it now would crash" in done.stdout
    assert done.returncode == 3


def test_death_in_mid_answer_is_a_death_of_the_process(built: Path, tmp_path: Path) -> None:
    done = run(DYING, "1.3.0", built, tmp_path, RKLLM_SIM_FAULTS="death", RKLLM_SIM_REPLY="one two three four five")
    assert (done.returncode, done.stdout) == (-6, "one two three")


@pytest.mark.parametrize("version", FAMILIES)
def test_leaving_in_mid_answer_destroys_the_model_in_order(version: str, built: Path, tmp_path: Path) -> None:
    """The simulated runtime aborts the process if it is destroyed during a run, as boards crash."""
    done = run(LEAVING, version, built, tmp_path, RKLLM_SIM_REPLY="word " * 500, RKLLM_SIM_DECODE_MS="20")
    assert (done.returncode, done.stderr) == (0, "")


def test_runs_that_overlap_on_the_npu_fail_and_are_counted(
    start: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "npu"
    monkeypatch.setenv("RKLLM_SIM_NPU", str(lock))
    monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "10")
    one, two, begun = start("1.3.0"), start("1.3.0"), threading.Event()
    thread = threading.Thread(target=lambda: one.run(Text("x"), lambda *_: begun.set()))
    thread.start()
    assert begun.wait(5)
    with pytest.raises(RkllmError, match="the run failed"):
        ask(two, "y")
    one.abort()
    thread.join()
    assert Path(f"{lock}.overlaps").read_text().count("\n") == 1
    assert report(two, "y")["role"] == "user"


def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RkllmError, match=r"there is no RKLLM runtime at /nowhere/librkllmrt\.so; install"):
        Library("/nowhere/librkllmrt.so")
    (tmp_path / "x.so").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(RkllmError, match="is not a shared library"):
        Library(str(tmp_path / "x.so"))


def test_a_wrong_setting_is_caught_by_the_librarys_own_defaults(built: Path) -> None:
    library = Library(str(build.library("1.3.0", built)), version="1.2.3")
    with pytest.raises(RkllmError, match=r"do not have the layout of RKLLM 1\.2\.3 .*n_batch 0.*set runtime_version"):
        library.defaults()


@given(st.text(max_size=40), st.lists(st.integers(1, 4), min_size=1), st.booleans())
def test_characters_join_however_they_are_cut(text: str, cuts: list[int], whole: bool) -> None:
    """Cut anywhere, or each cut character sent again as a whole."""
    data, joiner, at, index = text.encode(errors="replace"), Utf8Joiner(), 0, 0
    said = ""
    while at < len(data):
        end = min(at + cuts[index % len(cuts)], len(data))
        said += joiner.feed(data[at:end])
        back = next((n for n in range(1, 4) if end - n >= at and data[end - n] >= 0xC0), 0)
        torn = end < len(data) and data[end] & 0xC0 == 0x80
        at, index = (end - back if whole and torn and back else end), index + 1
        if whole and torn and back:  # the whole character in one piece
            stop = at + 1
            while stop < len(data) and data[stop] & 0xC0 == 0x80:
                stop += 1
            said += joiner.feed(data[at:stop])
            at = stop
    assert said + joiner.rest() == data.decode()


@given(st.lists(st.binary(max_size=6)))
def test_any_bytes_are_read_as_something(pieces: list[bytes]) -> None:
    joiner = Utf8Joiner()
    text = "".join(joiner.feed(piece) for piece in pieces) + joiner.rest()
    text.encode()  # no half characters
    assert len(text) <= sum(map(len, pieces))
