"""Small ONNX graphs that have what makes conversion hard."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

EDGE, FOUND = 8, 5


def save(path: Path, nodes: list[Any], inputs: dict[str, list[Any]], weights: dict[str, NDArray[Any]]) -> Path:
    """One output, ``out``; every input is float32 unless its name says int64."""
    kinds = {name: TensorProto.INT64 if "int64" in name else TensorProto.FLOAT for name in inputs}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kinds[name], shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def encoder(path: Path, pixels: list[Any] | None = None) -> Path:
    """Integer weights, a hard decision, and a Pad that is not around a picture: out [1, 4, FOUND]."""
    weight = np.random.default_rng(3).integers(-100, 100, (FOUND, 3, EDGE, EDGE)).astype(np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["weight"], axis=0),
        helper.make_node("Conv", ["pixels", "weight"], ["scores"]),
        helper.make_node("Reshape", ["scores", "row"], ["rows"]),
        helper.make_node("ReduceMax", ["rows"], ["best"], axes=[-1], keepdims=1),
        helper.make_node("GreaterOrEqual", ["rows", "best"], ["decided"]),
        helper.make_node("Cast", ["decided"], ["one"], to=TensorProto.FLOAT),
        helper.make_node("Pad", ["one", "pads"], ["out"]),
    ]
    weights: dict[str, NDArray[Any]] = {
        "w": weight,
        "s": np.linspace(0.01, 0.02, FOUND, dtype=np.float32),
        "row": np.array([1, 1, FOUND], np.int64),
        "pads": np.array([0, 2, 0, 0, 1, 0], np.int64),
    }
    return save(path, nodes, {"pixels": pixels or ["batch", 3, EDGE, EDGE]}, weights)
