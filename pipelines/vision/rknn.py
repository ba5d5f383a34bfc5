"""Image encoders on a Rockchip NPU through rknn-toolkit-lite2 (aarch64 wheels, proprietary; the models: their own).

RKNNLite reports failures as -1 and None, and says why on stderr only: here they become errors that name what can be the
cause. Models with several outputs (Qwen3-VL: four) give rows that hold all of them side by side, as the language model
wants them. The NPU is possessed for each run, so that it never overlaps with the language model's.

What size of picture a model takes is asked of it; RKNNLite has no documented way to, so where it does not tell, the
sizes of the model's family are tried. Tokens and width are then those of the first run.
"""

import gc
import os
import platform
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.image import fit
from pipelines.npu.families import Family, family
from pipelines.npu.files import allow_many
from pipelines.npu.librknnrt import LIBRARY
from pipelines.npu.lock import Figures, Npu, Rank
from pipelines.vision import Encoding

COLLECT_EVERY = 5  # runs: RKNNLite leaves 42 kB in reference cycles with each (rknn-toolkit2 #42)
CORES = {"rk3588": "NPU_CORE_0_1_2", "rk3576": "NPU_CORE_0_1", "rk3562": "NPU_CORE_AUTO"}
LEAST, MOST = 16, 4096  # pixels: sizes of pictures that can be meant
Size = Annotated[int, msgspec.Meta(ge=LEAST, le=MOST)]
Three = tuple[float, float, float]
GREY, MIDDLE = (128, 128, 128), (127.5, 127.5, 127.5)


class Options(engine.Options, frozen=True, kw_only=True):
    model: str  # the .rknn file
    family: str = ""  # of models/manifest.toml: it says what is left None below; empty: most models have it so
    size: Size | None = None  # pixels: the edge of the square that the model was made for; None: the model is asked
    soc: Literal["rk3588", "rk3576", "rk3562"] = "rk3588"
    cores: str = ""  # a constant of RKNNLite; empty: all that the SoC has
    padding: tuple[int, int, int] | None = None  # around pictures that are no squares; 128, the vendor's demo: 127.5
    layout: Literal["nhwc", "nchw"] | None = None  # nhwc
    normalise: bool | None = None  # here, where it is not part of the model
    mean: Three | None = None  # of 0 … 255; 127.5
    std: Three | None = None
    npu: str = ""  # the folder of the NPU's lock files, the same for all its users; empty: the usual one


class Feed(NamedTuple):
    """How a model takes its pictures: see the options of the same names."""

    padding: tuple[int, int, int]
    layout: str
    normalise: bool
    mean: Three
    std: Three


