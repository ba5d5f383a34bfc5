"""Voices and noises for the wake word bench and the engines' tests, made here, from a seed.

All voices are synthetic. eSpeak's come with the assistant: eight, made by rules, further from people than any other.
Where the program ``flite`` is installed (Debian, Ubuntu: apt-get install flite), four that were built from recordings
of people join in, each as three throats: sound that is played faster or slower is another one's.
"""

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipelines import tts, wakeword
from pipelines.audio import resample, wav

RATE = wakeword.RATE
# None that breathes: eSpeak makes each breath anew.
ESPEAK = ("en-us", "en-gb", "en-gb-scotland", "en-us+f1", "en-us+m3", "en-gb+Annie", "en-us+m7", "en-us+f4")
FLITE = ("slt", "rms", "awb", "kal16")
THROATS = (1.0, 0.92, 1.08)
LEVEL = 1500.0  # RMS of speech, -27 dBFS
FLOOR = 4.0  # RMS: no microphone is silent
SNRS = (None, 20, 10, 5)  # dB; None: quiet
NOISES = ("fan", "voices", "television")
MANY = 4  # voices at once, in "voices"
QUIET_DB = 35.0  # below its loudest speech is over

# Sentences that nobody means for the assistant; a few of their words sound like what it is called.
SUBJECTS = (
    "my sister|her insistent aunt|the neighbour|everybody here|mister Harrison|nobody|the station|the dog|"
    "the old house|a lecturer|Alec|the nanny|my crafty uncle|they in Jarrow"
)
VERBS = "says she likes|has just brought|resists|asks a lot about|sits beside|never found|wants to paint|harvests"
OBJECTS = "the kitchen|a distant island|eight cans of paint|seven persons|hay in the barn|this old radio|coffee|a jar"
ENDS = "today|on a Sunday|all the same|with new tools|as I said|again and again|if it rains|before the summer|in winter"
QUESTIONS = ("what do you see", "is the lamp on", "how many cups are there", "where is my phone", "tell me the time")

Wave: TypeAlias = NDArray[np.float64]
Said: TypeAlias = Callable[[str], tuple[NDArray[np.int16], int]]  # text -> PCM and its rate


class Scene:
    """Voices and noises, in turn and by chance, but always the same."""

    def __init__(self, seed: int, kinds: tuple[str, ...] = ("espeak",)) -> None:
        """``kinds`` of voices: espeak, flite."""
        self.random = random.Random(seed)
        self._numbers = np.random.default_rng(seed)
        self.voices: list[tuple[str, Said]] = [each for kind in kinds for each in VOICES[kind]()]
        self._turn = 0

    def choose(self, texts: tuple[str, ...]) -> str:
        return self.random.choice(texts)

    def sentence(self) -> str:
        return " ".join(self.random.choice(part.split("|")) for part in (SUBJECTS, VERBS, OBJECTS, ENDS))

    def speech(self, text: str, voice: int | None = None) -> Wave:
        """Spoken by this voice or the next; cut to where it is within QUIET_DB of its loudest, at LEVEL."""
        if voice is None:
            voice = self._turn
            self._turn += 1
        pcm, rate = self.voices[voice % len(self.voices)][1](text)
        samples = resample.convert(pcm[:, None], rate).astype(np.float64).reshape(-1)
        blocks = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        levels = np.sqrt(np.mean(np.square(blocks), axis=1))
        loud = np.flatnonzero(levels > levels.max() * 10 ** (-QUIET_DB / 20))
        cut = samples[loud[0] * 160 : (loud[-1] + 1) * 160]
        return np.asarray(cut * LEVEL / np.sqrt(np.mean(np.square(cut))), np.float64)

    def noisy(self, parts: list[Wave], snr: int | None, kind: int) -> NDArray[np.int16]:
        """int16 at 16 kHz, with a noise so many dB below LEVEL: NOISES[kind]."""
        clean = np.concatenate(parts)
        noise = self._numbers.normal(0, FLOOR, len(clean))
        if snr is not None:
            made = self._fan(len(clean)) if kind == 0 else self._talk(len(clean), MANY if kind == 1 else 1)
            noise += made * LEVEL / np.sqrt(np.mean(np.square(made))) * 10 ** (-snr / 20)
        return np.clip(clean + noise, -32768, 32767).astype(np.int16)

    def _fan(self, length: int) -> Wave:
        """Noise that falls by 6 dB an octave from 300 Hz on."""
        spectrum = np.fft.rfft(self._numbers.standard_normal(length))
        return np.asarray(np.fft.irfft(spectrum / (1 + np.fft.rfftfreq(length, 1 / RATE) / 300), length), np.float64)

    def _talk(self, length: int, voices: int) -> Wave:
        total = np.zeros(length)
        for _ in range(voices):
            voice = self.speech(self.sentence())
            total += np.resize(np.roll(voice, self.random.randrange(len(voice))), length)
        return total


def kinds() -> tuple[str, ...]:
    """Of the voices that are here."""
    return ("espeak", "flite") if shutil.which("flite") else ("espeak",)


def _espeak() -> list[tuple[str, Said]]:
    def one(name: str) -> Said:
        voice = tts.load("espeak", {"voices": {"en": name}})
        return lambda text: (np.concatenate([chunk.pcm for chunk in voice.speak(text)]), voice.rate)

    return [("espeak", one(name)) for name in ESPEAK]


def _flite() -> list[tuple[str, Said]]:
    def one(name: str, throat: float) -> Said:
        def said(text: str) -> tuple[NDArray[np.int16], int]:
            pcm, rate = _flite_said(name, text)
            return pcm, round(rate * throat)

        return said

    return [("flite", one(name, throat)) for throat in THROATS for name in FLITE]


@lru_cache(maxsize=256)
def _flite_said(voice: str, text: str) -> tuple[NDArray[np.int16], int]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "said.wav")
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(target)], check=True)
        sound = wav.read(target)
    return wav.to_int16(sound.pcm[:, 0]), sound.rate


VOICES: dict[str, Callable[[], list[tuple[str, Said]]]] = {"espeak": _espeak, "flite": _flite}
