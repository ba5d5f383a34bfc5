"""What an engine must know of a model beside its files: one table for each family in models/manifest.toml.

An .rkllm and an .rknn do not say which tags stand around a picture, how wide its rows are, or whether the model's cache
can be used again. The manifest does, each fact with its source; a board's settings name the family.
"""

import difflib
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from pipelines.engine import EngineError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOME = Path(__file__).resolve().parent.parent.parent
PLACES = ("assistant/shipped/models/manifest.toml", "models/manifest.toml")  # in a wheel, in a checkout
DOUBTS = ("sources", "unverified")  # fields that are about the others

Edge = Annotated[int, msgspec.Meta(ge=16, le=4096)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Level = Annotated[int, msgspec.Meta(ge=0, le=255)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fields of a [families.NAME]. One without ``image_size`` knows text alone."""

    image_size: tuple[Edge, ...] = ()  # pixels, square; one for each export there is, the usual one first
    tokens: tuple[Count, ...] = ()  # rows of each of those sizes
    width: Annotated[int, msgspec.Meta(ge=0, le=65536)] = 0  # floats of the embedding: a row of one output
    outputs: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0  # of the image encoder; they stand side by side in a row
    tags: tuple[str, str, str] = ("", "", "")  # before a picture, after it, for each of its tokens
    padding: tuple[Level, Level, Level] = (128, 128, 128)  # RGB around a picture that is no square; the vendor: 127.5
    layout: Literal["nhwc", "nchw"] = "nhwc"
    normalise: Literal["in the model", "in the application"] = "in the model"
    mean: tuple[Share, Share, Share] = (0.5, 0.5, 0.5)  # of pixel values in 0..1
    std: tuple[Share, Share, Share] = (0.5, 0.5, 0.5)
    context: Count  # tokens: the most that the model was made for; a file may be converted for fewer
    template: Mapping[str, str] = {}  # its pieces: see pipelines.llm._rkllm_plan.Template; empty: as the file has it
    reuse: Literal["history", "prefix", "none"]  # how what the cache holds can be used again: see pipelines.llm.rkllm
    history: Literal["template", "lines"]  # earlier turns; lines: the runtime strips special tokens from text
    thinks: bool  # it thinks before it answers, unless told not to
    sources: Mapping[str, Sequence[str]]  # who says so -> the facts
    unverified: Sequence[str]  # facts that nobody could check

    @property
    def row_width(self) -> int:
        """Floats a picture's row has, all outputs together; 0: the family knows text alone."""
        return self.width * self.outputs

    def rows(self, size: int) -> int:
        """How many rows a picture of ``size`` pixels square becomes; 0 where no such export is known."""
        return dict(zip(self.image_size, self.tokens, strict=True)).get(size, 0)


def family(name: str) -> Family:
    """The family called ``name``. Raises EngineError for an unknown one, nearest first, or without a sound manifest."""
    tables, origin = _tables()
    if name not in tables:
        near = difflib.get_close_matches(name, tables, n=len(tables), cutoff=0.0)
        raise EngineError(f"there is no model family {name!r}; there are, nearest first: {', '.join(near)}")
    return read(tables[name], f"{origin}: families.{name}")


def names() -> list[str]:
    """The families that there are. Raises EngineError without a manifest."""
    return list(_tables()[0])


def read(table: Any, where: str) -> Family:
    """A family out of its table; ``where`` is named in errors. Raises EngineError."""
    try:
        found = msgspec.convert(table, Family)
    except msgspec.ValidationError as error:
        raise EngineError(f"{where}: {error}") from error
    if len(found.image_size) != len(found.tokens):
        raise EngineError(f"{where}: there must be as many tokens as image_size")
    if len({bool(found.image_size), bool(found.row_width), bool(found.tags[2])}) != 1:
        raise EngineError(
            f"{where}: image_size, tokens, width, outputs and tags belong together: all, or none for text"
        )
    if 0 in found.std:
        raise EngineError(f"{where}: std: nothing can be divided by 0")
    return found


@functools.lru_cache(maxsize=1)
def _tables() -> tuple[Mapping[str, Any], Path]:
    for path in (HOME / place for place in PLACES):
        if path.is_file():
            break
    else:
        raise EngineError(f"models/manifest.toml is missing, which knows the model families; install again: {HOME}")
    try:
        tables = tomllib.loads(path.read_text("utf-8")).get("families")
    except (OSError, ValueError) as error:  # tomllib's and Unicode's errors are ValueErrors
        raise EngineError(f"{path}: cannot be read: {error}; install again") from error
    if not isinstance(tables, dict):
        raise EngineError(f"{path}: the table [families] is missing; install again")
    return tables, path
