"""Reading model folders in the layout that onnx-community publishes (config.json, tokenizer.json, onnx/*.onnx …).

Everything that is wrong with a folder is an EngineError that names the folder, the file, the key and the mend.
"""

from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from pipelines.engine import EngineError
from pipelines.modelfolder import config, files

Family = Literal["tiles", "single"]
# model_type -> how a picture enters the prompt: cut into tiles of so many tokens each (Idefics3, the architecture of
# SmolVLM), or as one run of tokens.
FAMILIES: dict[str, Family] = {"idefics3": "tiles", "smolvlm": "tiles", "pico_vlm": "single"}

T = TypeVar("T")


class ModelFolder:
    """A folder whose configuration was read and holds together. Graphs are opened by the engines, not here."""

    def __init__(self, path: str | Path) -> None:
        """Raises EngineError for a missing folder or file, for damage, and for values that cannot be."""
        self.path = Path(path).expanduser()
        if not self.path.is_dir():
            raise EngineError(f"there is no model folder {self.path}; check the option 'model' or download the model")
        known = self.json("config.json", _Type).model_type
        if known not in FAMILIES:
            raise self.error(
                "config.json", f"model_type {known!r} is not one this engine runs; it runs: {', '.join(FAMILIES)}"
            )
        self.family = FAMILIES[known]
        self.config = self.json("config.json", config.Config)
        self.text, self.vision = self.config.text_config, self.config.vision_config
        if self.config.image_token_id >= self.text.vocab_size:
            problem = f"image_token_id {self.config.image_token_id} is outside text_config.vocab_size"
            raise self.error("config.json", f"{problem} {self.text.vocab_size}; download it again")
        self.image_seq_len = self._image_seq_len()

    def preprocessor(self) -> config.Preprocessor:
        """How pictures become pixel values, checked to be complete for the family and to suit the encoder."""
        name = "preprocessor_config.json"
        read = self.json(name, config.Preprocessor)
        edge = self.vision.image_size
        wanted = {"max_image_size.longest_edge": read.max_image_size.longest_edge}
        if self.family == "single":
            wanted = {"size.height": read.size.height, "size.width": read.size.width}
        elif read.size.longest_edge is None:
            raise self.error(name, "size.longest_edge is missing; download the file again")
        for key, value in wanted.items():
            if value is None:
                raise self.error(name, f"{key} is missing; download the file again")
            if value != edge:
                problem = f"{key} is {value}, but config.json: vision_config.image_size is {edge}"
                raise self.error(name, f"{problem}; download both again")
        return read

    def ends(self) -> frozenset[int]:
        """The tokens that end a reply: generation_config.json's, else config.json's. Raises EngineError for none."""
        generation = self.json("generation_config.json", config.Generation, optional=config.Generation())
        for given in (generation.eos_token_id, self.config.eos_token_id, self.text.eos_token_id):
            if given is not None and (found := config.ids(given)):
                return found
        problem = "eos_token_id is missing, here and in config.json, so that no reply would end"
        raise self.error("generation_config.json", f"{problem}; download both again")

    def graph(self, name: str, dtype: str) -> Path:
        """The file of one graph; see files.choose. Raises EngineError."""
        return files.choose(self.path, name, dtype)

    def read(self, name: str) -> bytes:
        """A file of the folder. Raises EngineError."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            raise EngineError(f"the model folder {self.path} has no {name}; download the model again") from None
        except OSError as error:
            raise self.error(name, f"cannot be read: {error}") from error

    def json(self, name: str, wanted: type[T], optional: T | None = None) -> T:
        """A JSON file of the folder as ``wanted``; ``optional`` where it is missing and need not be there.

        Raises EngineError naming the key that is missing, of a wrong type or out of bounds.
        """
        if optional is not None and not (self.path / name).is_file():
            return optional
        try:
            return msgspec.json.decode(self.read(name), type=wanted)
        except msgspec.ValidationError as error:
            raise self.error(name, f"{_plain(error)}; correct it or download the file again") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self.error(name, f"is damaged ({error}); download it again") from error

    def error(self, name: str, problem: str) -> EngineError:
        """What is wrong with one file of the folder."""
        return EngineError(f"the model folder {self.path}: {name}: {problem}")

    def _image_seq_len(self) -> int:
        given = self.json("processor_config.json", config.Processor, optional=config.Processor()).image_seq_len
        if given is not None:
            return given
        if self.vision.patch_size is None:
            raise self.error("processor_config.json", "image_seq_len is missing; download it again")
        # Idefics3 puts scale_factor x scale_factor patches into one token.
        computed = (self.vision.image_size // self.vision.patch_size) ** 2 // self.config.scale_factor**2
        if computed < 1:
            raise self.error("config.json", "image_size, patch_size and scale_factor leave no image token")
        return computed


class _Type(msgspec.Struct, frozen=True):
    """Only the model's type: whether the rest can be read depends on it."""

    model_type: str


def _plain(error: msgspec.ValidationError) -> str:
    """msgspec's message with the key as it stands in the file: `$.text_config.head_dim` -> `text_config.head_dim`."""
    return str(error).replace("`$.", "`").replace("`$`", "the file")


def runs(family: Family, grid: tuple[int, int]) -> int:
    """How many runs of image_seq_len embedding rows a picture has: each tile of the grid, and all of it in small."""
    rows, columns = grid
    return rows * columns + 1 if family == "tiles" else 1