class Engine:
    """``width``: floats a row, all outputs of the model together; ``tokens``: rows a picture."""

    Options: TypeAlias = Options
    extra = "rknn"

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a model or a board that is not in order, ImportError without rknn-toolkit-lite2."""
        from rknnlite.api import RKNNLite

        self._options = options
        known = family(options.family) if options.family else None
        self._feed = _feed(options, known)
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
        allow_many()  # and each of them leaks some (rknn-toolkit2 #532)
        self._rknn: Any = RKNNLite(verbose=False)
        self._runs = 0
        if self._rknn.load_rknn(options.model) != 0:
            raise engine.EngineError(f"RKNNLite cannot load {options.model}; the file is damaged or no .rknn")
        if self._rknn.init_runtime(core_mask=mask) != 0:
            self._rknn.release()
            raise engine.EngineError(f"the NPU does not take {options.model}; {_causes()}")
        try:
            self._size, self.tokens, self.width = self._warmed_up(known)
        except engine.EngineError:
            self._rknn.release()
            raise

    def encode(self, picture: NDArray[np.uint8], rank: Rank = Rank.USER_WAITS) -> Encoding:
        """Raises EngineError also for an array that is no picture."""
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise engine.EngineError(f"no RGB picture: an array of {picture.dtype} {list(picture.shape)}")
        rows, cost = self._run(fit(picture, self._size, self._size, self._feed.padding), rank)
        if rows.shape != (self.tokens, self.width):
            raise engine.EngineError(f"{self._options.model} gave rows {list(rows.shape)} where it gave others before")
        return Encoding(rows, npu=cost)

    def close(self) -> None:
        """Frees the NPU's memory."""
        self._rknn.release()

    def _warmed_up(self, known: Family | None) -> tuple[int, int, int]:
        """The first run, which is slow: size, tokens and width. Raises EngineError where no size is taken."""
        sizes = self._sizes(known)
        for size in sizes:
            if found := self._inferred(self._fed(_grey(size)), Rank.IDLE)[0]:
                tokens, width = self._rows(found).shape
                break
        else:
            raise self._failure(*(self._fed(_grey(size)).shape for size in sizes))
        if known is not None and width != known.row_width:
            raise engine.EngineError(
                f"{self._options.model} gives rows of {width} floats, but those of the family {self._options.family!r} "
                f"have {known.row_width} ({known.outputs} times {known.width}); set `family` to the model's own"
            )
        return size, tokens, width

    def _sizes(self, known: Family | None) -> tuple[int, ...]:
        """Those that the model may take, the likeliest first."""
        if self._options.size is not None:
            return (self._options.size,)
        if told := _told(self._rknn):
            return (told,)
        if known is not None and known.image_size:
            return known.image_size
        raise engine.EngineError(
            f"{self._options.model} does not tell what size of picture it takes; set `size`, or the model's `family`"
        )

    def _run(self, picture: NDArray[np.uint8], rank: Rank) -> tuple[NDArray[np.float32], Figures]:
        fed = self._fed(picture)
        found, cost = self._inferred(fed, rank)
        if not found:
            raise self._failure(fed.shape)
        return self._rows(found), cost

    def _fed(self, picture: NDArray[np.uint8]) -> NDArray[Any]:
        fed: NDArray[Any] = picture
        if self._feed.normalise:  # float32: float64 misbehaves (rkllama #140)
            mean, std = (np.array(value, np.float32) for value in (self._feed.mean, self._feed.std))
            fed = (picture.astype(np.float32) - mean) / std
        if self._feed.layout == "nchw":
            fed = fed.transpose(2, 0, 1)
        return np.ascontiguousarray(fed[np.newaxis])

    def _inferred(self, fed: NDArray[Any], rank: Rank) -> tuple[list[NDArray[Any]] | None, Figures]:
        with self._npu.hold(rank) as claim:
            found: list[NDArray[Any]] | None = self._rknn.inference(inputs=[fed], data_format=self._feed.layout)
        self._runs += 1
        if self._runs % COLLECT_EVERY == 0:
            gc.collect()
        return found, claim.figures

    def _failure(self, *shapes: tuple[int, ...]) -> engine.EngineError:
        tried = " or ".join(str(list(shape)) for shape in shapes)
        told = _told(self._rknn)
        takes = f" (the model takes pictures of {told} x {told})" if told else ""
        return engine.EngineError(
            f"the NPU failed on a picture of {tried} for {self._options.model}; its log says why. Usual causes: `size` "
            f"or `layout` is not the model's{takes}, memory is full, another program is on the NPU"
        )

    def _rows(self, outputs: list[NDArray[Any]]) -> NDArray[np.float32]:
        """Row i holds row i of every output (deepstack): [tokens, outputs x width]."""
        flat = [output.reshape(-1, output.shape[-1]) for output in outputs]
        if len({len(rows) for rows in flat}) != 1:
            shapes = ", ".join(str(list(output.shape)) for output in outputs)
            raise engine.EngineError(f"{self._options.model} gives outputs of {shapes}: no rows for a language model")
        return np.ascontiguousarray(np.concatenate(flat, axis=1), dtype=np.float32)


def _feed(options: Options, known: Family | None) -> Feed:
    """What is set, else what the family says, else what most models take."""
    here = known is not None and known.normalise == "in the application"
    mean, std = (_levels(known.mean), _levels(known.std)) if known else (MIDDLE, MIDDLE)
    return Feed(
        padding=options.padding or (known.padding if known else GREY),
        layout=options.layout or (known.layout if known else "nhwc"),
        normalise=here if options.normalise is None else options.normalise,
        mean=options.mean or mean,
        std=options.std or std,
    )


def _levels(shares: Three) -> Three:
    """Of 0 … 255, what a family has of 0 … 1."""
    red, green, blue = (share * 255 for share in shares)
    return red, green, blue


def _grey(size: int) -> NDArray[np.uint8]:
    return np.full((size, size, 3), GREY, np.uint8)


def _told(rknn: Any) -> int | None:
    """The size of picture that a loaded model says it takes. What RKNNLite keeps of it is undocumented (it is what
    happyme531's wrapper reads): whatever comes is believed only if it is the shape of one square RGB picture."""
    try:
        attribute = rknn.rknn_runtime.get_tensor_attr(0)
        shape = [int(attribute.dims[i]) for i in range(int(attribute.n_dims))]
    except Exception:  # of a release that has it otherwise: any
        return None
    edge = shape[2] if len(shape) == 4 else 0  # of both layouts
    if LEAST <= edge <= MOST and shape in ([1, edge, edge, 3], [1, 3, edge, edge]):
        return edge
    return None


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
