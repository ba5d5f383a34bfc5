"""The command from graph to report, with a stand-in for the toolkit; the true one runs in `make convert-check`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.convert import rknn_vision
from pipelines.image import encode_png
from tests.models.convert.graphs import EDGE, encoder

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Converts the small encoder in a folder whose name has a space; more arguments are added."""
    home = tmp_path / "a space"
    for number in range(3):
        path = home / "photos" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(np.random.default_rng(number).integers(0, 255, (20, 30, 3)).astype(np.uint8)))
    model = encoder(home / "encoder.onnx")

    def convert(*more: str) -> int:
        given = [str(model), "--out", str(home / "out" / "vision.rknn"), "--pictures", str(home / "photos"), *more]
        return rknn_vision.main(given)

    return convert


def report(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "a space" / "out" / "vision.rknn.json").read_text())


def test_fp16(tmp_path: Path, run: Run, toolkit: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--soc", "rk3576", "--op-target", "/a=b/Conv=cpu", "--disable-rule", "one") == 0
    said = report(tmp_path)
    assert (said["soc"], said["dtype"], said["model"]["bytes"]) == ("rk3576", "fp16", 31)
    assert said["figures"][0]["cosine"] == pytest.approx(1.0)
    assert said["settings"]["vision.encoder.rknn.size"] == EDGE
    assert (said["options"]["op_target"], said["options"]["disable_rules"]) == ({"/a=b/Conv": "cpu"}, ["one"])
    assert (tmp_path / "a space" / "out" / "vision.rknn").read_bytes().endswith(b"rk3576")
    assert "vision.rknn: rknn for rk3576, fp16" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "a space" / "out").iterdir()) == [
        "vision.rknn", "vision.rknn.json", "vision.rknn.log", "vision.rknn.txt",
    ]  # fmt: skip


@pytest.mark.parametrize("more", [(), ("--layout", "nchw"), ("--normalise", "application")])
def test_int8(tmp_path: Path, run: Run, toolkit: pytest.MonkeyPatch, more: tuple[str, ...]) -> None:
    assert run("--dtype", "int8", "--calibration", str(tmp_path / "a space" / "photos"), *more) == 0
    said = report(tmp_path)
    assert said["options"]["calibrated_on"] == 3
    assert any("3 pictures only" in one for one in said["warnings"])
    log = (tmp_path / "a space" / "out" / "vision.rknn.log").read_text()
    assert f"calibrated on 3 of {{(1, 3, {EDGE}, {EDGE})}}" in log


def test_a_result_that_is_not_close_is_told_and_kept(
    tmp_path: Path, run: Run, toolkit: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--bound", "1.1") == 1
    assert "not close enough: out has a cosine of 1.0" in capsys.readouterr().err
    assert report(tmp_path)["bound"] == 1.1


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ("config", "could not take these options (it returned -1); it said: E config: the stand-in"),
        ("load_onnx", "could not load the graph"),
        ("build", "could not build the model"),
        ("export_rknn", "could not write"),
        ("init_runtime", "could not start its simulator"),
        ("inference", "the simulator failed on picture 1"),
        ("build:raise", "raised ValueError at 'building, the longest part'"),
        ("build:kill9", "the system killed the toolkit at 'building, the longest part'"),
        ("build:kill11", "died 2 times of SIGSEGV"),
    ],
)
def test_each_stage_that_fails_is_a_sentence_and_leaves_no_model(
    tmp_path: Path, run: Run, toolkit: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stage: str, says: str
) -> None:
    toolkit.setenv("STAND_IN_RKNN", stage)
    assert run() == 1
    assert says in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "a space" / "out").iterdir()] == ["vision.rknn.log"]


def test_a_crash_is_tried_once_more(
    tmp_path: Path, run: Run, toolkit: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toolkit.setenv("STAND_IN_RKNN", "build:kill11")
    toolkit.setenv("STAND_IN_ONCE", str(tmp_path / "failed"))
    assert run() == 0
    assert "died of SIGSEGV at 'building, the longest part'; once more" in capsys.readouterr().err


def test_without_the_toolkit(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 69
    assert "pip install -r models/convert/requirements.txt" in capsys.readouterr().err


def test_an_unreadable_calibration_picture_is_named(
    tmp_path: Path, run: Run, toolkit: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "a space" / "photos"
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a JPEG")
    int8 = ("--dtype", "int8", "--calibration", str(photos))
    assert run(*int8) == 2
    assert "1 of 4 pictures cannot be read" in (said := capsys.readouterr().err)
    assert "broken.jpg" in said
    assert run(*int8, "--skip-unreadable") == 0
    assert any("1 unreadable pictures left out" in one and "broken.jpg" in one for one in report(tmp_path)["warnings"])


def test_what_cannot_be_written_is_a_sentence(
    tmp_path: Path, run: Run, toolkit: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a space" / "out").write_text("a file where the folder should be")
    assert run() == 1
    assert "rknn_vision: " in (said := capsys.readouterr().err)
    assert "exists" in said


def test_a_graph_that_computes_in_integers_is_refused_for_int8(
    tmp_path: Path, toolkit: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from onnx import helper

    from tests.models.convert.graphs import save

    (tmp_path / "p.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    nodes = [
        helper.make_node("QuantizeLinear", ["pixels", "s"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["out"]),
    ]
    model = save(tmp_path / "q.onnx", nodes, {"pixels": [1, 3, 8, 8]}, {"s": np.array(0.1, np.float32)})
    given = [str(model), "--out", str(tmp_path / "q.rknn"), "--pictures", str(tmp_path / "p.png")]
    assert rknn_vision.main([*given, "--dtype", "int8", "--calibration", str(tmp_path / "p.png")]) == 2
    assert "QuantizeLinear" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [("--op-target", "conv=tpu"), ("--mean", "1,2"), ("--padding", "0,0,256"), ("--size", "x"), ("--constant", "a=b")],
)
def test_a_value_that_cannot_be_is_refused_by_its_option(
    run: Run, capsys: pytest.CaptureFixture[str], more: tuple[str, str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(*more)
    assert f"argument {more[0]}: invalid" in capsys.readouterr().err
