"""Changes to an ONNX graph in memory, each a function of its own that returns a sentence for what it did, if anything.

Why each is needed stands in README.md, "What is changed of a graph".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

INLINE = 1024  # bytes: smaller constants stay in the graph, where shapes must be
SLACK = 0.05  # half precision tells values of 16 … 32 apart by 0.016; class scores that are nearer than this are a tie


def bake(model: Any, fixed: Mapping[str, NDArray[Any]]) -> list[str]:
    """Inputs that never change become constants of the graph."""
    from onnx import numpy_helper

    for value in [value for value in model.graph.input if value.name in fixed]:
        model.graph.input.remove(value)
        model.graph.initializer.append(numpy_helper.from_array(fixed[value.name], value.name))
    return [f"{', '.join(fixed)}: fixed"] if fixed else []


def one_picture(model: Any, pixels: str, frame: tuple[int, int]) -> list[str]:
    """The picture's input is [1, 3, height, width]; one with an axis more, for pictures, gets a Reshape behind it."""
    from onnx import helper, numpy_helper

    value = next(value for value in model.graph.input if value.name == pixels)
    before = [int(one.dim_value) for one in value.type.tensor_type.shape.dim]
    after = [1, 3, *frame]
    value.type.tensor_type.ClearField("shape")
    for length in after:
        value.type.tensor_type.shape.dim.add().dim_value = length
    if len(before) == 5:
        inner = f"{pixels}_of_one"
        for node in model.graph.node:
            node.input[:] = [inner if name == pixels else name for name in node.input]
        shape = numpy_helper.from_array(np.array([1, *after], np.int64), f"{pixels}_shape")
        model.graph.initializer.append(shape)
        model.graph.node.insert(0, helper.make_node("Reshape", [pixels, shape.name], [inner]))
    # Shapes that were noted for an open batch would contradict what follows from the fixed one.
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return [f"{pixels}: {before} is now {after}"] if before != after else []


def float_weights(model: Any) -> list[str]:
    """Weights that are stored as integers with scales become floats again."""
    from onnx import numpy_helper

    values = _values(model)
    kept, count = [], 0
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or any(name and name not in values for name in node.input):
            kept.append(node)
            continue
        stored, scale, *zero = (values[name] for name in node.input if name)
        said = {one.name: one.i for one in node.attribute}
        weight = _dequantized(stored, scale, zero[0] if zero else None, said.get("axis", 1), said.get("block_size", 0))
        model.graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))
        count += 1
    _nodes(model, kept)
    return [f"{count} weights stored as integers became floats"] if count else []


def folded(model: Any, folder: Path, beside: bool) -> Any:
    """The same graph with everything computed that depends on no picture, by onnxruntime; ``model`` is spent.

    ``folder`` is written. ``beside``: weights go through files of their own, for graphs that no one file can hold.
    """
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # standard operators only
    options.optimized_model_filepath = str(folder / "folded.onnx")
    options.log_severity_level = 3
    if beside:
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "folded.data")
        options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", str(INLINE))
    save(model, folder / "baked.onnx", beside)
    onnxruntime.InferenceSession(str(folder / "baked.onnx"), options, providers=["CPUExecutionProvider"])
    onnx.shape_inference.infer_shapes_path(str(folder / "folded.onnx"), str(folder / "inferred.onnx"), data_prop=True)
    found = onnx.load(str(folder / "inferred.onnx"))
    used = {node.domain for node in found.graph.node} | {""}
    for one in [one for one in found.opset_import if one.domain not in used]:
        found.opset_import.remove(one)
    return found


def save(model: Any, path: Path, beside: bool) -> None:
    """Write a graph, its weights in a file beside it where asked; ``model`` is spent then."""
    import onnx

    onnx.save(
        model,
        str(path),
        save_as_external_data=beside,
        location=f"{path.stem}.data" if beside else None,
        size_threshold=INLINE,
    )


def pads_as_concat(model: Any) -> list[str]:
    """A Pad with a constant, but for one of a picture's height and width, becomes Concat with constants."""
    from onnx import helper, numpy_helper

    values, kinds = _values(model), _kinds(model)
    nodes: list[Any] = []
    count = 0
    for node in model.graph.node:
        plan = _padding(node, values, kinds)
        if plan is None:
            nodes.append(node)
            continue
        shape, element, pads, filling = plan
        current, axes = node.input[0], [axis for axis in range(len(shape)) if pads[axis] or pads[len(shape) + axis]]
        for step, axis in enumerate(axes):
            parts = [current]
            for end, width in ((False, pads[axis]), (True, pads[len(shape) + axis])):
                if width:
                    block = np.full([*shape[:axis], width, *shape[axis + 1 :]], filling, element)
                    name = f"{node.output[0]}_{axis}_{'after' if end else 'before'}"
                    model.graph.initializer.append(numpy_helper.from_array(block, name))
                    parts.insert(len(parts) if end else 0, name)
            shape[axis] += pads[axis] + pads[len(shape) + axis]
            current = node.output[0] if step == len(axes) - 1 else f"{node.output[0]}_{axis}"
            nodes.append(helper.make_node("Concat", parts, [current], axis=axis))
        count += 1
    _nodes(model, nodes)
    return [f"{count} Pad became Concat"] if count else []


