"""sherpa-onnx's keyword spotting: any phrase in Chinese or English, without training, light on the CPUs of boards.

Runs on: sherpa-onnx (Apache-2.0), CPU. Needs: an unpacked folder of
https://github.com/k2-fsa/sherpa-onnx/releases/tag/kws-models (3 to 5 MB in 8 bits): …-wenetspeech-… for Chinese,
…-gigaspeech-… for English, …-zh-en-… for both. Each model has a licence of its own.

English phrases are spelt by the model's own pieces of words, or its lexicon (en.phone); Chinese ones where the model
writes characters. A model that writes pinyin is told it: pronunciations = { "小云小云" = "xiǎo yún xiǎo yún" }.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine, sherpafolder
from pipelines.wakeword import RATE, Detection, _spelling

_LATEST = RATE * 3 // 2  # samples: a phrase ended at most so long before it is told of


class Options(engine.Options, frozen=True, kw_only=True):
    model: Annotated[str, msgspec.Meta(min_length=1)]  # folder
    phrases: tuple[str, ...]
    pronunciations: dict[str, str] = msgspec.field(default_factory=dict)  # phrase -> tokens, or pinyin with tones
    threshold: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.25  # probability; higher: fewer hits, fewer mistakes
    thresholds: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1)]] = msgspec.field(default_factory=dict)
    boost: Annotated[float, msgspec.Meta(ge=0, le=10)] = 1.0  # of the phrases in the search; higher: more hits
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1


class Engine:
    """See ``pipelines.wakeword.Spotter``."""

    Options: TypeAlias = Options
    extra = "sherpa-onnx"

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a folder that is no keyword model, and for a phrase that the model cannot spell."""
        import sherpa_onnx

        self._options = options
        self.phrases = options.phrases
        if not self.phrases:
            raise engine.EngineError("wakeword: there are no phrases; name at least one")
        for name, table in (("threshold", options.thresholds), ("pronunciation", options.pronunciations)):
            if strange := [phrase for phrase in table if phrase not in options.phrases]:
                raise engine.EngineError(f"wakeword: a {name} for {strange[0]!r}, which is none of the phrases")
        folder = Path(options.model).expanduser()
        encoder = sherpafolder.find(folder, "encoder")
        if encoder is None:
            raise engine.EngineError(f"there is no keyword model (encoder*.onnx …) in {folder}; correct 'model'")
        files = sherpafolder.streaming(folder, encoder)
        files.pop("model_type")
        with tempfile.TemporaryDirectory() as place:
            keywords = Path(place, "keywords.txt")
            keywords.write_text("".join(self._line(index, folder) for index in range(len(self.phrases))), "utf-8")
            try:
                self._spotter: Any = sherpa_onnx.KeywordSpotter(
                    **files, keywords_file=str(keywords), num_threads=options.threads
                )
            except (RuntimeError, ValueError) as error:
                raise self._broken(error) from error
        self.reset()

    def reset(self) -> None:
        self._fed = 0  # samples
        self._begin()

    def feed(self, pcm: NDArray[np.int16]) -> list[Detection]:
        """See the protocol. The model decides every few hundred ms. Its probabilities are not told: a score is 1."""
        self._stream.accept_waveform(RATE, pcm.astype(np.float32) / np.float32(32768))
        self._fed += len(pcm)
        found = []
        try:
            while self._spotter.is_ready(self._stream):
                self._spotter.decode_stream(self._stream)
                if name := self._spotter.get_result(self._stream):
                    found.append(Detection(self.phrases[int(name)], 1.0, self._end()))
                    self._begin()
        except RuntimeError as error:
            raise self._broken(error) from error
        return found

    def _begin(self) -> None:
        """A stream of the library's, whose times begin here."""
        self._stream = self._spotter.create_stream()
        self._base = self._fed

    def _end(self) -> int:
        """When the model wrote the last token of the phrase: that begins before the phrase ends."""
        written = self._base + int(max(self._spotter.timestamps(self._stream), default=0.0) * RATE)
        return min(self._fed, max(written, self._fed - _LATEST, 0))

    def _line(self, index: int, folder: Path) -> str:
        """Of the library's keywords file: tokens, boost, threshold, and a name, which is the phrase's number."""
        phrase, options = self.phrases[index], self._options
        tokens = _spelling.spelt(phrase, options.pronunciations.get(phrase, ""), *_vocabulary(folder))
        least = options.thresholds.get(phrase, options.threshold)
        return f"{' '.join(tokens)} :{options.boost:g} #{least:g} @{index}\n"

    def _broken(self, error: Exception) -> engine.EngineError:
        brief = " ".join(str(error).split())[:200]
        return engine.EngineError(f"the model folder {self._options.model} does not work: {brief}")


def _vocabulary(folder: Path) -> tuple[dict[str, int], dict[str, list[str]]]:
    """The tokens with their numbers, and the words whose pronunciation lies in the folder."""
    rows = [line.split() for line in (folder / "tokens.txt").read_text("utf-8").splitlines()]
    tokens = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
    lexicon: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.phone")):
        words = (line.split() for line in path.read_text("utf-8").splitlines())
        lexicon |= {word[0]: word[1:] for word in words if len(word) > 1}
    return tokens, lexicon
