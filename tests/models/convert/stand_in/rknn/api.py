"""rknn-toolkit2's RKNN as its 2.5.0 declares it, with onnxruntime for a simulator, so that the worker can be run.

It knows every argument that 2.5.0 names and refuses others with a TypeError, as Python does. STAND_IN_RKNN names a
stage that fails: ``build`` (returns -1), ``config:raise``, ``build:kill9`` (dies of that signal), ``inference``.
STAND_IN_ONCE names a file; the stage then fails only while that file is not there.
"""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

CONFIG = {
    "mean_values", "std_values", "quantized_dtype", "quantized_algorithm", "quantized_method", "target_platform",
    "optimization_level", "float_dtype", "quant_img_RGB2BGR", "single_core_mode", "dynamic_input", "op_target",
    "disable_rules",  # among **kwargs of 2.5.0; rknn-llm 1.3.0, export_vision_rknn.py
}  # fmt: skip


def _fails(stage: str) -> bool:
    wanted, _, how = os.environ.get("STAND_IN_RKNN", "").partition(":")
    once = os.environ.get("STAND_IN_ONCE", "")
    if wanted != stage or (once and Path(once).exists()):
        return False
    if once:
        Path(once).touch()
    print(f"E {stage}: the stand-in was told to fail here")
    if how.startswith("kill"):
        os.kill(os.getpid(), signal.Signals(int(how[4:])))
    if how == "raise":
        raise ValueError("the stand-in was told to raise")
    return True


class RKNN:
    def __init__(self, verbose: bool = False, verbose_file: str | None = None) -> None:
        self._config: dict[str, Any] = {}
        self._model = ""
        self._session: Any = None

    def config(self, **given: Any) -> int:
        if unknown := set(given) - CONFIG:
            raise TypeError(f"config() got an unexpected keyword argument {sorted(unknown)[0]!r}")
        self._config = given
        return -1 if _fails("config") else 0

    def load_onnx(
        self,
        model: str,
        inputs: list[str] | None = None,
        input_size_list: list[list[int]] | None = None,
        input_initial_val: list[Any] | None = None,
        outputs: list[str] | None = None,
    ) -> int:
        self._model = model
        return -1 if _fails("load_onnx") else 0

    def build(
        self,
        do_quantization: bool = True,
        dataset: str | None = None,
        rknn_batch_size: int | None = None,
        auto_hybrid: bool = False,
    ) -> int:
        if _fails("build"):
            return -1
        if do_quantization:
            lines = Path(str(dataset)).read_text().splitlines()
            shapes = {np.load(Path(str(dataset)).parent / line).shape for line in lines}
            print(f"I calibrated on {len(lines)} of {shapes}")
        self._session = onnxruntime.InferenceSession(self._model, providers=["CPUExecutionProvider"])
        return 0

    def export_rknn(self, export_path: str) -> int:
        Path(export_path).write_bytes(b"RKNN of the stand-in for " + str(self._config["target_platform"]).encode())
        return -1 if _fails("export_rknn") else 0

    def init_runtime(self, target: str | None = None) -> int:
        return -1 if _fails("init_runtime") else 0

    def inference(self, inputs: list[Any], data_format: list[str] | None = None) -> list[Any] | None:
        if _fails("inference"):
            return None
        values = inputs[0].astype(np.float32)
        if data_format == ["nhwc"]:
            values = values.transpose(0, 3, 1, 2)
        if "mean_values" in self._config:
            mean, std = (np.array(self._config[name][0], np.float32) for name in ("mean_values", "std_values"))
            values = (values - mean.reshape(1, 3, 1, 1)) / std.reshape(1, 3, 1, 1)
        found: list[Any] = self._session.run(None, {self._session.get_inputs()[0].name: np.ascontiguousarray(values)})
        return [array.astype(np.float16).astype(np.float32) for array in found]

    def release(self) -> None:
        self._session = None
