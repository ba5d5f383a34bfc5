"""Writing ONNX graphs node by node (onnx, Apache-2.0). Large weights go at once to the file beside the graph."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from . import Numbers

MICROSOFT = "com.microsoft"  # onnxruntime's own operators, which published exports use
INLINE = 1024  # bytes: smaller constants stay in the graph, where shapes and axes must be
PAGE = 4096  # bytes: where a weight begins in the file beside, so that it can be mapped
FLOAT, INT64, INT32 = int(TensorProto.FLOAT), int(TensorProto.INT64), int(TensorProto.INT32)
Value = tuple[int, Any]  # element type and shape; a dimension that is open has a name


class Graph:
    """Collects nodes; calling it adds one and gives the name of its output. Use as a context, then save()."""

    def __init__(self, path: Path, numbers: Numbers) -> None:
        self._path, self._beside = path, path.with_name(f"{path.name}_data")
        self._data = self._beside.open("wb")
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._small: dict[tuple[str, bytes, tuple[int, ...]], str] = {}
        self.numbers = numbers

    def __enter__(self) -> "Graph":
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()

    def __call__(self, op: str, *inputs: str, out: str = "", domain: str = "", **attributes: Any) -> str:
        name = out or f"n{len(self._nodes)}"
        self.several(op, inputs, [name], domain, **attributes)
        return name

    def several(self, op: str, inputs: Sequence[str], out: list[str], domain: str = "", **attributes: Any) -> list[str]:
        """A node with several outputs; gives their names ``out`` back."""
        self._nodes.append(helper.make_node(op, list(inputs), out, domain=domain, **attributes))
        return out

    def fresh(self, count: int) -> list[str]:
        """Names for the outputs of the next node."""
        return [f"n{len(self._nodes)}.{index}" for index in range(count)]

    def weight(self, name: str, *shape: int, scale: float = 0.0) -> str:
        """A random one; see Numbers.draw."""
        return self.constant(self.numbers.draw(name, *shape, scale=scale))

    def constant(self, value: NDArray[Any]) -> str:
        value = np.asarray(value)
        if value.nbytes < INLINE:
            key = (value.dtype.str, value.tobytes(), value.shape)
            if key not in self._small:
                self._small[key] = f"c{len(self._small)}"
                self._weights.append(numpy_helper.from_array(value, self._small[key]))
            return self._small[key]
        name, start = f"w{len(self._weights)}", -(-self._data.tell() // PAGE) * PAGE
        self._data.seek(start)
        self._data.write(np.ascontiguousarray(value).data)
        tensor = TensorProto(name=name, dims=value.shape, data_type=helper.np_dtype_to_tensor_dtype(value.dtype))
        tensor.data_location = TensorProto.EXTERNAL
        for key_, text in (("location", self._beside.name), ("offset", start), ("length", value.nbytes)):
            tensor.external_data.add(key=key_, value=str(text))
        self._weights.append(tensor)
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def save(self, inputs: Mapping[str, Value], outputs: Mapping[str, Value]) -> None:
        """Write the graph; inputs and outputs by name."""
        given, made = (
            [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in named.items()]
            for named in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, "random", given, made, self._weights)
        sets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=sets, ir_version=8)
        self._path.write_bytes(model.SerializeToString())