def near_maximum(model: Any) -> list[str]:
    """``x >= max(x)`` becomes ``x > max(x) - SLACK``: which value is the largest, in a precision that rounds both."""
    from onnx import helper, numpy_helper

    makers = {name: node for node in model.graph.node for name in node.output}
    nodes: list[Any] = []
    count = 0
    for node in model.graph.node:
        maker = makers.get(node.input[1]) if node.op_type == "GreaterOrEqual" else None
        if maker is None or maker.op_type != "ReduceMax" or maker.input[0] != node.input[0]:
            nodes.append(node)
            continue
        near = f"{node.output[0]}_near"
        nodes.append(helper.make_node("Sub", [node.input[1], "near_maximum_slack"], [near]))
        nodes.append(helper.make_node("Greater", [node.input[0], near], list(node.output)))
        count += 1
    if count:
        model.graph.initializer.append(numpy_helper.from_array(np.array(SLACK, np.float32), "near_maximum_slack"))
        _nodes(model, nodes)
    return [f"{count} comparisons with a maximum got a slack of {SLACK}"] if count else []


def _padding(
    node: Any, values: Mapping[str, NDArray[Any]], kinds: Mapping[str, tuple[list[int], Any]]
) -> tuple[list[int], Any, list[int], float] | None:
    """Shape, element type, pads and filling of a Pad that is to be replaced."""
    if node.op_type != "Pad" or len(node.input) < 2 or len(node.input) > 3 or node.input[1] not in values:
        return None
    if any(one.name == "mode" and one.s not in (b"constant", b"") for one in node.attribute):
        return None
    known = kinds.get(node.input[0])
    if known is None or 0 in known[0]:
        return None
    pads = [int(width) for width in values[node.input[1]]]
    named = node.input[2] if len(node.input) == 3 else ""
    if min(pads) < 0 or not any(pads) or (named and named not in values):
        return None
    rank = len(known[0])
    if rank == 4 and not any(pads[axis] or pads[rank + axis] for axis in (0, 1)):
        return None  # around a picture: what convolutions do, and the toolkit knows it
    return list(known[0]), known[1], pads, float(values[named].reshape(-1)[0]) if named else 0.0


def _dequantized(
    stored: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any] | None, axis: int, block: int
) -> NDArray[np.float32]:
    """(stored - zero) * scale, with one scale for all, one a channel of ``axis``, or one a block along it."""

    def spread(value: NDArray[Any]) -> NDArray[np.float32]:
        wide = value.astype(np.float32)
        if wide.size == 1:
            return wide.reshape(())
        if wide.ndim == stored.ndim and block:
            return np.repeat(wide, block, axis=axis).take(range(stored.shape[axis]), axis=axis)
        shape = [1] * stored.ndim
        shape[axis] = -1
        return wide.reshape(shape)

    centred = stored.astype(np.float32) - (spread(zero) if zero is not None else np.float32(0))
    return np.asarray(centred * spread(scale), np.float32)


def _values(model: Any) -> dict[str, NDArray[Any]]:
    """Every constant of the graph, by name."""
    from onnx import numpy_helper

    found = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _kinds(model: Any) -> dict[str, tuple[list[int], Any]]:
    """Shape and numpy type of every value that shape inference knows; 0 for a length that it does not."""
    from onnx import helper

    found = {}
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and kind.elem_type:
            shape = [int(one.dim_value) for one in kind.shape.dim]
            found[value.name] = (shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return found


def _nodes(model: Any, nodes: list[Any]) -> None:
    """Put these in place of the graph's nodes, and drop the constants that nobody uses any more."""
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = set(_used(model.graph)) | {value.name for value in model.graph.output}
    kept = [one for one in model.graph.initializer if one.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _used(graph: Any) -> Iterator[str]:
    """Names that nodes take, those of their inner graphs included."""
    for node in graph.node:
        yield from node.input
        for one in node.attribute:
            if one.HasField("g"):
                yield from _used(one.g)
                yield from (value.name for value in one.g.output)
