"""The NPU's image encoder on the stand-in board: what it makes of pictures, and errors that name their cause."""

import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import engine, simulator
from pipelines.image import fit
from pipelines.llm import Message, Picture, Sampling, Token
from pipelines.npu.lock import Npu, Rank
from pipelines.simulator import build
from pipelines.vision import rknn

Encode = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Encode:
    """The engine with a simulated model: ``start(outputs=4, layout="nchw")``."""
    monkeypatch.syspath_prepend(str(simulator.STAND_IN))
    monkeypatch.setenv("RKLLM_SIM_SOC", "rk3588")

    def one(outputs: int = 1, soc: str = "rk3588", **options: Any) -> Any:
        model = simulator.write_encoder(tmp_path / "m.rknn", size=32, tokens=4, width=8, outputs=outputs, soc=soc)
        given = {"model": str(model), "size": 32, "npu": str(tmp_path / "npu")}
        return engine.load("vision", "rknn", {**given, **options})

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


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "driver": ({}, "old-driver", "the NPU does not take .*m.rknn; this is|usual causes"),
    "library": ({}, "old-librknnrt", "the NPU does not take"),
    "another SoC": ({"soc": "rk3576"}, "", "the NPU does not take"),
    "failing runs": ({}, "encoder-fails", r"the NPU failed on a picture of \[1, 32, 32, 3\]"),
    "a wrong size": ({"size": 64}, "", "`size` or `layout` is not the model's"),
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
