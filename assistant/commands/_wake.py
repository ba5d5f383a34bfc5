"""What a wake word engine hears: hits at several levels of noise, false wakes an hour, and first words lost.

All of it is made here, from a seed: eSpeak's voices, in quiet and with a fan or other voices behind them. The engine is
fed as fast as it can take it: an hour of speech costs the embedded one some minutes.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.waking import ROLL_MS
from pipelines import tts, wakeword
from pipelines.audio import resample

RATE = wakeword.RATE
# Voices: none that breathes: eSpeak makes each breath anew.
VOICES = ("en-us", "en-gb", "en-gb-scotland", "en-us+f1", "en-us+m3", "en-gb+Annie", "en-us+m7", "en-us+f4")
LEVEL = 1500.0  # RMS of speech, -27 dBFS
FLOOR = 4.0  # RMS: no microphone is silent
SNRS = (None, 20, 10, 5)  # dB; None: quiet
NOISES = ("fan", "voices")
BLOCK = 1280  # samples fed at once
PHRASE = "hey assistant"
NEAR_S = 0.5  # a wake word that is told to have ended further from its end than this is another
CUT_MS = 30  # so much of a first word may be missing before it counts as lost

# Sentences that nobody means for the assistant; a few of their words sound like what it is called.
SUBJECTS = (
    "my sister|her insistent aunt|the neighbour|everybody here|mister Harrison|nobody|the station|the dog|the old house"
)
VERBS = "says she likes|has just brought|resists|asks a lot about|sits beside|never found|wants to paint"
OBJECTS = "the kitchen|a distant island|eight cans of paint|seven persons|hay in the barn|this old radio|coffee"
ENDS = "today|on a Sunday|all the same|with new tools|as I said|again and again|if it rains|before the summer|in winter"
QUESTIONS = ("what do you see", "is the lamp on", "how many cups are there", "where is my phone", "tell me the time")

Wave: TypeAlias = NDArray[np.float64]
Make: TypeAlias = Callable[[int], Wave]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure, and how much of it."""

    engine: str = "pocketsphinx"
    options: Mapping[str, Any] = msgspec.field(default_factory=lambda: {"phrases": [PHRASE]})
    each: int = 24  # calls in each noise
    questions: int = 200  # that begin 0 to 300 ms after a call
    minutes: float = 60.0  # of what holds no call
    seed: int = 1


