"""models/manifest.toml as types: what each model needs, where it comes from, and which of this nobody could check.

A fact that is not known is 0, "" or empty, and stands in the entry's ``unverified``; nothing is guessed.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+@=-]{0,199}")
DEEPEST = 8  # folders of a file's path within its model
TABLES = ("models", "sets", "families")
OURS = (".part", ".etag", ".lock")  # endings of what a pull leaves beside files

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Figure = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class ManifestError(Exception):
    """The manifest is not right; the text names entry and field."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Source(_Table, frozen=True):
    """Where the files lie. Without a repository there is no download, only ``page`` to read."""

    page: str  # for people
    hf: str = ""  # owner/name on Hugging Face
    revision: str = ""  # commit, where one was seen; else a branch
    modelscope: str = ""  # owner/name
    modelscope_revision: str = "master"


class File(_Table, frozen=True):
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=400)]  # within the model's folder
    bytes: Bytes  # exact; 0: not known
    sha256: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]  # "": not known
    about_mb: Figure = 0  # MB of 1e6 bytes as the publisher's page rounds it, where the exact length is not known
    remote: str = ""  # path within the repository; "": as ``path``

    @property
    def size(self) -> int:
        """Bytes to reckon with; 0 where nothing is known."""
        return self.bytes or int(self.about_mb * 1e6)


class Vision(_Table, frozen=True):
    """What the image encoder takes and gives, and how its rows are announced to the language model. Of models for an
    NPU the family says it: see pipelines.npu.families."""

    image_size: Sequence[Annotated[int, msgspec.Meta(ge=0, le=8192)]]  # pixels, square; one for each export there is
    tokens: Sequence[Annotated[int, msgspec.Meta(ge=0, le=16384)]]  # rows of each of those sizes
    width: Annotated[int, msgspec.Meta(ge=0, le=65536)]  # floats a row
    image_start: str
    image_end: str
    image_content: str
    padding: Literal["grey square", "split", "none", "unknown"]  # grey: 127.5; split: into tiles of image_size
    normalise: Literal["in the model", "in the application", "unknown"]
    mean: Sequence[Figure]  # of pixel values in 0..1; 3, or empty where not known
    std: Sequence[Figure]


class Text(_Table, frozen=True):
    context: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)]  # tokens, as converted
    template: Literal["built in", "unknown"]


class Speed(_Table, frozen=True):
    """One measurement, by somebody, somewhere. Those that contradict each other stand side by side."""

    soc: str
    source: str
    encoder_s: Figure = 0
    prefill_ms: Figure = 0
    prefill_tokens: Figure = 0
    tokens_per_s: Figure = 0
    realtime_factor: Figure = 0  # seconds of work for a second of speech
    ram_mb: Figure = 0


class Entry(_Table, frozen=True):
    role: Literal["vlm", "asr", "tts", "endofturn"]
    engines: Sequence[str]  # of pipelines/, that run it
    about: str
    languages: Sequence[str]  # ISO 639-1
    licence: str  # SPDX where there is one
    soc: Sequence[str]  # "" and empty: any CPU
    runtime: str  # versions of the libraries that run it
    ram_mb: Figure  # while it works
    verified: bool  # repository and file names were seen as their publisher lists them
    unverified: Sequence[str]  # fields that nobody could check
    source: Source
    files: Annotated[Sequence[File], msgspec.Meta(min_length=1)]
    family: str = ""  # of [families.NAME]: files for an NPU, whose engines are told it
    context: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 0  # tokens that such files were converted for
    vision: Vision | None = None  # without a family
    text: Text | None = None
    speed: Sequence[Speed] = ()

    @property
    def size(self) -> int:
        """Bytes of all files, as far as they are known."""
        return sum(file.size for file in self.files)


class Set(_Table, frozen=True):
    about: str
    models: Annotated[Sequence[Name], msgspec.Meta(min_length=1)]


class Manifest(_Table, frozen=True):
    models: Mapping[str, Entry]
    sets: Mapping[str, Set]
    families: Sequence[str] = ()  # names; what stands in their tables is for pipelines.npu.families to read


def read(values: Mapping[str, Any], origin: str) -> Manifest:
    """The manifest out of parsed TOML; ``origin`` is named in errors. Raises ManifestError."""
    for table in ("models", "sets"):
        if not isinstance(values.get(table), dict):
            raise ManifestError(f"{origin}: the table [{table}] is missing")
    for key in values:
        if key not in TABLES:
            raise ManifestError(f"{origin}: unknown table [{key}]; there are: {', '.join(TABLES)}")
    families = values.get("families", {})
    if not isinstance(families, dict):
        raise ManifestError(f"{origin}: families must be a table, [families.NAME]")
    models = {name: _typed(entry, Entry, f"{origin}: models.{name}") for name, entry in values["models"].items()}
    sets = {name: _typed(entry, Set, f"{origin}: sets.{name}") for name, entry in values["sets"].items()}
    for name, entry in models.items():
        if problem := _problem(name, entry, families):
            raise ManifestError(f"{origin}: models.{name}: {problem}")
    for name, chosen in sets.items():
        for model in chosen.models:
            if name in models or model not in models:
                problem = "is also the name of a model" if name in models else f"names {model!r}, which is no model"
                raise ManifestError(f"{origin}: sets.{name}: {problem}")
    return Manifest(models=models, sets=sets, families=tuple(families))


def safe_name(name: str) -> bool:
    """Whether a name may become a folder among the models."""
    return NAME.fullmatch(name) is not None


def safe_path(path: str) -> bool:
    """Whether a file's path stays within its folder, on any file system, and is none of our own files."""
    parts = path.split("/")
    return len(parts) <= DEEPEST and all(PART.fullmatch(part) for part in parts) and not path.endswith(OURS)


def _typed(values: Any, kind: type[Any], where: str) -> Any:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        told = str(error).replace(" - at `$.", " - at `").replace("Object", "the table")
        raise ManifestError(f"{where}: {told}") from error


def _problem(name: str, entry: Entry, families: Collection[str]) -> str:
    """What types alone do not say; "" where all is well."""
    if not safe_name(name):
        return "the name cannot be a folder's"
    paths = [file.path for file in entry.files]
    for path in paths:
        if not safe_path(path) or path.casefold() in [other.casefold() for other in paths if other is not path]:
            return f"files: {path!r} leaves the model's folder, cannot be a file's name, or is there twice"
    if entry.family and (entry.family not in families or entry.vision or entry.text):
        known = entry.family in families
        return f"family: {entry.family!r} {'has what vision and text say' if known else 'is no table of [families]'}"
    if entry.role == "vlm" and not entry.family and (entry.vision is None or entry.text is None):
        return f"a vlm needs a family, or the table {'vision' if entry.vision is None else 'text'}"
    if entry.vision and len(entry.vision.image_size) != len(entry.vision.tokens):
        return "vision: there must be as many tokens as image_size"
    if entry.source.hf and not entry.source.revision:
        return "source: revision is missing"
    return ""
