"""Image encoders of vision-language model folders as ONNX graphs, on the CPU (onnxruntime, MIT; models: their own)."""

from typing import Annotated, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.modelfolder import ModelFolder
from pipelines.modelfolder.session import element, open_session
from pipelines.npu.lock import Rank
from pipelines.vision import Encoding
from pipelines.vision._pixels import PREPARATIONS

Count = Annotated[int, msgspec.Meta(ge=0, le=8192)]


class Options(engine.Options, frozen=True, kw_only=True):
    model: str  # the folder; the same as the language model's
    dtype: str = "auto"  # fp32, fp16, q8, q4 …: which of the graph's files; auto: the best for a CPU
    threads: Annotated[int, msgspec.Meta(ge=1)] = 1
    longest_edge: Count = 0  # pixels of a picture that is cut into tiles: smaller means fewer; 0: the model's own


class Engine:
    """``width``: floats a row."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a folder that is not in order, or an encoder that does not suit its decoder."""
        self._folder = ModelFolder(options.model)
        self._preprocessor = self._folder.preprocessor()
        if options.longest_edge and self._folder.family != "tiles":
            raise engine.EngineError(f"longest_edge is for models that cut pictures into tiles, not {options.model}")
        self._longest_edge = options.longest_edge
        path = self._folder.graph("vision_encoder", options.dtype)
        self._name = f"onnx/{path.name}"
        self._session = open_session(path, options.threads)
        inputs = {value.name: value for value in self._session.get_inputs()}
        outputs = [value.name for value in self._session.get_outputs()]
        strange = set(inputs) - {"pixel_values", "pixel_attention_mask"}
        if strange or "pixel_values" not in inputs or "image_features" not in outputs:
            problem = f"takes {', '.join(inputs)} and gives {', '.join(outputs)}; this engine is for graphs that take"
            raise self._folder.error(self._name, f"{problem} pixel_values, pixel_attention_mask, give image_features")
        self._types = {name: element(value) for name, value in inputs.items()}
        self._rank = len(inputs["pixel_values"].shape)  # with or without an axis for the pictures of a batch
        self.width = self._folder.text.hidden_size
        edge = self._folder.vision.image_size
        self._run(np.full((3, edge, edge), 0.5, np.float32))  # the first run is slow: let it not be the user's

    def encode(self, picture: NDArray[np.uint8], rank: Rank = Rank.USER_WAITS) -> Encoding:
        """Raises EngineError also for an array that is no picture."""
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise engine.EngineError(f"no RGB picture: an array of {picture.dtype} {list(picture.shape)}")
        prepare = PREPARATIONS[self._folder.family]
        tiles, grid = prepare(picture, self._preprocessor, self._longest_edge)
        # One at a time: 17 tiles at once would be no faster on a CPU, and take 17 times the memory.
        return Encoding(np.concatenate([self._run(tile) for tile in tiles]), grid)

    def _run(self, tile: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows [image_seq_len, width] of one tile's pixel values [3, height, width]."""
        ahead = (1,) * (self._rank - 3)
        fed = {
            "pixel_values": tile.reshape(*ahead, *tile.shape),
            "pixel_attention_mask": np.ones((*ahead, *tile.shape[1:]), np.bool_),
        }
        try:
            found = self._session.run(
                ["image_features"], {name: fed[name].astype(t) for name, t in self._types.items()}
            )
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise self._folder.error(self._name, f"failed on pixel_values {list(tile.shape)}: {error}") from error
        rows: NDArray[np.float32] = found[0].reshape(-1, found[0].shape[-1]).astype(np.float32, copy=False)
        count = self._folder.image_seq_len
        if rows.shape != (count, self.width):
            problem = (
                f"gives {rows.shape[0]} rows {rows.shape[1]} wide for a tile, where the decoder expects {count} rows"
            )
            raise self._folder.error(self._name, f"{problem} {self.width} wide; take all files from one model")
        return rows
