"""The NPU's image encoder on the stand-in board: what it makes of pictures, and errors that name their cause."""

import gc
import json
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipelines import engine, simulator
from pipelines.image import fit
from pipelines.llm import Message, Picture, Sampling, Token
from pipelines.npu.lock import Npu, Rank
from pipelines.simulator import build
from pipelines.vision import rknn
from pipelines.vision.rknn import COLLECT_EVERY

Encode = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Encode:
    """The engine with a simulated model: ``start(outputs=4, layout="nchw")``; ``made``: what else the model is."""
    monkeypatch.syspath_prepend(str(simulator.STAND_IN))
    monkeypatch.setenv("RKLLM_SIM_SOC", "rk3588")

    def one(outputs: int = 1, soc: str = "rk3588", made: Any = None, **options: Any) -> Any:
        shape = {"size": 32, "tokens": 4, "width": 8, **(made or {})}
        model = simulator.write_encoder(tmp_path / "m.rknn", outputs=outputs, soc=soc, **shape)
        return engine.load("vision", "rknn", {"model": str(model), "npu": str(tmp_path / "npu"), **options})

    return one


def picture(seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)


def test_rows_carry_the_picture_as_the_model_takes_it(start: Encode) -> None:
    encoder = start()
    assert (encoder.tokens, encoder.width) == (4, 8)
    rows = encoder.encode(picture()).rows
    fitted = fit(picture(), 32, 32, (128, 128, 128))
    assert bytes(rows[0, :4].astype(np.uint8)) == zlib.crc32(fitted.tobytes()).to_bytes(4, "big")
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    assert not np.array_equal(rows, encoder.encode(picture(1)).rows)


def test_several_outputs_stand_side_by_side_in_each_row(start: Encode) -> None:
    one, four = start(), start(outputs=4)
    assert (four.tokens, four.width) == (4, 32)
    assert np.array_equal(four.encode(picture()).rows[:, :8], one.encode(picture()).rows)


def test_layout_and_normalising_are_the_models_affair(start: Encode) -> None:
    fitted = fit(picture(), 32, 32, (0, 0, 0))
    rows = start(layout="nchw", normalise=True, padding=(0, 0, 0)).encode(picture()).rows
    fed = ((fitted.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)).transpose(2, 0, 1)
    assert bytes(rows[0, :4].astype(np.uint8)) == zlib.crc32(np.ascontiguousarray(fed).tobytes()).to_bytes(4, "big")


QWEN3 = {"size": 672, "tokens": 441, "width": 2048}


