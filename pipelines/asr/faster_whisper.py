"""Whisper by CTranslate2: the best recognition a CPU can do, in a hundred languages, and with gates against phantoms.

Runs on: faster-whisper (MIT) with CTranslate2 (MIT), CPU or CUDA. Needs: a folder with a converted model (model.bin,
config.json, tokenizer.json, vocabulary.json, and preprocessor_config.json for the larger ones), such as the
repositories Systran/faster-whisper-tiny … (MIT). Nothing is ever downloaded. Whisper hears 30 s at a time, so a short
question costs as much as a long one; detecting the language costs the encoder a second run: pin it where you can.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.asr import RATE, Recognition, _gates

FILES = ("model.bin", "config.json", "tokenizer.json")  # without the last the library would ask a hub for it
SHORTEST = RATE // 10  # samples: less is no word
TOKENS = (16, 12)  # at most so many, plus so many a second: a decoder in a loop must not cost the user ten seconds
LONGEST_ANSWER = 200  # tokens of one window of 30 s; with the longest prompt they fit into Whisper's 448


class Options(engine.Options, frozen=True, kw_only=True):
    model: Annotated[str, msgspec.Meta(min_length=1)]  # folder of the converted model
    language: str = ""  # ISO 639-1: pinned; "" detects it
    languages: tuple[str, ...] = ()  # detect only among these: a cough is not Welsh
    compute: Literal["int8", "int8_float32", "int8_float16", "float16", "float32", "default"] = "int8"
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    threads: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0  # 0: the library's choice, 4
    beam: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1  # 5 is a little better and up to twice as slow
    hotwords: tuple[str, ...] = ()  # names and terms to listen for
    prompt: str = ""  # text in the style of what is expected
    partial_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0  # decode what was heard so far so often; 0: never
    gates: _gates.Gates = _gates.Gates()


class Engine:
    """See ``pipelines.asr.Recognizer``."""

    Options: TypeAlias = Options
    extra = "faster-whisper"

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a missing, damaged or unfitting file of the folder, or a language it does not know."""
        from faster_whisper import WhisperModel

        self.options = options
        folder = _checked(Path(options.model).expanduser())
        try:
            self._model = WhisperModel(
                str(folder),
                device=options.device,
                compute_type=options.compute,
                cpu_threads=options.threads,
                local_files_only=True,
            )
        except Exception as error:  # tokenizers raises a bare Exception for a damaged file
            brief = " ".join(str(error).split())[:200]
            raise engine.EngineError(f"the Whisper model in {folder} cannot be loaded: {brief}") from error
        mels, known = self._model.model.n_mels, self._model.supported_languages
        if self._model.feature_extractor.mel_filters.shape[0] != mels:
            raise engine.EngineError(
                f"the Whisper model in {folder} wants {mels} mels: its preprocessor_config.json "
                "is missing or of another model; download it again"
            )
        for language in (options.language, *options.languages):
            if language and language not in known:
                raise engine.EngineError(
                    f"the Whisper model in {folder} does not know the language {language!r}"
                    + ("; it is English only" if known == ["en"] else "")
                )

    def utterance(self, language: str = "") -> "Heard":
        return Heard(self, language if language in self._model.supported_languages else "")

    def recognize(self, pcm: NDArray[np.int16], known: str = "") -> Recognition:
        """The text of an utterance, int16 [samples] at 16 kHz, or why there is none. Raises EngineError."""
        sound = _gates.listen(pcm)
        if len(pcm) < SHORTEST or sound.loud < self.options.gates.quietest_dbfs:
            return Recognition(refused="silence")
        try:
            segments, language = self._transcribed(pcm.astype(np.float32) / np.float32(32768), sound.seconds, known)
        except (RuntimeError, ValueError) as error:  # out of memory, or a model that does not fit together
            brief = " ".join(str(error).split())[:200]
            raise engine.EngineError(f"the Whisper model in {self.options.model} does not work: {brief}") from error
        return self._judged(segments, sound, language)

    def _transcribed(self, audio: NDArray[np.float32], seconds: float, known: str) -> tuple[list[Any], str]:
        """The segments (one a window of 30 s) and the language."""
        segments, info = self._model.transcribe(
            audio,
            language=known or self._language(audio),
            beam_size=self.options.beam,
            temperature=0.0,  # no second tries at higher ones: they cost time and invent
            condition_on_previous_text=False,
            without_timestamps=True,
            initial_prompt=self.options.prompt or None,
            hotwords=" ".join(self.options.hotwords) or None,
            max_new_tokens=min(LONGEST_ANSWER, TOKENS[0] + int(TOKENS[1] * seconds)),
            # its gates say nothing about their reasons; ours do
            compression_ratio_threshold=None,
            log_prob_threshold=None,
            no_speech_threshold=None,
        )
        return list(segments), str(info.language)

    def _language(self, audio: NDArray[np.float32]) -> str | None:
        """The pinned language, the likeliest of those allowed, or None for the library's own detection."""
        allowed = self.options.languages
        if self.options.language or not allowed or not self._model.model.is_multilingual:
            return self.options.language or None
        if len(allowed) == 1:
            return allowed[0]
        _, _, likely = self._model.detect_language(audio=audio)
        return str(max(likely, key=lambda pair: pair[1] if pair[0] in allowed else -1.0)[0])

    def _judged(self, segments: Sequence[Any], sound: _gates.Sound, language: str) -> Recognition:
        """What of the segments can be believed."""
        texts, reasons = [], []
        for segment in segments:
            text = segment.text.strip()
            reason = _gates.refusal(text, sound, self.options.gates, segment.no_speech_prob, segment.avg_logprob)
            if reason:
                reasons.append(reason)
            else:
                texts.append(text)
        if texts:
            return Recognition(text=" ".join(texts), language=language)
        return Recognition(refused=(reasons or ["not understood"])[0])


class Heard:
    """See ``pipelines.asr.Utterance``."""

    def __init__(self, recognizer: Engine, language: str = "") -> None:
        self._recognizer, self._language = recognizer, language
        self._pcm: list[NDArray[np.int16]] = []
        self._waiting = 0  # samples since the last partial text
        self._partial = ""

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        """See the Protocol. With ``partial_ms`` this now and then takes as long as ``finish`` does."""
        self._pcm.append(pcm.copy())
        self._waiting += len(pcm)
        if (
            not self._recognizer.options.partial_ms
            or self._waiting < self._recognizer.options.partial_ms * RATE // 1000
        ):
            return None
        self._waiting = 0
        text = self._recognizer.recognize(np.concatenate(self._pcm), self._language).text
        if not text or text == self._partial:
            return None
        self._partial = text
        return text

    def so_far(self) -> Recognition:
        """See the protocol: takes as long as ``finish`` does."""
        return self.finish()

    def finish(self) -> Recognition:
        return self._recognizer.recognize(np.concatenate([np.zeros(0, np.int16), *self._pcm]), self._language)


def _checked(folder: Path) -> Path:
    if not folder.is_dir():
        raise engine.EngineError(
            f"there is no Whisper model folder {folder}; correct the option 'model' or download one"
        )
    missing = [name for name in FILES if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in ("vocabulary.json", "vocabulary.txt")):
        missing.append("vocabulary.json")
    if missing:
        raise engine.EngineError(f"the Whisper model folder {folder} has no {', '.join(missing)}; download it again")
    return folder
