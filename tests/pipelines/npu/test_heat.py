"""The thermometer: the right zone on any board, and nothing that a sensor says can hurt."""

from pathlib import Path

import pytest

from pipelines.npu.heat import THERMAL, Thermometer


def zone(folder: Path, number: int, kind: str, temp: str | bytes = "45000\n") -> Path:
    made = folder / f"thermal_zone{number}"
    made.mkdir(parents=True)
    (made / "type").write_text(kind + "\n")
    (made / "temp").write_bytes(temp if isinstance(temp, bytes) else temp.encode())
    return made


def test_the_zone_is_found_by_its_type_whatever_its_number(tmp_path: Path) -> None:
    zone(tmp_path, 0, "soc-thermal", "50000\n")
    zone(tmp_path, 1, "gpu-thermal", "51000\n")
    assert Thermometer(tmp_path).read() == 50.0  # where the NPU has none of its own
    zone(tmp_path, 10, "npu-thermal", "61250\n")
    assert Thermometer(tmp_path).read() == 61.25


@pytest.mark.parametrize(
    "said",
    ["", "\n", "hot\n", "85.5\n", "999999\n", "-274000\n", b"\xff\xfe", "9" * 5000],
    ids=lambda said: str(said)[:9],
)
def test_what_makes_no_sense_is_not_known(said: str | bytes, tmp_path: Path) -> None:
    zone(tmp_path, 0, "npu-thermal", said)
    assert Thermometer(tmp_path).read() is None


def test_a_machine_without_such_zones_and_one_that_loses_them(tmp_path: Path) -> None:
    zone(tmp_path / "pc", 0, "x86_pkg_temp")
    (tmp_path / "pc" / "thermal_zone1").mkdir()  # without a type
    assert Thermometer(tmp_path / "pc").read() is None
    assert Thermometer(tmp_path / "nowhere").read() is None
    made = zone(tmp_path / "board", 3, "npu-thermal")
    thermometer = Thermometer(tmp_path / "board")
    assert thermometer.read() == 45.0
    (made / "temp").unlink()
    assert thermometer.read() is None
    (made / "temp").write_text("46000")
    assert thermometer.read() == 46.0


def test_the_folder_may_be_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, 0, "npu-thermal", "90000")
    monkeypatch.setenv(THERMAL, str(tmp_path))
    assert Thermometer().read() == 90.0
