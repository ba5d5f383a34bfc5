"""RKNNLite with the real one's names and return conventions: 0 and -1, a list or None, never an exception.

A simulated .rknn is a text (see ``pipelines.simulator.write_encoder``). The rows that it makes of a picture are random
numbers drawn from the picture's checksum, which the first row begins with, byte by byte. The environment says the rest:
RKLLM_SIM_FAULTS (old-driver, old-librknnrt, encoder-fails, no-attributes, leak), RKLLM_SIM_ENCODER_LOAD_MS,
RKLLM_SIM_ENCODE_MS, RKLLM_SIM_SOC, RKLLM_SIM_NPU.
"""

import fcntl
import os
import sys
import time
import weakref
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SAID = {
    "old-driver": "rknpu driver version is too low, please upgrade to 0.9.8",
    "old-librknnrt": "Invalid RKNN model version 6",
}


class Attribute(NamedTuple):
    """Of a tensor, as rknn_tensor_attr has it: room for 16 dimensions."""

    n_dims: int
    dims: list[int]


class Runtime:
    """What RKNNLite keeps of a loaded model, as far as others have been seen to use it; undocumented."""

    def __init__(self, edge: int) -> None:
        self._edge = edge

    def get_tensor_attr(self, index: int, is_output: bool = False) -> Attribute:
        if index or is_output or "no-attributes" in _faults():
            raise AttributeError("no such attribute (simulated)")
        shape = [1, self._edge, self._edge, 3]
        return Attribute(len(shape), shape + [0] * (16 - len(shape)))


class Left:
    """What a run leaves behind: a reference cycle, which only the garbage collector finds."""

    def __init__(self) -> None:
        self.itself, self.data = self, bytes(42_000)
        LEFT.add(self)


LEFT: "weakref.WeakSet[Left]" = weakref.WeakSet()


class RKNNLite:
    NPU_CORE_AUTO, NPU_CORE_0, NPU_CORE_1, NPU_CORE_0_1, NPU_CORE_2, NPU_CORE_0_1_2 = 0, 1, 2, 3, 4, 7
    NPU_CORE_ALL = 0xFFFF

    def __init__(self, verbose: bool = False, verbose_file: str | None = None) -> None:
        self._model: dict[str, str] = {}
        self._data = b""
        self._ready = False
        self.rknn_runtime: Runtime | None = None
        self.core_mask = 0

    def load_rknn(self, path: str) -> int:
        try:
            with open(path, "rb") as file:  # only read, as the real one does
                self._data = file.read()
        except OSError as error:
            return self._failed(f"cannot read {path}: {error}")
        return 0

    def init_runtime(
        self, target: str | None = None, device_id: str | None = None, async_mode: bool = False, core_mask: int = 0
    ) -> int:
        self.core_mask = core_mask
        for name, said in SAID.items():
            if name in _faults():
                return self._failed(said)
        lines = self._data.decode(errors="replace").splitlines()
        if lines[:1] != ["RKNN-SIM 1"] or lines[-1:] != ["end"]:
            return self._failed("RKNN_ERR_MODEL_INVALID")
        self._model = dict(line.split("=", 1) for line in lines[1:-1])
        board, made_for = os.environ.get("RKLLM_SIM_SOC", ""), self._model["soc"]
        if board and made_for and board != made_for:
            return self._failed(f"RKNN_ERR_TARGET_PLATFORM_UNMATCH: the model is for {made_for}")
        time.sleep(float(os.environ.get("RKLLM_SIM_ENCODER_LOAD_MS") or 0) / 1000)
        self._ready = True
        self.rknn_runtime = Runtime(int(self._model["size"]))
        return 0

    def inference(
        self,
        inputs: list[NDArray[Any]],
        data_type: str | None = None,
        data_format: str | None = None,
        inputs_pass_through: list[int] | None = None,
        get_frame_id: bool = False,
    ) -> list[NDArray[np.float32]] | None:
        if not self._ready or data_format not in (None, "nhwc", "nchw") or "encoder-fails" in _faults():
            self._failed("inference failed")
            return None
        edge = int(self._model["size"])
        wanted = (1, 3, edge, edge) if data_format == "nchw" else (1, edge, edge, 3)
        if len(inputs) != 1 or inputs[0].shape != wanted:
            self._failed(f"RKNN_ERR_INPUT_INVALID: wanted {wanted}")
            return None
        if "leak" in _faults():
            Left()
        return self._encoded(inputs[0])

    def _encoded(self, picture: NDArray[Any]) -> list[NDArray[np.float32]] | None:
        until = time.monotonic() + float(os.environ.get("RKLLM_SIM_ENCODE_MS") or 0) / 1000
        path = os.environ.get("RKLLM_SIM_NPU", "")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) if path else -1
        try:
            if lock >= 0:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rows = self._made(picture)  # on a board no time is spent on this: so it is part of the encoder's
            time.sleep(max(0.0, until - time.monotonic()))
        except BlockingIOError:
            with open(f"{path}.overlaps", "a") as overlaps:
                overlaps.write(f"rknn {os.getpid()}\n")
            self._failed("failed to submit!, op id: 0, flags: 0x5, task number: 1")
            return None
        finally:
            if lock >= 0:
                os.close(lock)
        return list(rows)

    def _made(self, picture: NDArray[Any]) -> NDArray[np.float32]:
        tokens, width, outputs = (int(self._model[key]) for key in ("tokens", "width", "outputs"))
        checksum = zlib.crc32(picture.tobytes())
        rows = np.random.default_rng(checksum).random((outputs, 1, tokens, width), np.float32)
        rows[0, 0, 0, :4] = list(checksum.to_bytes(4, "big"))
        return rows

    def get_sdk_version(self) -> str | None:
        return "API: 2.3.2 (simulated)\nDRV: rknn_server: (simulated)" if self._ready else None

    def release(self) -> None:
        self._ready = False

    def _failed(self, why: str) -> int:
        print(f"E RKNN (simulated): {why}", file=sys.stderr)
        return -1


def _faults() -> list[str]:
    return os.environ.get("RKLLM_SIM_FAULTS", "").split(",")
