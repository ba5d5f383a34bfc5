"""Figures of a comparison, bounds, and the report that carries them."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest

from models.convert import compare, report
from models.convert.compare import Figure
from models.convert.report import Report


def test_the_worst_picture_counts() -> None:
    wanted = [[np.array([[1.0, 0.0]]), np.array([2.0])], [np.array([[0.0, 1.0]]), np.array([-8.0])]]
    found = [[np.array([1.0, 0.0]), np.array([2.5])], [np.array([1.0, 1.0]), np.array([-8.0])]]
    first, second = compare.compare(["rows", "score"], wanted, found)
    assert first.cosine == pytest.approx(math.sqrt(0.5))
    assert first.cosine_mean == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert (first.difference, first.largest, first.pictures, first.shape) == (1.0, 1.0, 2, [1, 2])
    assert (second.cosine, second.difference, second.largest) == (1.0, 0.5, 8.0)
    assert compare.below([first, second], 0.9) == [
        "rows has a cosine of 0.70711 on its worst picture, below 0.9",
    ]


def test_what_is_no_number_is_not_close() -> None:
    assert compare.cosine(np.array([1.0, np.nan]), np.array([1.0, 1.0])) == 0.0
    assert compare.cosine(np.zeros(3), np.ones(3)) == 0.0
    assert compare.cosine(np.zeros(3), np.zeros(3)) == 1.0
    [figure] = compare.compare(["rows"], [[np.ones(2)]], [[np.array([1.0, np.inf])]])
    assert (figure.cosine, figure.difference) == (0.0, math.inf)


def test_outputs_that_do_not_correspond_are_an_error() -> None:
    with pytest.raises(ValueError, match="0 pictures came back where 1"):
        compare.compare(["rows"], [[np.ones(2)]], [])
    with pytest.raises(ValueError, match="gives 2 outputs, the graph 1"):
        compare.compare(["rows"], [[np.ones(2)]], [[np.ones(2), np.ones(2)]])
    with pytest.raises(ValueError, match=r"rows is \[3\] from the toolkit, \[2\]"):
        compare.compare(["rows"], [[np.ones(2)]], [[np.ones(3)]])


def test_report_names_the_model_by_its_checksum(tmp_path: Path) -> None:
    model = tmp_path / "vision.rknn"
    model.write_bytes(b"model")
    made = Report(
        kind="rknn",
        made_at=report.now(),
        model=report.source(model),
        sources=[report.source(model)],
        soc="rk3588",
        dtype="int8",
        options={"limit": 3},
        settings={"engine": "rknn"},
        versions=report.versions(["numpy", "no-such-package"]),
        seconds=1.5,
        warnings=["few pictures"],
        figures=[Figure("rows", [1, 2], 3, 0.5, 0.6, 0.25, 1.0)],
        bound=0.98,
    )
    machine, readable = report.write(made, model)
    said = json.loads(machine.read_text())
    assert (machine.name, readable.name) == ("vision.rknn.json", "vision.rknn.txt")
    assert said["model"] == {"path": "vision.rknn", "bytes": 5, "sha256": hashlib.sha256(b"model").hexdigest()}
    assert said["figures"][0]["cosine"] == 0.5
    assert said["versions"]["no-such-package"] == "not installed"
    text = readable.read_text()
    assert all(word in text for word in ("few pictures", "0.500000", "0.25", 'engine = "rknn"', "0.98"))


def test_a_folders_checksum_is_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    found = report.source(tmp_path)
    assert (found.bytes, found.sha256) == (2, hashlib.sha256(b"12").hexdigest())
