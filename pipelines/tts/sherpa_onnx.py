"""sherpa-onnx: neural voices for many languages, Chinese among them, without Python packages for each.

Runs on: sherpa-onnx (Apache-2.0; from 2.0 on, which is without espeak-ng), CPU. Needs: an unpacked folder of
https://github.com/k2-fsa/sherpa-onnx/releases/tag/tts-models with a lexicon, of one of three kinds that is seen from
its files: VITS (also MeloTTS), Matcha (with a vocoder put into the folder) or Kokoro from 1.0 on. Each voice has a
licence of its own. A sentence is synthesised in pieces at its punctuation; where words begin is not known.

The library ends the whole process where a model is not what it expects; so models are looked into before it may.
"""

import logging
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import numpy as np

from pipelines import engine, onnxfile
from pipelines.tts import Chunk

PIECES = re.compile(r"(?<=[.!?;:,])\s+|(?<=[。！？；：，])")
SHORTEST = 12  # characters: shorter pieces sound chopped and join the next one
VOCODERS = {"hifigan", "vocos", "matcha-tts vocos"}

# Metadata that the library cannot do without.
VITS = {"sample_rate", "n_speakers", "language", "comment"}
MATCHA = {"sample_rate", "n_speakers"}
KOKORO = {"sample_rate", "n_speakers", "has_espeak", "style_dim"}

log = logging.getLogger(__name__)


class Options(engine.Options, frozen=True, kw_only=True):
    model: Annotated[str, msgspec.Meta(min_length=1)]  # folder
    speaker: Annotated[int, msgspec.Meta(ge=0)] = 0
    speed: Annotated[float, msgspec.Meta(ge=0.3, le=3.0)] = 1.0  # more is faster
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2


class Engine:
    """See ``pipelines.tts.Voice``. One voice; what languages it speaks is its own affair."""

    Options: TypeAlias = Options
    extra = "sherpa-onnx"

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a folder of no known kind, and for a missing, damaged or unfitting file of it."""
        import sherpa_onnx

        self._options = options
        folder = Path(options.model).expanduser()
        if not folder.is_dir():
            raise engine.EngineError(f"there is no model folder {folder}; correct the option 'model' or download one")
        kind, files = _files(folder)
        model = {
            "vits": sherpa_onnx.OfflineTtsVitsModelConfig,
            "matcha": sherpa_onnx.OfflineTtsMatchaModelConfig,
            "kokoro": sherpa_onnx.OfflineTtsKokoroModelConfig,
        }[kind](**files)
        config = sherpa_onnx.OfflineTtsConfig(
            model=sherpa_onnx.OfflineTtsModelConfig(**{kind: model}, num_threads=options.threads),
            rule_fsts=",".join(map(str, sorted(folder.glob("*.fst")))),  # how numbers and dates are read
            rule_fars=",".join(map(str, sorted(folder.glob("*.far")))),
        )
        if not config.validate():
            raise engine.EngineError(f"the model folder {folder} is not complete; what is missing stands above")
        try:
            self._voice = sherpa_onnx.OfflineTts(config)
        except (RuntimeError, ValueError) as error:
            brief = " ".join(str(error).split())[:200]
            raise engine.EngineError(f"the model folder {folder} cannot be loaded: {brief}") from error
        if options.speaker >= max(1, self._voice.num_speakers):
            last = max(1, self._voice.num_speakers) - 1
            raise engine.EngineError(f"the voice in {folder} has no speaker {options.speaker}; it has 0..{last}")
        self.rate: int = self._voice.sample_rate

    def speak(self, text: str, language: str = "") -> Iterator[Chunk]:
        """See the Protocol. Raises EngineError."""
        for piece in pieces(text.replace("\0", " ")):
            try:
                made = self._voice.generate(piece, sid=self._options.speaker, speed=self._options.speed)
            except (RuntimeError, ValueError) as error:
                brief = " ".join(str(error).split())[:200]
                raise engine.EngineError(f"the sherpa_onnx voice failed on {piece[:40]!r}: {brief}") from error
            samples = np.asarray(made.samples, np.float32)
            if len(samples):
                yield Chunk((np.clip(np.nan_to_num(samples), -1.0, 1.0) * 32767).astype(np.int16))
            else:
                log.warning("the voice knows no word of %r", piece)


def pieces(text: str) -> list[str]:
    """The text cut at punctuation into pieces that can be synthesised while the one before is heard."""
    found: list[str] = []
    for piece in PIECES.split(text):
        if found and len(found[-1]) < SHORTEST:
            found[-1] = f"{found[-1]} {piece}"
        elif piece:
            found.append(piece)
    return [piece for piece in found if any(character.isalnum() for character in piece)]


def _files(folder: Path) -> tuple[str, dict[str, str]]:
    """The kind of voice that lies in the folder, and the library's arguments for it. Raises EngineError."""
    graphs = {path: onnxfile.metadata(path) for path in sorted(folder.glob("*.onnx"), key=_order)}
    vocoders = [path for path, told in graphs.items() if told.get("model_type") in VOCODERS]
    voices = [path for path in graphs if path not in vocoders]
    if not voices:
        raise engine.EngineError(f"the model folder {folder} holds no voice (*.onnx); download it again")
    model, told = voices[0], graphs[voices[0]]
    common = {"tokens": str(_present(folder, "tokens.txt")), "lexicon": _lexicons(folder, told)}
    if (folder / "voices.bin").is_file():
        return "kokoro", common | {"model": str(model), "voices": str(_styles(model, told))}
    if "matcha" not in told.get("model_type", ""):
        _complete(model, told, VITS)
        return "vits", common | {"model": str(model)}
    _complete(model, told, MATCHA)
    if not vocoders:
        raise engine.EngineError(
            f"the model folder {folder} has no vocoder beside {model.name}; put one there "
            "(https://github.com/k2-fsa/sherpa-onnx/releases/tag/vocoder-models)"
        )
    return "matcha", common | {"acoustic_model": str(model), "vocoder": str(vocoders[0])}


