"""Calibration sets: found, read, refused by name, and laid out as the toolkit reads them."""

from pathlib import Path

import numpy as np
import pytest

from models.convert import pictures
from models.convert.outcome import Refused
from pipelines.image import encode_png


def draw(path: Path, shade: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.full((4, 6, 3), shade, np.uint8)))
    return path


def test_a_folder_or_a_list(tmp_path: Path) -> None:
    one, two = draw(tmp_path / "set" / "b.png"), draw(tmp_path / "set" / "deep" / "a.PNG")
    (tmp_path / "set" / "notes.txt").write_text("no picture")
    assert pictures.find(tmp_path / "set") == [one, two]
    listed = tmp_path / "list.txt"
    listed.write_text("# mine\nset/deep/a.PNG\n\nset/b.png\n")
    assert pictures.find(listed) == [two, one]
    assert pictures.find(one) == [one]


def test_no_picture_at_all(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no picture"):
        pictures.find(tmp_path)
    with pytest.raises(Refused, match="neither a folder"):
        pictures.find(tmp_path / "missing.txt")


def test_an_unreadable_picture_is_named_and_refused(tmp_path: Path) -> None:
    good, bad = draw(tmp_path / "a.png"), tmp_path / "b.png"
    bad.write_bytes(good.read_bytes()[:40])
    with pytest.raises(Refused, match=r"2 of 3 pictures cannot be read: .*b\.png: .*; .*c\.png: .*--skip-unreadable"):
        pictures.read([good, bad, tmp_path / "c.png"])


def test_or_left_out_and_counted(tmp_path: Path) -> None:
    good = draw(tmp_path / "a.png")
    came = pictures.read([good, tmp_path / "c.png"], skip=True)
    assert came.names == ["a.png"]
    assert len(came.unreadable) == 1
    assert "c.png" in came.unreadable[0]
    with pytest.raises(Refused, match="there is none left"):
        pictures.read([tmp_path / "c.png"], skip=True)


def test_the_toolkits_list_names_one_array_a_line(tmp_path: Path) -> None:
    came = pictures.read([draw(tmp_path / "a.png", 10), draw(tmp_path / "b.png", 250)])
    frames = pictures.framed(came.pictures, 8, 8, (128, 128, 128))
    folder = tmp_path / "a folder with spaces"
    listed = pictures.calibration(folder, [pictures.normalised(one, (0, 0, 0), (1, 1, 1)) for one in frames])
    lines = listed.read_text().splitlines()
    assert lines == ["00000.npy", "00001.npy"]
    second = np.load(folder / lines[1])
    assert (second.shape, second.dtype) == ((1, 3, 8, 8), np.float32)
    assert second[0, 0, 4, 4] == 250
    assert second[0, 0, 0, 0] == 128  # above the picture, which is wider than it is high


def test_mean_and_std_of_each_colour() -> None:
    pixels = np.array([[[0, 100, 200]]], np.uint8)
    found = pictures.normalised(pixels, (0.0, 50.0, 100.0), (1.0, 2.0, 4.0))
    assert found.ravel().tolist() == [0.0, 25.0, 25.0]
