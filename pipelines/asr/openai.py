"""Any server with ``/v1/audio/transcriptions`` as the recognizer: speaches, vLLM, LocalAI, or one on the internet.

Runs on: the server; here only the official client (openai, Apache-2.0). What crosses the network: each utterance, as a
WAV of 16 kHz. Behind most such servers stands Whisper, so the gates against phantoms apply here too.
"""

from collections.abc import Coroutine
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipelines import openai_client
from pipelines.asr import RATE, Recognition, _gates
from pipelines.audio import wav
from pipelines.engine import EngineError

SHORTEST = RATE // 10  # samples: less is no word
# The API spells languages out in its verbose form.
NAMES = {"english": "en", "chinese": "zh", "german": "de", "french": "fr", "spanish": "es", "italian": "it"}
NAMES |= {"japanese": "ja", "korean": "ko", "portuguese": "pt", "russian": "ru", "dutch": "nl", "cantonese": "yue"}


class Options(openai_client.Options, frozen=True, kw_only=True):
    language: str = ""  # ISO 639-1: pinned; "" lets the server detect it
    hotwords: tuple[str, ...] = ()  # names and terms to listen for; sent within the prompt
    prompt: str = ""  # text in the style of what is expected
    verbose: bool = False  # ask for probabilities and the language (Whisper servers; others refuse it)
    gates: _gates.Gates = _gates.Gates()


class Engine:
    """See ``pipelines.asr.Recognizer``."""

    Options: TypeAlias = Options
    extra = "openai"

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a key that cannot be read. Does not connect."""
        self._options = options
        self._server = openai_client.Server(options)

    def utterance(self, language: str = "") -> "Heard":
        return Heard(self, language)

    def recognize(self, pcm: NDArray[np.int16], known: str = "") -> Recognition:
        """The text of an utterance, int16 [samples] at 16 kHz, or why there is none. Raises EngineError."""
        sound = _gates.listen(pcm)
        if len(pcm) < SHORTEST or sound.loud < self._options.gates.quietest_dbfs:
            return Recognition(refused="silence")
        asked: dict[str, Any] = {
            "model": self._options.model,
            "file": ("utterance.wav", wav.encode(RATE, pcm), "audio/wav"),
            "response_format": "verbose_json" if self._options.verbose else "json",
            "temperature": 0.0,
        }
        if known := known or self._options.language:
            asked["language"] = known
        if prompt := " ".join([*self._options.hotwords, self._options.prompt]).strip():
            asked["prompt"] = prompt

        def request(client: Any) -> Coroutine[Any, Any, Any]:
            answer: Coroutine[Any, Any, Any] = client.audio.transcriptions.create(**asked)
            return answer

        return self._judged(self._server.call(request), sound, known)

    def _judged(self, answer: Any, sound: _gates.Sound, known: str) -> Recognition:
        """What of the answer (whole, or in segments with their probabilities) can be believed."""
        if not isinstance(getattr(answer, "text", None), str):
            url = self._options.base_url
            raise EngineError(f"the server at {url} sent no transcription; correct base_url or see its log")
        told = str(getattr(answer, "language", None) or "").lower()
        language = known or NAMES.get(told, told if len(told) == 2 else "")
        texts: list[str] = []
        reasons: list[str] = []
        for part in getattr(answer, "segments", None) or [answer]:
            text = str(getattr(part, "text", None) or "").strip()
            no_speech, logprob = getattr(part, "no_speech_prob", None), getattr(part, "avg_logprob", None)
            reason = _gates.refusal(text, sound, self._options.gates, no_speech or 0.0, logprob or 0.0)
            (reasons if reason else texts).append(reason or text)
        # a loop shows only in the whole: servers cut it into segments
        if texts and not (reason := _gates.refusal(" ".join(texts), sound, self._options.gates)):
            return Recognition(text=" ".join(texts), language=language)
        return Recognition(refused=reason if texts else reasons[0])


class Heard:
    """See ``pipelines.asr.Utterance``. There are no partial texts."""

    def __init__(self, recognizer: Engine, language: str = "") -> None:
        self._recognizer, self._language = recognizer, language
        self._pcm: list[NDArray[np.int16]] = []

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        self._pcm.append(pcm.copy())
        return None

    def so_far(self) -> None:
        """See the Protocol: the server is asked once, for what was really said."""

    def finish(self) -> Recognition:
        """See the Protocol. Raises EngineError naming the server and the mend."""
        return self._recognizer.recognize(np.concatenate([np.zeros(0, np.int16), *self._pcm]), self._language)
