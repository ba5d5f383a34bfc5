"""Opening ONNX graphs for the engines named onnx (onnxruntime, MIT): one place for its settings and its complaints."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pipelines import onnxfile
from pipelines.engine import EngineError

# The element types these graphs exchange, as onnxruntime spells them.
ELEMENTS: dict[str, DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


def open_session(path: Path, threads: int) -> Any:
    """An onnxruntime.InferenceSession on the CPU for ``path``. Raises EngineError; ImportError without onnxruntime."""
    import onnxruntime

    options = onnxfile.settings(threads)
    # Memory plans are kept for every shape ever seen; a growing cache has another shape at every token.
    options.enable_mem_pattern = False
    # Weights stored in 8 bits and dequantised in the graph are folded to floats at load: 2-4 times faster to run.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise EngineError(_reason(path, str(error))) from error
    _give_back_memory()
    return session


def _give_back_memory() -> None:
    """Reading a graph leaves memory that is free but kept by the C library: 320 MB beside 655 MB of weights."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other C libraries have none
    if trim is not None:
        trim(0)


def _reason(path: Path, message: str) -> str:
    where = f"the model folder {path.parent.parent}: onnx/{path.name}"
    beside = path.with_name(f"{path.name}_data")
    if not beside.is_file() and ("_data" in message or "external" in message.lower()):
        return f"{where} keeps its weights in onnx/{beside.name}, which is missing; download that file too"
    brief = message.partition("failed:")[2] or message  # without the path once more
    return f"{where} cannot be opened; it may be cut short or damaged, download it again ({brief.strip()[:200]})"


def element(value: Any) -> DTypeLike:
    """The numpy type of a graph's input or output. Raises EngineError for a type that these graphs never have."""
    if value.type not in ELEMENTS:
        raise EngineError(f"the graph's {value.name} has type {value.type}, which this engine cannot feed")
    return ELEMENTS[value.type]