def _styles(model: Path, told: dict[str, str]) -> Path:
    """Kokoro's voices.bin, if it is as long as the model says."""
    _complete(model, told, KOKORO)
    path = model.with_name("voices.bin")
    shape = [int(part) if part.strip().isdecimal() else 0 for part in told["style_dim"].split(",")]
    wanted = 4 * math.prod(shape) * int(told["n_speakers"])
    if len(shape) != 3 or path.stat().st_size != wanted:
        raise engine.EngineError(
            f"{path} has {path.stat().st_size} bytes, but {model.name} wants {wanted}; download them again"
        )
    return path


def _lexicons(folder: Path, told: dict[str, str]) -> str:
    """The lexicons (Kokoro has several), "" for a voice that reads letters. Raises EngineError where one is lacking."""
    # of Kokoro's two dialects of English the first that is given wins; one is enough
    found = [path for path in sorted(folder.glob("lexicon*.txt")) if path.name != "lexicon-gb-en.txt"]
    if not found and told.get("frontend") != "characters":
        raise engine.EngineError(
            f"the voice in {folder} has no lexicon: it takes espeak-ng's phonemes, which sherpa-onnx has left out "
            "since 2.0; take a voice with lexicon*.txt, or for voices of Piper the tts engine 'piper'"
        )
    for path in found:
        _present(folder, path.name)
    return ",".join(map(str, found))


def _present(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file() or not path.stat().st_size:
        raise engine.EngineError(f"the model folder {folder} has no {name}, or an empty one; download it again")
    return path


def _order(path: Path) -> tuple[bool, str]:
    return "int8" not in path.name, path.name


def _complete(path: Path, told: dict[str, str], wanted: set[str]) -> None:
    missing = sorted(key for key in wanted if not told.get(key))
    if missing:
        raise engine.EngineError(
            f"{path} is no voice as sherpa-onnx publishes them: its metadata lacks {', '.join(missing)}"
        )
