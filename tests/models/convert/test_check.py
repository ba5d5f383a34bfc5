"""`make convert-check` itself, with the stand-in: its pictures, its table, its exit codes."""

from pathlib import Path

import pytest

from models.convert import check


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "CALIBRATED", 2)
    monkeypatch.setattr(check, "COMPARED", 2)


@pytest.mark.usefixtures("few")
def test_a_line_for_each_soc_and_dtype(
    tmp_path: Path, toolkit: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(["--out", str(tmp_path), "--soc", "rk3576"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["soc", "dtype", "output", "shape", "pictures"]
    assert [line.split()[:5] for line in lines] == [
        ["rk3576", dtype, "image_features", "1x27x192", "10"] for dtype in ("fp16", "int8")
    ]
    calibrated = {path.read_bytes() for path in (tmp_path / "calibration").iterdir()}
    assert not calibrated & {path.read_bytes() for path in (tmp_path / "compared").iterdir()}


@pytest.mark.usefixtures("few")
def test_one_that_fails_does_not_hide_the_others(
    tmp_path: Path, toolkit: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toolkit.setenv("STAND_IN_RKNN", "build")
    toolkit.setenv("STAND_IN_ONCE", str(tmp_path / "failed"))
    assert check.main(["--out", str(tmp_path / "out"), "--soc", "rk3588"]) == 1
    said = capsys.readouterr()
    assert "convert-check: pico_fp16_rk3588: the toolkit could not build the model" in said.err
    assert said.out.splitlines()[1].split()[:2] == ["rk3588", "int8"]


@pytest.mark.usefixtures("few")
def test_one_that_is_not_close_is_named(
    tmp_path: Path, toolkit: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toolkit.setattr(check, "BOUNDS", {"fp16": 1.1, "int8": 0.5})
    assert check.main(["--out", str(tmp_path), "--soc", "rk3588"]) == 1
    assert "pico_fp16_rk3588: image_features has a cosine of" in (said := capsys.readouterr().err)
    assert "pico_int8" not in said.split("convert-check:", 1)[1]


@pytest.mark.usefixtures("few")
def test_without_the_toolkit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["--out", str(tmp_path)]) == 69
    assert "rknn-toolkit2 is not installed" in capsys.readouterr().err