@pytest.mark.parametrize("fault", ["", "no-attributes"])
def test_the_size_is_the_models_own_whether_it_tells_or_is_tried(
    fault: str, start: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_FAULTS", fault)
    encoder = start(outputs=4, made=QWEN3, family="qwen3-vl-2b")
    assert (encoder.tokens, encoder.width) == (441, 8192)
    rows = encoder.encode(picture()).rows
    fitted = fit(picture(), 672, 672, (128, 128, 128))
    assert bytes(rows[0, :4].astype(np.uint8)) == zlib.crc32(fitted.tobytes()).to_bytes(4, "big")


@pytest.mark.parametrize("shape", [(), (1, 32, 32), (1, 32, 64, 3), (2, 32, 32, 3), (1, 8, 8, 3), (1, 3, 32, 32), None])
def test_what_a_library_tells_is_believed_only_if_it_is_a_picture(
    shape: tuple[int, ...] | None, start: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = SimpleNamespace(n_dims=len(shape), dims=[*shape, 0, 0]) if shape is not None else "nothing"
    monkeypatch.setattr("rknnlite.api.Runtime.get_tensor_attr", lambda *_: runtime)
    if shape == (1, 3, 32, 32):
        assert start().tokens == 4
        return
    with pytest.raises(engine.EngineError, match="does not tell what size of picture it takes; set `size`"):
        start()
    assert start(size=32).tokens == 4


def test_the_family_says_how_a_picture_is_fed_and_what_is_set_wins(start: Encode) -> None:
    made = {"size": 448, "tokens": 256, "width": 896}
    fitted = fit(picture(), 448, 448, (0, 0, 0))
    rows = start(made=made, family="internvl3-1b", normalise=True, padding=(0, 0, 0)).encode(picture()).rows
    mean, std = (np.array(of, np.float32) for of in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
    fed = (fitted.astype(np.float32) - mean) / std
    assert bytes(rows[0, :4].astype(np.uint8)) == zlib.crc32(fed.tobytes()).to_bytes(4, "big")


def test_what_the_npu_cost_comes_with_the_rows(start: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = start()
    monkeypatch.setenv("RKLLM_SIM_ENCODE_MS", "15")
    claim = Npu("llm", tmp_path / "npu").claim(Rank.IDLE)
    assert claim.take()
    timer = threading.Timer(0.05, claim.release)
    timer.start()
    cost = encoder.encode(picture()).npu
    assert cost.hold_ms >= 15
    assert (cost.behind, cost.wait_ms > 0) == ("llm", True)


def test_what_each_run_leaves_behind_is_collected(start: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RKLLM_SIM_FAULTS", "leak")
    encoder = start()
    left = sys.modules["rknnlite.api"].LEFT
    gc.collect()
    gc.disable()  # the engine must not rely on when Python would do it
    try:
        most = 0
        for seed in range(14):
            encoder.encode(picture(seed))
            most = max(most, len(left))
    finally:
        gc.enable()
    assert 0 < most < 2 * COLLECT_EVERY


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "driver": ({}, "old-driver", "the NPU does not take .*m.rknn; this is|usual causes"),
    "library": ({}, "old-librknnrt", "the NPU does not take"),
    "another SoC": ({"soc": "rk3576"}, "", "the NPU does not take"),
    "failing runs": ({}, "encoder-fails", r"the NPU failed on a picture of \[1, 32, 32, 3\]"),
    "a wrong size": ({"size": 64}, "", r"`layout` is not the model's \(the model takes pictures of 32 x 32\)"),
    "no size": ({}, "no-attributes", "does not tell what size of picture it takes; set `size`"),
    "sizes of the family": (
        {"family": "qwen2-vl-2b"},
        "no-attributes",
        r"a picture of \[1, 392, 392, 3\] or \[1, 476, 476, 3\] for",
    ),
    "another family": (
        {"family": "qwen3-vl-2b", "made": {"size": 448, "tokens": 196, "width": 1536}},
        "",
        r"rows of 1536 floats, but those of the family 'qwen3-vl-2b' have 8192 \(4 times 2048\)",
    ),
    "no family": ({"family": "qwen3"}, "", "no model family 'qwen3'; there are, nearest first: qwen3"),
    "no file": ({"model": "/nowhere.rknn"}, "", "the model /nowhere.rknn cannot be read"),
    "no model": ({"model": __file__}, "", "the NPU does not take"),
    "no such cores": ({"cores": "NPU_CORE_9"}, "", "RKNNLite has no core mask 'NPU_CORE_9'"),
}


@pytest.mark.parametrize(("options", "fault", "why"), FAULTS.values(), ids=FAULTS)
def test_failures_name_their_cause(
    options: dict[str, Any], fault: str, why: str, start: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_FAULTS", fault)
    with pytest.raises(engine.EngineError, match=why):
        start(**options)


def test_causes_are_those_that_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = True
    monkeypatch.setattr("os.access", lambda path, mode: allowed)  # root may open everything
    seen = rknn._causes(tmp_path, "x86_64")
    assert [part in seen for part in ("this is x86_64", "librknnrt.so is missing", "no NPU device")] == [True] * 3
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/librknnrt.so").touch()
    assert rknn._causes(tmp_path, "aarch64").startswith("the kernel has no NPU device")
    (tmp_path / "dev/dri").mkdir(parents=True)
    (tmp_path / "dev/dri/renderD129").touch()
    usual = rknn._causes(tmp_path, "aarch64")
    for cause in ("librknnrt.so is older than the model", "driver is older than 0.9.8", "the model is for another SoC"):
        assert cause in usual
    allowed = False
    assert rknn._causes(tmp_path, "aarch64") == "the NPU's device may not be opened: usermod -aG video,render USER"


@pytest.mark.usefixtures("start")
@pytest.mark.parametrize(("soc", "mask"), [("rk3588", 7), ("rk3576", 3)])
def test_a_soc_has_its_cores(soc: str, mask: int, tmp_path: Path) -> None:
    model = simulator.write_encoder(tmp_path / "any.rknn", size=32, tokens=4, width=8)
    options = {"model": str(model), "size": 32, "soc": soc, "npu": str(tmp_path / "npu")}
    assert engine.load("vision", "rknn", options)._rknn.core_mask == mask


def test_without_the_toolkit_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rknnlite", None)
    monkeypatch.setitem(sys.modules, "rknnlite.api", None)
    with pytest.raises(engine.EngineError, match=r"pip install 'edge-assistant\[rknn\]'"):
        engine.load("vision", "rknn", {"model": "m.rknn", "size": 32})


def test_what_is_no_picture_is_refused(start: Encode) -> None:
    with pytest.raises(engine.EngineError, match="no RGB picture"):
        start().encode(np.zeros((4, 4), np.uint8))


def test_both_engines_share_one_npu_and_the_reply_proves_the_picture(
    start: Encode, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_NPU", str(tmp_path / "board"))
    encoder = start(outputs=4)
    model = simulator.write_model(tmp_path / "m.rkllm", soc="rk3588", width=32)
    options = {"model": str(model), "library": str(build.library("1.3.0", built)), "npu": str(tmp_path / "npu")}
    llm = engine.load("llm", "rkllm", {**options, "row_width": 32, "template": {}, "max_new_tokens": 1000})
    for seed in range(3):
        rows = encoder.encode(picture(seed)).rows
        asked = [Message("user", (Picture(str(seed), rows), "What is it?"))]
        events = list(llm.reply(asked, Sampling(max_tokens=1000)))
        told = json.loads("".join(event.text for event in events if isinstance(event, Token)))
        assert told["pictures"] == [f"{zlib.crc32(rows.tobytes()):08x}"]
    llm.close()
    with Npu("llm", tmp_path / "npu").hold(Rank.IDLE):
        assert not (tmp_path / "board.overlaps").exists()
