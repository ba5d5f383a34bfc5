"""Piper: neural voices in some forty languages, fast enough for a Raspberry Pi.

Runs on: piper-tts (GPL-3.0-or-later: whoever passes on a system with it passes on that licence) and onnxruntime (MIT),
CPU. Needs: a voice, as NAME.onnx with NAME.onnx.json beside it, from https://huggingface.co/rhasspy/piper-voices (each
voice has a licence of its own). Nothing is downloaded. A sentence is synthesised in one go, so what is given at once
should be short; where words begin within it is not known.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec

from pipelines import engine, onnxfile
from pipelines.audio import resample
from pipelines.tts import Chunk

# Kinds of voices that need nothing beyond the wheel; the others fetch models of their own from the network.
PHONEMES = {"espeak", "text"}
INPUTS = {"input", "input_lengths", "scales"}

Scale = Annotated[float, msgspec.Meta(gt=0, le=10)]


class Options(engine.Options, frozen=True, kw_only=True):
    voice: Annotated[str, msgspec.Meta(min_length=1)]  # path of the .onnx file
    voices: Mapping[str, str] = msgspec.field(default_factory=dict)  # language, ISO 639-1 -> path of another voice
    speaker: str = ""  # of a voice with several: its name or number; "" is the first
    length_scale: Scale | None = None  # more is slower; None: what the voice wants
    noise_scale: Annotated[float, msgspec.Meta(ge=0, le=10)] | None = None  # variation of the sound
    noise_w: Annotated[float, msgspec.Meta(ge=0, le=10)] | None = None  # variation of the rhythm
    volume: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2


class Engine:
    """See ``pipelines.tts.Voice``. Voices of other rates than the first one's are converted to it."""

    Options: TypeAlias = Options
    extra = "piper"

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a voice that is missing, damaged, or needs more than its two files."""
        import piper

        logging.getLogger("piper.phoneme_ids").setLevel(logging.ERROR)  # it warns for every sign it does not know
        self._main = _voice(Path(options.voice).expanduser(), options.threads)
        self._others = {code: _voice(Path(path).expanduser(), options.threads) for code, path in options.voices.items()}
        self.rate: int = self._main.config.sample_rate
        settings: dict[str, Any] = {
            "length_scale": options.length_scale,
            "noise_scale": options.noise_scale,
            "noise_w_scale": options.noise_w,
            "volume": options.volume,
        }
        self._settings = piper.SynthesisConfig(speaker_id=_speaker(self._main, options), **settings)
        self._other_settings = piper.SynthesisConfig(**settings)  # the speaker is one of the first voice

    def speak(self, text: str, language: str = "") -> Iterator[Chunk]:
        """See the Protocol: a chunk for every sentence that Piper sees in the text. Raises EngineError."""
        # [[ ]] enclose raw phonemes for Piper; in a reply they are only brackets
        plain = text.replace("[[", " ").replace("]]", " ").replace("\0", " ")
        if not any(character.isalnum() for character in plain):
            return
        other = self._others.get(language)
        voice, settings = (other, self._other_settings) if other else (self._main, self._settings)
        try:
            for spoken in voice.synthesize(plain, settings):
                yield Chunk(resample.convert(spoken.audio_int16_array, spoken.sample_rate, self.rate))
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            brief = " ".join(str(error).split())[:200]
            raise engine.EngineError(f"the piper voice failed on {text[:40]!r}: {brief}") from error


def _voice(path: Path, threads: int) -> Any:
    """A PiperVoice with a session of our own: its own loader leaves the number of threads to chance."""
    import piper

    beside = path.with_name(f"{path.name}.json")
    session = onnxfile.session(path, threads)
    try:
        config = piper.PiperConfig.from_dict(json.loads(beside.read_text("utf-8")))
    except FileNotFoundError as error:
        raise engine.EngineError(f"the piper voice {path} has no {beside.name} beside it; download that too") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise engine.EngineError(f"{beside} is damaged or no piper voice's: {error!r}; download it again") from error
    if config.phoneme_type.value not in PHONEMES:
        raise engine.EngineError(
            f"the piper voice {path} works with {config.phoneme_type.value} phonemes, for which piper fetches models "
            "from the network; take a voice with espeak phonemes"
        )
    inputs = {given.name for given in session.get_inputs()}
    if not inputs >= INPUTS:
        raise engine.EngineError(f"{path} is no piper voice: its inputs are {', '.join(sorted(inputs))}")
    return piper.PiperVoice(config=config, session=session)


def _speaker(voice: Any, options: Options) -> int | None:
    """The number of the speaker in the options, by name or number. Raises EngineError listing those there are."""
    if not options.speaker:
        return None
    names: Mapping[str, int] = voice.config.speaker_id_map
    count: int = voice.config.num_speakers
    number = names.get(options.speaker, int(options.speaker) if options.speaker.isdecimal() else -1)
    if not 0 <= number < count:
        known = ", ".join(names) or f"0..{count - 1}"
        raise engine.EngineError(f"the voice {options.voice} has no speaker {options.speaker!r}; it has: {known}")
    return number
