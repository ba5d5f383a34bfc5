"""What does not go together is refused before anything is read."""

from pathlib import Path
from typing import Any

import pytest

from models.convert import vision_options
from models.convert.outcome import Refused, unfit
from models.convert.vision_options import VisionOptions
from tests.models.convert.daemon import taken


def options(**changed: Any) -> VisionOptions:
    plain: dict[str, Any] = {"onnx": Path("a.onnx"), "out": Path("a.rknn"), "pictures": Path("p")}
    return VisionOptions(**(plain | changed))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"out": Path("a.bin")}, "is no .rknn"),
        ({"std": (1.0, 0.0, 1.0)}, "not above 0"),
        ({"size": (8, 448)}, "not within 16"),
        ({"optimization_level": 4}, "0 … 3"),
        ({"limit": 0}, "1 or more"),
        ({"dtype": "int8"}, "int8 needs --calibration"),
        ({"auto_hybrid": True}, "are for int8"),
        ({"algorithm": "mmse"}, "are for int8"),
        ({"calibration": Path("c")}, "say --pictures"),
        ({"pictures": None}, "say --pictures"),
    ],
)
def test_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=says):
        vision_options.check(options(**changed))


def test_what_is_there_is_replaced_only_when_told(tmp_path: Path) -> None:
    there = tmp_path / "a.rknn"
    there.touch()
    with pytest.raises(Refused, match="--force"):
        vision_options.check(options(out=there))
    assert vision_options.check(options(out=there, force=True)) == []


def test_mean_and_std_are_in_one_place_only() -> None:
    inside = options(mean=(1.0, 2.0, 3.0))
    assert vision_options.config(inside)["mean_values"] == [[1.0, 2.0, 3.0]]
    assert vision_options.settings(inside, (448, 448))["vision.encoder.rknn.normalise"] is False
    outside = options(mean=(1.0, 2.0, 3.0), normalise="application")
    assert "mean_values" not in vision_options.config(outside)
    assert vision_options.settings(outside, (448, 448))["vision.encoder.rknn.mean"] == [1.0, 2.0, 3.0]


def test_settings_are_what_the_daemon_takes(capsys: pytest.CaptureFixture[str]) -> None:
    said = vision_options.settings(options(normalise="application"), (448, 448))
    assert said["vision.encoder.rknn.size"] == 448
    assert taken(said) == 0
    assert taken(said | {"vision.encoder.rknn.sise": 448}) != 0
    assert "sise" in capsys.readouterr().err


def test_int8_alone_names_a_quantized_type() -> None:
    assert "quantized_dtype" not in vision_options.config(options())
    assert vision_options.config(options(dtype="int8", calibration=Path("c")))["quantized_dtype"] == "w8a8"


def test_what_a_family_needs_besides_reaches_the_toolkit() -> None:
    said = vision_options.config(options(op_target={"/a/Conv": "cpu"}, disable_rules=["one_rule"]))
    assert (said["op_target"], said["disable_rules"]) == ({"/a/Conv": "cpu"}, ["one_rule"])
    assert not {"op_target", "disable_rules"} & set(vision_options.config(options()))


@pytest.mark.parametrize(("count", "limit", "taken"), [(3, 5, [0, 1, 2]), (10, 5, [0, 2, 4, 6, 8]), (7, 3, [0, 2, 4])])
def test_pictures_are_taken_from_the_whole_set(count: int, limit: int, taken: list[int]) -> None:
    assert vision_options.thinned(count, limit) == taken


def test_where_the_toolkit_cannot_be() -> None:
    assert unfit("x86_64", (3, 12)) == ""
    assert "aarch64" in unfit("aarch64", (3, 11))
    assert "this is 3.13" in unfit("x86_64", (3, 13))
    assert "this is 3.9" in unfit("x86_64", (3, 9))
