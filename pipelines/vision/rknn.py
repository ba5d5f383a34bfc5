"""Image encoders on a Rockchip NPU through rknn-toolkit-lite2 (aarch64 wheels, proprietary; the models: their own).

RKNNLite reports failures as -1 and None, and says why on stderr only: here they become errors that name what can be the
cause. Models with several outputs (Qwen3-VL: four) give rows that hold all of them side by side, as the language model
wants them. The NPU is possessed for each run, so that it never overlaps with the language model's.
"""

import gc
import os
import platform
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.image import fit
from pipelines.npu.lock import Npu, Rank
from pipelines.vision import Encoding

LIBRARY = "/usr/lib/librknnrt.so"  # where RKNNLite looks, whatever LD_LIBRARY_PATH says (rknn-toolkit2 #33)
COLLECT_EVERY = 5  # runs: RKNNLite leaves 42 kB in reference cycles with each (rknn-toolkit2 #42)
CORES = {"rk3588": "NPU_CORE_0_1_2", "rk3576": "NPU_CORE_0_1", "rk3562": "NPU_CORE_AUTO"}
Three = tuple[float, float, float]


class Options(engine.Options, frozen=True, kw_only=True):
    model: str  # the .rknn file
    size: Annotated[int, msgspec.Meta(ge=16, le=4096)]  # pixels: the edge of the square that the model was made for
    soc: Literal["rk3588", "rk3576", "rk3562"] = "rk3588"
    cores: str = ""  # a constant of RKNNLite; empty: all that the SoC has
    padding: tuple[int, int, int] = (128, 128, 128)  # around pictures that are no squares; the vendor's demo: 127.5
    layout: Literal["nhwc", "nchw"] = "nhwc"
    normalise: bool = False  # here, where it is not part of the model
    mean: Three = (127.5, 127.5, 127.5)  # of 0 … 255
    std: Three = (127.5, 127.5, 127.5)
    npu: str = ""  # the folder of the NPU's lock files, the same for all its users; empty: the usual one


class Engine:
    """``width``: floats a row, all outputs of the model together; ``tokens``: rows a picture."""

    Options: TypeAlias = Options
    extra = "rknn"

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a model or a board that is not in order, ImportError without rknn-toolkit-lite2."""
        from rknnlite.api import RKNNLite

        self._options = options
        self._npu = Npu("vision", Path(options.npu) if options.npu else None)
        name = options.cores or CORES[options.soc]
        if not isinstance(mask := getattr(RKNNLite, name, None), int):
            raise engine.EngineError(
                f"RKNNLite has no core mask {name!r}; leave `cores` empty for all of {options.soc}"
            )
        if not os.access(options.model, os.R_OK):
            raise engine.EngineError(
                f"the model {options.model} cannot be read; set `model` to a .rknn for {options.soc}"
            )
        self._rknn: Any = RKNNLite(verbose=False)
        self._runs = 0
        if self._rknn.load_rknn(options.model) != 0:
            raise engine.EngineError(f"RKNNLite cannot load {options.model}; the file is damaged or no .rknn")
        if self._rknn.init_runtime(core_mask=mask) != 0:
            self._rknn.release()
            raise engine.EngineError(f"the NPU does not take {options.model}; {_causes()}")
        grey = np.full((options.size, options.size, 3), 128, np.uint8)
        self.tokens, self.width = self._run(grey, Rank.IDLE).shape  # also the warm-up: the first run is slow

    def encode(self, picture: NDArray[np.uint8]) -> Encoding:
        """Raises EngineError also for an array that is no picture."""
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise engine.EngineError(f"no RGB picture: an array of {picture.dtype} {list(picture.shape)}")
        rows = self._run(fit(picture, self._options.size, self._options.size, self._options.padding), Rank.USER_WAITS)
        if rows.shape != (self.tokens, self.width):
            raise engine.EngineError(f"{self._options.model} gave rows {list(rows.shape)} where it gave others before")
        return Encoding(rows)

    def close(self) -> None:
        """Frees the NPU's memory."""
        self._rknn.release()

    def _run(self, picture: NDArray[np.uint8], rank: Rank) -> NDArray[np.float32]:
        fed: NDArray[Any] = picture
        if self._options.normalise:  # float32: float64 misbehaves (rkllama #140)
            mean, std = (np.array(value, np.float32) for value in (self._options.mean, self._options.std))
            fed = (picture.astype(np.float32) - mean) / std
        if self._options.layout == "nchw":
            fed = fed.transpose(2, 0, 1)
        fed = np.ascontiguousarray(fed[np.newaxis])
        with self._npu.hold(rank):
            found = self._rknn.inference(inputs=[fed], data_format=self._options.layout)
        self._runs += 1
        if self._runs % COLLECT_EVERY == 0:
            gc.collect()
        if not found:
            raise engine.EngineError(
                f"the NPU failed on a picture of {list(fed.shape)} for {self._options.model}; its log says why. Usual "
                "causes: `size` or `layout` is not the model's, memory is full, another program is on the NPU"
            )
        return self._rows(found)

    def _rows(self, outputs: list[NDArray[Any]]) -> NDArray[np.float32]:
        """Row i holds row i of every output (deepstack): [tokens, outputs x width]."""
        flat = [output.reshape(-1, output.shape[-1]) for output in outputs]
        if len({len(rows) for rows in flat}) != 1:
            shapes = ", ".join(str(list(output.shape)) for output in outputs)
            raise engine.EngineError(f"{self._options.model} gives outputs of {shapes}: no rows for a language model")
        return np.ascontiguousarray(np.concatenate(flat, axis=1), dtype=np.float32)


def _causes(root: Path = Path("/"), machine: str = "") -> str:
    """What is seen to be wrong with this machine, or else what usually is. ``root``: where its files lie."""
    seen, library, machine = [], root / LIBRARY.lstrip("/"), machine or platform.machine()
    if machine not in ("aarch64", "armv7l"):
        seen.append(f"this is {machine}, no Rockchip board")
    if not library.exists():
        seen.append(f"{LIBRARY} is missing (from rknn-toolkit2)")
    nodes = [*(root / "dev/dri").glob("renderD*"), *(root / "dev").glob("rknpu")]
    if not nodes:
        seen.append("the kernel has no NPU device (/dev/dri/renderD*, /dev/rknpu): it needs the vendor's rknpu driver")
    elif not any(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        seen.append("the NPU's device may not be opened: usermod -aG video,render USER")
    usual = (
        "usual causes: librknnrt.so is older than the model (install that of the newest rknn-toolkit2), the rknpu "
        "driver is older than 0.9.8 (it comes with the vendor's kernel), or the model is for another SoC"
    )
    return "; ".join(seen) or usual
