"""An image encoder's ONNX graph: what it takes and gives, and what is changed of it before the toolkit sees it.

Each change answers something that rknn-toolkit2 2.5.0 was seen to do (README.md, "What is changed of a graph"); the
comparison afterwards is against the graph as it came, so that a change that alters results shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.convert import rewrite
from models.convert.outcome import Refused

LIMIT = 2**31 - 1  # bytes: protobuf's, and so what one ONNX file can hold; larger ones keep weights beside it
FLOAT = 1  # onnx.TensorProto.FLOAT
STANDARD = ("", "ai.onnx")
INTEGER = ("QuantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul")


class Input(NamedTuple):
    name: str
    shape: list[int]  # 0: not fixed
    element: int  # onnx.TensorProto's number


class Graph(NamedTuple):
    """What a file says of itself."""

    path: Path
    pixels: Input
    others: list[Input]
    outputs: list[str]
    opset: int
    operators: frozenset[str]
    beside: list[Path]  # files of weights
    bytes: int  # with those


def inspect(path: Path, pixels: str = "") -> Graph:
    """Read a graph's outside. Raises Refused for what is no encoder that can be converted."""
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's and onnx's own share no base class
        raise Refused(f"{path} cannot be read as ONNX ({str(error).splitlines()[0][:200]})") from error
    made = {initializer.name for initializer in model.graph.initializer}
    inputs = [_input(value) for value in model.graph.input if value.name not in made]
    wide = [one for one in inputs if len(one.shape) in (4, 5)]
    coloured = [one for one in wide if one.shape[-3] == 3] or wide  # a mask over the picture has no colours
    seen = [one for one in inputs if one.name == pixels] if pixels else coloured
    if len(seen) != 1:
        listed = ", ".join(f"{one.name} {one.shape}" for one in inputs) or "nothing"
        raise Refused(f"{path} takes {listed}; name the one that takes the picture with --input")
    if len(seen[0].shape) not in (4, 5) or seen[0].shape[-3] not in (0, 3):
        raise Refused(f"{path}: {seen[0].name} is {seen[0].shape}; a picture comes as [1, 3, height, width]")
    if seen[0].element != FLOAT:
        raise Refused(f"{path}: {seen[0].name} is not float32; convert the float32 export of this model")
    strange = sorted({f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in STANDARD})
    if strange:
        raise Refused(
            f"{path} has operators that are not ONNX's own ({', '.join(strange[:3])}), which the toolkit does not "
            "know; take the model's plain export, before any optimiser"
        )
    beside = sorted({path.parent / name for one in model.graph.initializer if (name := _location(one))})
    if lacking := [one for one in beside if not one.is_file()]:
        raise Refused(f"the weights of {path} lie in {lacking[0].name}, which is not beside it; get it too")
    return Graph(
        path,
        seen[0],
        [one for one in inputs if one is not seen[0]],
        [value.name for value in model.graph.output],
        max((one.version for one in model.opset_import if one.domain in STANDARD), default=0),
        frozenset(node.op_type for node in model.graph.node),
        beside,
        path.stat().st_size + sum(one.stat().st_size for one in beside),
    )


def size(graph: Graph, asked: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width of the encoder's picture. Raises Refused where graph and request disagree, or none says it."""
    fixed = (graph.pixels.shape[-2], graph.pixels.shape[-1])
    if asked is not None and any(own not in (0, wanted) for own, wanted in zip(fixed, asked, strict=True)):
        raise Refused(
            f"{graph.path} is made for pictures of {fixed[0]}x{fixed[1]}, not {asked[0]}x{asked[1]}; leave --size out, "
            "or export the model for that size"
        )
    chosen = asked or fixed
    if 0 in chosen:
        raise Refused(f"{graph.path} leaves the size of its picture open; say it with --size, as in --size 448")
    return chosen


def constants(graph: Graph, given: Mapping[str, list[float]]) -> dict[str, NDArray[Any]]:
    """Values for every input but the picture's, in the input's type and shape; one value fills the shape.

    Raises Refused where one is missing, unknown, or does not fit.
    """
    import onnx

    known = {one.name: one for one in graph.others}
    for name in given:
        if name not in known:
            raise Refused(f"{graph.path} has no input {name!r} beside {graph.pixels.name}; it has: {_names(known)}")
    lacking = [name for name in known if name not in given]
    if lacking:
        raise Refused(f"{graph.path} also takes {_names(known)}; give constants, as in --constant {lacking[0]}=1,28,28")
    found = {}
    for name, numbers in given.items():
        shape = [length or 1 for length in known[name].shape]
        element = onnx.helper.tensor_dtype_to_np_dtype(known[name].element)
        if len(numbers) not in (1, int(np.prod(shape))):
            raise Refused(f"{name} is {shape}: {int(np.prod(shape))} values, or one for all; given were {len(numbers)}")
        values = numbers * (int(np.prod(shape)) if len(numbers) == 1 else 1)
        found[name] = np.array(values, dtype=element).reshape(shape)
    return found


def prepare(graph: Graph, target: Path, frame: tuple[int, int], fixed: Mapping[str, NDArray[Any]]) -> list[str]:
    """Write the graph as the toolkit is to have it; returns a sentence for each thing that was changed.

    The new graph takes one input, the picture [1, 3, height, width]. Files are left beside it, up to three times its
    size. Raises Refused for one that cannot be folded.
    """
    import onnx

    beside = graph.bytes > LIMIT
    model = onnx.load(str(graph.path))
    notes = [
        *rewrite.bake(model, fixed),
        *rewrite.one_picture(model, graph.pixels.name, frame),
        *rewrite.float_weights(model),
    ]
    try:
        model = rewrite.folded(model, target.parent, beside)
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise Refused(f"onnxruntime cannot run {graph.path}: {str(error).splitlines()[0][:300]}") from error
    notes += [*rewrite.pads_as_concat(model), *rewrite.near_maximum(model)]
    rewrite.save(model, target, beside)
    onnx.checker.check_model(str(target), full_check=True)
    return notes


def integer(graph: Graph) -> list[str]:
    """The operators by which a graph computes in integers already; weights alone do not count."""
    return sorted(set(INTEGER) & graph.operators)


def _input(value: Any) -> Input:
    kind = value.type.tensor_type
    return Input(value.name, [int(one.dim_value) for one in kind.shape.dim], int(kind.elem_type))


def _names(known: Mapping[str, Input]) -> str:
    return ", ".join(f"{name} {one.shape}" for name, one in known.items()) or "none"


def _location(initializer: Any) -> str:
    """The file in which a weight lies; empty for one that lies in the graph."""
    return next((str(entry.value) for entry in initializer.external_data if entry.key == "location"), "")