def measure(asked: Asked, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Keys: ``wake_hits`` (shares by noise), ``false_wakes_per_hour``, ``first_words_lost`` (share of those questions
    whose call was heard), and with what. Raises EngineError."""
    scene = Scene(asked.seed)
    spotter = wakeword.load(asked.engine, asked.options)
    hits = {}
    for snr, kind in [(None, 0), *((snr, kind) for snr in SNRS[1:] for kind in range(len(NOISES)))]:
        name = "quiet" if snr is None else f"{snr} dB {NOISES[kind]}"
        say(f"calls, {name}")
        hits[name] = calls(spotter, scene, snr, kind, asked.each)
    say(f"{asked.questions} questions")
    missed, lost, late = questions(spotter, scene, asked.questions)
    say(f"{asked.minutes:g} minutes without a call")
    false = mistakes(spotter, scene, asked.minutes)
    return {
        "engine": asked.engine,
        "phrases": list(spotter.phrases),
        "wake_hits": hits,
        "false_wakes_per_hour": false * 60 / asked.minutes if asked.minutes else 0.0,
        "false_wakes": false,
        "minutes": asked.minutes,
        "first_words_lost": lost / max(1, asked.questions - missed),
        "questions": asked.questions,
        "calls_missed": missed,
        "told_late_ms": late,
    }


def calls(spotter: wakeword.Spotter, scene: "Scene", snr: int | None, kind: int, count: int) -> float:
    """The share of calls that is heard; each phrase and voice in turn."""
    heard = 0
    for index in range(count):
        phrase = spotter.phrases[index % len(spotter.phrases)]
        after = scene.speech(scene.choose(QUESTIONS)) if index % 2 else np.zeros(0)
        call = scene.speech(phrase)
        pcm = scene.noisy([np.zeros(RATE), call, after, np.zeros(RATE)], snr, kind)
        found = _feed(spotter, pcm)
        heard += any(abs(end - RATE - len(call)) < NEAR_S * RATE for end, _ in found)
    return heard / max(1, count)


def questions(spotter: wakeword.Spotter, scene: "Scene", count: int) -> tuple[int, int, float]:
    """Calls that were missed, first words that were cut, and the median of how long after a call it is told, ms."""
    missed = lost = 0
    late = []
    for index in range(count):
        gap = np.zeros(int(scene.random.uniform(0, 0.3) * RATE))
        call = scene.speech(spotter.phrases[index % len(spotter.phrases)])
        pcm = scene.noisy([np.zeros(RATE), call, gap, scene.speech(scene.choose(QUESTIONS)), np.zeros(RATE)], 20, 0)
        begins = RATE + len(call) + len(gap)
        near = [one for one in _feed(spotter, pcm) if abs(one[0] - RATE - len(call)) < NEAR_S * RATE]
        if not near:
            missed += 1
            continue
        end, told = near[0]
        lost += end - ROLL_MS * RATE // 1000 > begins + CUT_MS * RATE // 1000
        late.append((told - RATE - len(call)) * 1000 / RATE)
    return missed, lost, float(np.median(late)) if late else 0.0


def mistakes(spotter: wakeword.Spotter, scene: "Scene", minutes: float) -> int:
    """How often it is called in speech, noise and silence without a call."""
    count = samples = 0
    spotter.reset()
    while samples < minutes * 60 * RATE:
        spoken = scene.speech(scene.sentence())
        pause = np.zeros(int(scene.random.uniform(0.1, 2.0) * RATE))
        pcm = scene.noisy([spoken, pause], scene.random.choice(SNRS), scene.random.randrange(2))
        count += sum(len(spotter.feed(pcm[at : at + BLOCK])) for at in range(0, len(pcm), BLOCK))
        samples += len(pcm)
    return count


def _feed(spotter: wakeword.Spotter, pcm: NDArray[np.int16]) -> list[tuple[int, int]]:
    """When calls ended and when that was told, samples."""
    spotter.reset()
    found = ((spotter.feed(pcm[at : at + BLOCK]), at + BLOCK) for at in range(0, len(pcm), BLOCK))
    return [(one.end, told) for each, told in found for one in each]


class Scene:
    """Voices and noises, in turn and by chance, but always the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._numbers = np.random.default_rng(seed)
        self._voices = [tts.load("espeak", {"voices": {"en": voice}}) for voice in VOICES]
        self._turn = 0

    def choose(self, texts: tuple[str, ...]) -> str:
        return self.random.choice(texts)

    def sentence(self) -> str:
        return " ".join(self.random.choice(part.split("|")) for part in (SUBJECTS, VERBS, OBJECTS, ENDS))

    def speech(self, text: str) -> Wave:
        """Spoken by the next voice; cut to where it is within 35 dB of its loudest, at LEVEL."""
        voice = self._voices[self._turn % len(self._voices)]
        self._turn += 1
        pcm = np.concatenate([chunk.pcm for chunk in voice.speak(text)])
        samples = resample.convert(pcm[:, None], voice.rate).astype(np.float64).reshape(-1)
        blocks = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        levels = np.sqrt(np.mean(np.square(blocks), axis=1))
        loud = np.flatnonzero(levels > levels.max() * 10 ** (-35 / 20))
        cut = samples[loud[0] * 160 : (loud[-1] + 1) * 160]
        return np.asarray(cut * LEVEL / np.sqrt(np.mean(np.square(cut))), np.float64)

    def noisy(self, parts: list[Wave], snr: int | None, kind: int) -> NDArray[np.int16]:
        """int16 at 16 kHz, with noise so many dB below LEVEL; kind 0: a fan, 1: four other voices."""
        clean = np.concatenate(parts)
        noise = self._numbers.normal(0, FLOOR, len(clean))
        if snr is not None:
            made = self._babble(len(clean)) if kind else self._fan(len(clean))
            noise += made * LEVEL / np.sqrt(np.mean(np.square(made))) * 10 ** (-snr / 20)
        return np.clip(clean + noise, -32768, 32767).astype(np.int16)

    def _fan(self, length: int) -> Wave:
        """Noise that falls by 6 dB an octave from 300 Hz on."""
        spectrum = np.fft.rfft(self._numbers.standard_normal(length))
        return np.asarray(np.fft.irfft(spectrum / (1 + np.fft.rfftfreq(length, 1 / RATE) / 300), length), np.float64)

    def _babble(self, length: int) -> Wave:
        total = np.zeros(length)
        for _ in range(4):
            voice = self.speech(self.sentence())
            total += np.resize(np.roll(voice, self.random.randrange(len(voice))), length)
        return total
