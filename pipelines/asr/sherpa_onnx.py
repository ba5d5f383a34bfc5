"""sherpa-onnx: recognizers that are light on the CPUs of boards, for Chinese and English.

Runs on: sherpa-onnx (Apache-2.0), CPU. Needs: an unpacked folder of
https://github.com/k2-fsa/sherpa-onnx/releases/tag/asr-models, of one of two kinds that is seen from its files:
SenseVoice (sherpa-onnx-sense-voice-…; whole utterances; also Japanese, Korean, Cantonese) or a streaming zipformer
transducer (sherpa-onnx-streaming-zipformer-…; writes along while one speaks). Each model has a licence of its own.

The library ends the whole process where a model is not what it expects; so models are looked into before it may.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine, onnxfile, sherpafolder
from pipelines.asr import RATE, Recognition, _gates

SHORTEST = RATE // 10  # samples: less is no word
TAIL = np.zeros(RATE // 2, np.float32)  # silence that brings out the last words of a streaming model
LANGUAGES = ("auto", "zh", "en", "ja", "ko", "yue")  # of SenseVoice

# Metadata that the library cannot do without.
SENSE_VOICE = {"vocab_size", "lfr_window_size", "lfr_window_shift", "normalize_samples", "neg_mean", "inv_stddev"}
SENSE_VOICE |= {"with_itn", "without_itn", *(f"lang_{language}" for language in LANGUAGES)}


class Options(engine.Options, frozen=True, kw_only=True):
    model: Annotated[str, msgspec.Meta(min_length=1)]  # folder
    language: Literal["", "zh", "en", "ja", "ko", "yue"] = ""  # SenseVoice: pinned; "" detects it
    punctuate: bool = True  # SenseVoice: with punctuation, and numbers as digits
    partial_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0  # SenseVoice: decode what was heard so far so often
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    gates: _gates.Gates = _gates.Gates()


class Engine:
    """See ``pipelines.asr.Recognizer``."""

    Options: TypeAlias = Options
    extra = "sherpa-onnx"

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a folder of no known kind, and for a missing, damaged or unfitting file of it."""
        import sherpa_onnx

        self.options = options
        folder = Path(options.model).expanduser()
        if not folder.is_dir():
            raise engine.EngineError(f"there is no model folder {folder}; correct the option 'model' or download one")
        with self.failing():
            if encoder := sherpafolder.find(folder, "encoder"):
                self.streams = True
                self.recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(
                    **sherpafolder.streaming(folder, encoder), num_threads=options.threads
                )
            else:
                self.streams = False
                self.recognizer = sherpa_onnx.OfflineRecognizer.from_sense_voice(
                    **_sense_voice(folder),
                    language=options.language,
                    use_itn=options.punctuate,
                    num_threads=options.threads,
                )

    def utterance(self, language: str = "") -> "Streaming | Whole":
        return Streaming(self) if self.streams else Whole(self)

    def judged(self, text: str, sound: _gates.Sound, language: str) -> Recognition:
        """The text, or why it is not believed."""
        reason = _gates.refusal(text, sound, self.options.gates)
        return Recognition(refused=reason) if reason else Recognition(text=text, language=language)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """What the library throws, in words: graphs that do not fit together show only when they run."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            brief = " ".join(str(error).split())[:200]
            raise engine.EngineError(f"the model folder {self.options.model} does not work: {brief}") from error

    def silent(self, pcm: NDArray[np.int16], sound: _gates.Sound) -> bool:
        return len(pcm) < SHORTEST or sound.loud < self.options.gates.quietest_dbfs


class Streaming:
    """See ``pipelines.asr.Utterance``: the text grows while it is fed."""

    def __init__(self, recognizer: Engine) -> None:
        self._engine = recognizer
        self._stream = recognizer.recognizer.create_stream()
        self._pcm: list[NDArray[np.int16]] = []
        self._partial = ""

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        self._pcm.append(pcm.copy())
        self._stream.accept_waveform(RATE, pcm.astype(np.float32) / np.float32(32768))
        text = self._decoded()
        if text == self._partial:
            return None
        self._partial = text
        return text

    def so_far(self) -> Recognition:
        """See the protocol. To the model this makes the pause half a second longer than it was."""
        return self._brought_out(final=False)

    def finish(self) -> Recognition:
        return self._brought_out(final=True)

    def _brought_out(self, final: bool) -> Recognition:
        pcm = np.concatenate([np.zeros(0, np.int16), *self._pcm])
        sound = _gates.listen(pcm)
        if self._engine.silent(pcm, sound):
            return Recognition(refused="silence")
        self._stream.accept_waveform(RATE, TAIL)
        if final:
            self._stream.input_finished()
        return self._engine.judged(self._decoded(), sound, self._engine.options.language)

    def _decoded(self) -> str:
        recognizer: Any = self._engine.recognizer
        with self._engine.failing():
            while recognizer.is_ready(self._stream):
                recognizer.decode_stream(self._stream)
        text = str(recognizer.get_result(self._stream)).strip()
        return text.lower() if text.isupper() else text  # many are trained on capitals alone


class Whole:
    """See ``pipelines.asr.Utterance``: decoded when it is over, and before that as often as ``partial_ms`` says."""

    def __init__(self, recognizer: Engine) -> None:
        self._engine = recognizer
        self._pcm: list[NDArray[np.int16]] = []
        self._waiting = 0  # samples since the last partial text
        self._partial = ""

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        self._pcm.append(pcm.copy())
        self._waiting += len(pcm)
        every = self._engine.options.partial_ms * RATE // 1000
        if not every or self._waiting < every:
            return None
        self._waiting = 0
        text = self.finish().text
        if not text or text == self._partial:
            return None
        self._partial = text
        return text

    def so_far(self) -> Recognition:
        """See the protocol: takes as long as ``finish`` does."""
        return self.finish()

    def finish(self) -> Recognition:
        pcm = np.concatenate([np.zeros(0, np.int16), *self._pcm])
        sound = _gates.listen(pcm)
        if self._engine.silent(pcm, sound):
            return Recognition(refused="silence")
        recognizer: Any = self._engine.recognizer
        stream = recognizer.create_stream()
        stream.accept_waveform(RATE, pcm.astype(np.float32) / np.float32(32768))
        with self._engine.failing():
            recognizer.decode_stream(stream)
        told = stream.result
        language = str(told.lang).strip("<|>")
        if language == "nospeech":
            return Recognition(refused="noise")
        return self._engine.judged(str(told.text).strip(), sound, language if language in LANGUAGES[1:] else "")


def _sense_voice(folder: Path) -> dict[str, str]:
    """The library's arguments. Raises EngineError."""
    model = sherpafolder.find(folder, "model")
    if model is None:
        raise engine.EngineError(
            f"the model folder {folder} has neither model*.onnx (SenseVoice) nor encoder*.onnx (streaming zipformer); "
            "correct the option 'model'"
        )
    told = sherpafolder.complete(model, onnxfile.metadata(model), SENSE_VOICE)
    return {"model": str(model), "tokens": str(sherpafolder.tokens(folder, told))}
