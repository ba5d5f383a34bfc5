"""What is changed of a graph before the toolkit has it leaves what it computes as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper

from models.convert import graph, rewrite
from models.convert.outcome import Refused
from tests.models.convert.graphs import EDGE, FOUND, encoder, save


def run(path: Path, pixels: NDArray[Any], **others: NDArray[Any]) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    out: NDArray[Any] = session.run(None, {session.get_inputs()[0].name: pixels, **others})[0]
    return out


def picture(seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(1, 3, EDGE, EDGE)).astype(np.float32)


@pytest.mark.parametrize("beside", [False, True])
def test_prepared_graph_computes_the_same_with_operators_the_toolkit_gets_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    """Also one whose weights would not fit into one file with it."""
    before, after = encoder(tmp_path / "a.onnx"), tmp_path / "b.onnx"
    if beside:
        monkeypatch.setattr(graph, "LIMIT", 0)
    seen = graph.inspect(before)
    notes = graph.prepare(seen, after, graph.size(seen, None), {})
    for seed in range(5):
        assert np.array_equal(run(before, picture(seed)), run(after, picture(seed)))
    assert run(after, picture()).shape == (1, 4, FOUND)
    operators = {node.op_type for node in onnx.load(str(after)).graph.node}
    assert not operators & {"DequantizeLinear", "Pad", "GreaterOrEqual"}
    assert len(notes) == 4
    assert (tmp_path / "b.data").is_file() == beside
    found = graph.inspect(after)
    assert found.bytes > (tmp_path / "a.onnx").stat().st_size
    assert found.beside == ([tmp_path / "b.data"] if beside else [])
    assert {domain.domain for domain in onnx.load(str(after)).opset_import} == {""}
    if beside:
        (tmp_path / "b.data").unlink()
        with pytest.raises(Refused, match=r"lie in b\.data, which is not beside it"):
            graph.inspect(after)


def test_picture_with_an_axis_for_pictures_comes_without_it(tmp_path: Path) -> None:
    shape = ["batch", "pictures", 3, EDGE, EDGE]
    nodes = [helper.make_node("ReduceMean", ["pixels"], ["out"], axes=[3, 4], keepdims=0)]
    before, after = save(tmp_path / "a.onnx", nodes, {"pixels": shape}, {}), tmp_path / "b.onnx"
    seen = graph.inspect(before)
    graph.prepare(seen, after, graph.size(seen, None), {})
    pixels = picture()
    assert np.allclose(run(before, pixels[np.newaxis]), run(after, pixels))
    assert graph.inspect(after).pixels.shape == [1, 3, EDGE, EDGE]


def test_other_inputs_become_constants(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["grid_int64"], ["grid"], to=1),
        helper.make_node("ReduceSum", ["grid"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["pixels", "sum"], ["out"]),
    ]
    shapes: dict[str, list[Any]] = {"pixels": [1, 3, "h", "w"], "grid_int64": [1, 3]}
    before, after = save(tmp_path / "a.onnx", nodes, shapes, {}), tmp_path / "b.onnx"
    seen = graph.inspect(before)
    with pytest.raises(Refused, match="--constant grid_int64"):
        graph.constants(seen, {})
    with pytest.raises(Refused, match="no input 'grit'"):
        graph.constants(seen, {"grit": [1.0]})
    with pytest.raises(Refused, match="3 values, or one for all"):
        graph.constants(seen, {"grid_int64": [1.0, 2.0]})
    fixed = graph.constants(seen, {"grid_int64": [1.0, 2.0, 4.0]})
    with pytest.raises(Refused, match="--size"):
        graph.size(seen, None)
    graph.prepare(seen, after, graph.size(seen, (EDGE, EDGE)), fixed)
    assert np.allclose(run(after, picture()), picture() * 7)
    assert [value.name for value in onnx.load(str(after)).graph.input] == ["pixels"]


@pytest.mark.parametrize(
    ("pads", "shape", "stays"),
    [
        ([0, 0, 1, 1, 0, 0, 1, 1], [1, 2, 4, 4], True),  # around a picture
        ([0, 1, 0, 0, 0, 2, 0, 3], [1, 2, 4, 4], False),
        ([0, 0, -1, 0, 0, 0], [1, 2, 4], True),  # a crop
        ([2, 1], [3], False),
    ],
)
def test_pad_becomes_concat_only_where_it_may(tmp_path: Path, pads: list[int], shape: list[int], stays: bool) -> None:
    nodes = [helper.make_node("Pad", ["pixels", "pads", "filling"], ["out"])]
    weights: dict[str, NDArray[Any]] = {"pads": np.array(pads, np.int64), "filling": np.array(7, np.float32)}
    path = save(tmp_path / "a.onnx", nodes, {"pixels": shape}, weights)
    values = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    wanted = run(path, values)
    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    assert bool(rewrite.pads_as_concat(model)) != stays
    onnx.save(model, str(path))
    assert np.array_equal(run(path, values), wanted)
    assert ("Pad" in {node.op_type for node in model.graph.node}) == stays


@pytest.mark.parametrize(("zero", "axis"), [(False, 0), (True, 1), (True, None)])
def test_weights_become_the_floats_that_they_stand_for(tmp_path: Path, zero: bool, axis: int | None) -> None:
    count = 1 if axis is None else (4, 3)[axis]
    shape = () if axis is None else (count,)
    rng = np.random.default_rng(5)
    weights: dict[str, NDArray[Any]] = {
        "w": rng.integers(0, 255, (4, 3)).astype(np.uint8),
        "s": rng.uniform(0.01, 0.1, shape).astype(np.float32),
        "z": np.full(shape, 128, np.uint8),
    }
    inputs = ["w", "s", "z"] if zero else ["w", "s"]
    nodes = [
        helper.make_node("DequantizeLinear", inputs, ["weight"], axis=axis or 0),
        helper.make_node("Mul", ["pixels", "weight"], ["out"]),
    ]
    path = save(tmp_path / "a.onnx", nodes, {"pixels": [4, 3]}, weights)
    wanted = run(path, np.ones((4, 3), np.float32))
    model = onnx.load(str(path))
    assert rewrite.float_weights(model) == ["1 weights stored as integers became floats"]
    assert not {"w", "s", "z"} & {one.name for one in model.graph.initializer}
    onnx.save(model, str(path))
    assert np.allclose(run(path, np.ones((4, 3), np.float32)), wanted, atol=1e-6)


def test_only_a_comparison_with_its_own_maximum_gets_slack(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMax", ["pixels"], ["best"], axes=[-1], keepdims=1),
        helper.make_node("GreaterOrEqual", ["best", "pixels"], ["other"]),
        helper.make_node("Cast", ["other"], ["out"], to=1),
    ]
    model = onnx.load(str(save(tmp_path / "a.onnx", nodes, {"pixels": [1, 4]}, {})))
    assert rewrite.near_maximum(model) == []


def test_what_is_no_encoder_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no graph at all")
    with pytest.raises(Refused, match="cannot be read as ONNX"):
        graph.inspect(tmp_path / "no.onnx")
    with pytest.raises(Refused, match="cannot be read as ONNX"):
        graph.inspect(tmp_path / "missing.onnx")
    nodes = [helper.make_node("Add", ["one", "two"], ["out"])]
    two = save(tmp_path / "two.onnx", nodes, {"one": [1, 3, 8, 8], "two": [1, 3, 8, 8]}, {})
    with pytest.raises(Refused, match="--input"):
        graph.inspect(two)
    assert [value.name for value in graph.inspect(two, "two").others] == ["one"]
    fast = [helper.make_node("FastGelu", ["pixels"], ["out"], domain="com.microsoft")]
    with pytest.raises(Refused, match=r"com\.microsoft\.FastGelu.*plain export"):
        graph.inspect(save(tmp_path / "fast.onnx", fast, {"pixels": [1, 3, 8, 8]}, {}))
    grey = save(tmp_path / "grey.onnx", [helper.make_node("Abs", ["one"], ["out"])], {"one": [1, 1, 8, 8]}, {})
    with pytest.raises(Refused, match=r"\[1, 3, height, width\]"):
        graph.inspect(grey)
    whole = save(tmp_path / "w.onnx", [helper.make_node("Abs", ["a_int64"], ["out"])], {"a_int64": [1, 3, 8, 8]}, {})
    with pytest.raises(Refused, match="float32"):
        graph.inspect(whole)


def test_a_size_that_is_not_the_graphs_is_refused(tmp_path: Path) -> None:
    seen = graph.inspect(encoder(tmp_path / "a.onnx"))
    with pytest.raises(Refused, match="8x8, not 16x16"):
        graph.size(seen, (16, 16))
    assert graph.size(seen, (8, 8)) == (8, 8)
