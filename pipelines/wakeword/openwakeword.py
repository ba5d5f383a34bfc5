"""openWakeWord's networks (https://github.com/dscripka/openWakeWord): phrases that were trained, far better in noise.

Runs on: onnxruntime (MIT), one thread; the package itself is not used. Needs three kinds of file of its releases, by
path: melspectrogram.onnx and embedding_model.onnx (Apache-2.0, shared by all phrases), and one .onnx file a phrase. The
phrases that the project publishes are CC BY-NC-SA 4.0: not for commerce; one that you train is yours. The wheel of
openwakeword 0.4.0 holds them all: pip download --no-deps openwakeword==0.4.0, and unzip it.

Every 80 ms of sound: 8 frames of a mel spectrum, one embedding of the newest 76 of them, and each phrase's network
looks at as many of the newest embeddings as its input is long (16 as published: 1.3 s).
"""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine, onnxfile
from pipelines.wakeword import RATE, Detection
from pipelines.wakeword._ending import Ends

STEP = 1280  # samples, 80 ms: between two decisions
OVERLAP = 3 * 160  # samples before a step that its mel frames need
MELS, WINDOW, WIDTH = 32, 76, 96  # bands; frames of one embedding; its length
SETTLING = 5  # decisions: the first ones look mostly at what was never heard
LATEST = RATE * 2 // 5  # samples: 98 of 100 phrases are believed sooner after their end (measured on made-up voices)


class Options(engine.Options, frozen=True, kw_only=True):
    melspectrogram: Annotated[str, msgspec.Meta(min_length=1)]  # path of melspectrogram.onnx
    embedding: Annotated[str, msgspec.Meta(min_length=1)]  # path of embedding_model.onnx
    phrases: dict[str, str]  # what is said -> path of its .onnx file: "hey jarvis" = "…/hey_jarvis_v0.1.onnx"
    threshold: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    thresholds: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1)]] = msgspec.field(default_factory=dict)


class Engine:
    """See ``pipelines.wakeword.Spotter``."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises EngineError naming a file that is missing, damaged or not of the form that is expected."""
        self._options = options
        self.phrases = tuple(options.phrases)
        if not self.phrases:
            raise engine.EngineError("wakeword: openwakeword needs phrases: what is said, and the .onnx file of each")
        if strange := [phrase for phrase in options.thresholds if phrase not in options.phrases]:
            raise engine.EngineError(f"wakeword: a threshold for {strange[0]!r}, which is none of the phrases")
        self._mel = _Network(options.melspectrogram)
        self._embedding = _Network(options.embedding, (WINDOW, MELS, 1))
        self._models = {phrase: _Network(path, (None, WIDTH)) for phrase, path in options.phrases.items()}
        depth = max(int(model.shape[1]) for model in self._models.values())
        silence = self._embed(np.broadcast_to(self._spectrum(np.zeros(OVERLAP + STEP, np.int16))[-1], (WINDOW, MELS)))
        self._silence = np.tile(silence, (depth, 1))
        self.reset()

    def reset(self) -> None:
        self._sound = np.zeros(OVERLAP, np.int16)  # what the next step still needs of what is behind it, and its own
        self._frames = np.ones((WINDOW, MELS), np.float32)  # the newest mel frames
        self._embeddings = self._silence  # of zeros, which are nothing that was ever heard, "alexa" is a sure thing
        self._steps = 0
        self._ends = Ends(LATEST)

    def feed(self, pcm: NDArray[np.int16]) -> list[Detection]:
        """See the protocol; a decision is due every 80 ms, and told one or two later."""
        self._sound = np.concatenate([self._sound, pcm])
        found = []
        while len(self._sound) >= OVERLAP + STEP:
            scores = self.scores(self._sound[: OVERLAP + STEP])
            self._ends.hear(self._sound[OVERLAP : OVERLAP + STEP])
            self._sound = self._sound[STEP:]
            for phrase, score in scores.items() if self._steps > SETTLING else ():
                if score >= self._options.thresholds.get(phrase, self._options.threshold):
                    self._ends.believe(phrase, score)
            found += self._ends.told()
        return found

    def scores(self, pcm: NDArray[np.int16]) -> dict[str, float]:
        """Each phrase's, 0..1, after a further step: STEP samples, and the OVERLAP before them."""
        self._frames = np.concatenate([self._frames, self._spectrum(pcm)])[-WINDOW:]
        self._embeddings = np.concatenate([self._embeddings[1:], self._embed(self._frames)[None]])
        self._steps += 1
        return {
            phrase: float(model.run(self._embeddings[None, -int(model.shape[1]) :]).reshape(-1)[0])
            for phrase, model in self._models.items()
        }

    def _spectrum(self, pcm: NDArray[np.int16]) -> NDArray[np.float32]:
        """float32 [frames, MELS], as the embedding was trained with."""
        spectrum = self._mel.run(pcm.astype(np.float32)[None])  # of samples as they are, not scaled to 1
        if spectrum.size % MELS:
            raise engine.EngineError(f"{self._mel.path} gives {spectrum.shape}: no mel spectrum of {MELS} bands")
        return np.asarray(spectrum.reshape(-1, MELS) / np.float32(10) + np.float32(2), np.float32)

    def _embed(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [WIDTH] of WINDOW frames."""
        embedded = self._embedding.run(frames[None, :, :, None]).reshape(-1)
        if len(embedded) != WIDTH:
            raise engine.EngineError(f"{self._embedding.path} gives {len(embedded)} figures, not {WIDTH}")
        return embedded


class _Network:
    """One file: an input, whose size after the first dimension is given (None: any), and an output."""

    def __init__(self, path: str, size: tuple[int | None, ...] = ()) -> None:
        self.path = Path(path).expanduser()
        self._session: Any = onnxfile.session(self.path, threads=1)
        inputs = self._session.get_inputs()
        self.shape = tuple(inputs[0].shape) if inputs else ()
        fits = len(inputs) == 1 and (not size or len(self.shape) == len(size) + 1)
        for wanted, given in zip(size, self.shape[1:], strict=False):
            fits = fits and isinstance(given, int) and given == (wanted or given)
        if not fits:
            wanted_shape = ", ".join(["1", *(str(length or "n") for length in size)])
            raise engine.EngineError(
                f"{self.path} is none of openWakeWord's files for this place: its input is {list(self.shape)}"
                + (f" and not [{wanted_shape}]" if size else "")
            )
        self._name = inputs[0].name

    def run(self, given: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            return np.asarray(self._session.run(None, {self._name: np.ascontiguousarray(given)})[0], np.float32)
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            brief = (str(error).splitlines() or ["no reason given"])[0][:200]
            raise engine.EngineError(f"{self.path} does not work: {brief}") from error
