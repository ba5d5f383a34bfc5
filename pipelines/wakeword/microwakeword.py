"""microWakeWord's networks (https://github.com/kahrendt/microWakeWord): four phrases, small enough for any CPU.

Runs on: pymicro-wakeword and pymicro-features (both Apache-2.0), which carry TensorFlow Lite's C library; one thread,
1 % of a server core. Their wheels are for Linux with glibc 2.35 or newer, x86-64 and aarch64. Four networks lie in the
wheel (Kevin Ahrendt's, Apache-2.0), so that nothing has to be downloaded: "alexa", "hey jarvis", "hey mycroft", "okay
nabu". Further ones, which anybody can train, are a .json file with its .tflite beside it: ``files``.

Every 10 ms a spectrum of 40 bands, every 30 ms a probability; a phrase was said when the mean of the last few is above
a cut-off. How many and which cut-off is what the network's .json says, or ``sensitivity``: all are the publisher's.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.wakeword import RATE, Detection
from pipelines.wakeword._ending import Ends

HOP = RATE // 100  # samples between two spectra
BANDS = 40
LATEST = RATE * 32 // 100  # samples: 99 of 100 phrases are believed sooner after their end (measured on made-up voices)

# Cut-offs for three degrees of sensitivity, and how many false wakes an hour the publisher counted with each on the
# Dinner Party Corpus (real people; esphome/home-assistant-voice-pe, home-assistant-voice.yaml). "hey jarvis" and "hey
# mycroft" are the networks that were counted, byte for byte; "okay nabu" has the cut-off of the one that was.
PUBLISHED: dict[str, dict[str, float]] = {
    "okay nabu": {"slight": 0.85, "moderate": 0.69, "very": 0.56},  # 0.000, 0.376, 0.751
    "hey jarvis": {"slight": 0.97, "moderate": 0.92, "very": 0.83},  # 0.563, 0.939, 1.502
    "hey mycroft": {"slight": 0.99, "moderate": 0.95, "very": 0.93},  # 0.567, 1.502, 1.878
}


class Options(engine.Options, frozen=True, kw_only=True):
    phrases: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]  # of the wheel's, or of those in ``files``
    files: tuple[str, ...] = ()  # paths of .json files
    sensitivity: Literal["slight", "moderate", "very"] = "slight"  # of the phrases of PUBLISHED
    thresholds: dict[str, Annotated[float, msgspec.Meta(gt=0, lt=1)]] = msgspec.field(default_factory=dict)


class Engine:
    """See ``pipelines.wakeword.Spotter``."""

    Options: TypeAlias = Options
    extra = "wakeword"

    def __init__(self, options: Options) -> None:
        """Raises EngineError naming the phrase or file that is not in order."""
        import pymicro_wakeword

        shipped = sorted(Path(pymicro_wakeword.__file__).with_name("models").glob("*.json"))
        known = {_said(path): path for path in (*shipped, *(Path(file).expanduser() for file in options.files))}
        self.phrases = tuple(dict.fromkeys(_plain(phrase) for phrase in options.phrases))
        if strange := [phrase for phrase in self.phrases if phrase not in known]:
            raise engine.EngineError(
                f"wakeword: microwakeword has no network for {strange[0]!r}; choose of {', '.join(known)}, "
                "or name the .json file of yours: files"
            )
        least = {_plain(phrase): cutoff for phrase, cutoff in options.thresholds.items()}
        if strange := [phrase for phrase in least if phrase not in self.phrases]:
            raise engine.EngineError(f"wakeword: a threshold for {strange[0]!r}, which is none of the phrases")
        self._networks = {phrase: _network(pymicro_wakeword, known[phrase]) for phrase in self.phrases}
        for phrase, network in self._networks.items():
            published = PUBLISHED.get(phrase) if known[phrase] in shipped else None
            cutoff = published[options.sensitivity] if published else network.probability_cutoff
            network.probability_cutoff = least.get(phrase, cutoff)
        self._spectra = pymicro_wakeword.MicroWakeWordFeatures()
        self.reset()

    def reset(self) -> None:
        self._spectra.reset()
        for network in self._networks.values():
            network.reset()
        self._sound = np.zeros(0, np.int16)  # less than a step
        self._ends = Ends(LATEST)

    def feed(self, pcm: NDArray[np.int16]) -> list[Detection]:
        """See the protocol; told WAIT after it was first believed, or sooner."""
        self._sound = np.concatenate([self._sound, pcm])
        found = []
        while len(self._sound) >= HOP:
            step, self._sound = self._sound[:HOP], self._sound[HOP:]
            self._ends.hear(step)
            for spectrum in self._spectra.process_streaming(step.tobytes()):
                for phrase, network in self._networks.items():
                    score = float(network.process_streaming_prob(spectrum))
                    if score > network.probability_cutoff:
                        self._ends.believe(phrase, score)
            found += self._ends.told()
        return found


def _plain(phrase: str) -> str:
    return " ".join(phrase.lower().split())


def _said(path: Path) -> str:
    """The phrase of a .json file. Raises EngineError."""
    try:
        said = json.loads(path.read_text("utf-8"))["wake_word"]
    except OSError as error:
        raise engine.EngineError(f"wakeword: {path} cannot be read ({error.strerror}); correct 'files'") from error
    except (ValueError, TypeError, KeyError) as error:
        raise engine.EngineError(f"wakeword: {path} is no .json file of microWakeWord: {error!r}") from error
    return _plain(str(said))


def _network(library: Any, path: Path) -> Any:
    """The library's own object. It does not look at what the C library answers, and a broken file would end the
    process; so we look first."""
    try:
        weights = path.parent / json.loads(path.read_text("utf-8"))["model"]
        if not weights.is_file():
            raise engine.EngineError(f"wakeword: {path} wants {weights.name} beside it, and there is none")
        place = next((Path(library.__file__).parent / "lib").glob("*tensorflowlite_c.*"))
        bare = library.microwakeword.TfLiteWakeWord(place).lib
        model = bare.TfLiteModelCreateFromFile(str(weights).encode())
        if not model:
            raise engine.EngineError(f"wakeword: {weights} is damaged, or no TensorFlow Lite network; get it anew")
        bare.TfLiteModelDelete(model)
        network = library.MicroWakeWord.from_config(path)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise engine.EngineError(f"wakeword: {path} is none of microWakeWord's: {error!r}") from error
    given = network.lib.TfLiteTensorByteSize(network.input_tensor)
    if given != network.stride * BANDS or network.lib.TfLiteTensorByteSize(network.output_tensor) != 1:
        raise engine.EngineError(f"wakeword: {weights} is none of microWakeWord's: it takes {given} bytes")
    return network
