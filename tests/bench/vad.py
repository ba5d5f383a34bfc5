"""Which detector of speech hears best: false starts an hour and missed onsets, behind the real endpointer.

``python -m tests.bench.vad [--json FILE] [--utterances 100]`` from the root of the repository. The speech is what lies
in tests/speech and config/demo/speech, set into long streams with pauses; room and noise are made here, from a seed.
Prints a table in Markdown, the last lines of it sums over the conditions.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.core.endpointer import Ended, Endpointer, Settings, Started
from pipelines import vad
from pipelines.audio import resample, wav

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "tests" / "speech", ROOT / "config" / "demo" / "speech")
RATE = 16_000
LEVEL = 1500.0  # RMS of the speech, -27 dBFS
PAUSES = (3.0, 9.0)  # s between utterances
NEAR = 0.3  # s: an onset that is told later, or earlier, is missed
SNRS = (20, 10, 5, 0)  # dB, speech (while it lasts) to noise
ENGINES: dict[str, tuple[str, dict[str, Any]]] = {
    "webrtcvad 2": ("webrtcvad", {}),
    "webrtcvad 3": ("webrtcvad", {"aggressiveness": 3}),
    "silero": ("silero", {}),
    "cascade": ("cascade", {}),
    "cascade, webrtcvad gate": ("cascade", {"gate": "webrtcvad"}),
}
Wave = NDArray[np.float64]


class Scene(msgspec.Struct, frozen=True):
    """A stream of sound, int16, and where its utterances begin and end, in seconds."""

    pcm: NDArray[np.int16]
    truth: list[tuple[float, float]]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    condition: str
    engine: str
    utterances: int
    missed: int  # no start within NEAR of the onset
    cut: int  # ended more than NEAR before the speech did
    false_starts: int
    pause_s: float  # time in which a start would be false
    late_ms: float  # median of how much later than the onset a start is told to have been
    cost: float  # CPU seconds for a second of sound

    @property
    def false_an_hour(self) -> float:
        return self.false_starts / self.pause_s * 3600


def spoken(path: Path) -> Wave:
    """One utterance, cut to where it is within 35 dB of its loudest, at LEVEL."""
    sound = wav.read(path)
    samples = resample.convert(sound.pcm, sound.rate).astype(np.float64)
    blocks = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    levels = np.sqrt(np.mean(np.square(blocks), axis=1))
    loud = np.flatnonzero(levels > levels.max() * 10 ** (-35 / 20))
    cut = samples[loud[0] * 160 : (loud[-1] + 1) * 160]
    return np.asarray(cut * LEVEL / np.sqrt(np.mean(np.square(cut))), np.float64)


def stream(speech: Sequence[Wave], count: int, random: np.random.Generator) -> tuple[Wave, list[tuple[float, float]]]:
    """``count`` utterances with pauses between them, and when they are."""
    pieces: list[Wave] = []
    truth: list[tuple[float, float]] = []
    at = 0
    for index in random.integers(len(speech), size=count):
        pause = int(random.uniform(*PAUSES) * RATE)
        gain = 10 ** (random.uniform(-4, 4) / 20)
        pieces += [np.zeros(pause), speech[index] * gain]
        truth.append(((at + pause) / RATE, (at + pause + len(speech[index])) / RATE))
        at += pause + len(speech[index])
    return np.concatenate([*pieces, np.zeros(3 * RATE)]), truth


def convolved(samples: Wave, response: Wave) -> Wave:
    size = 1 << (len(samples) + len(response) - 1).bit_length()
    product = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.asarray(np.fft.irfft(product, size)[: len(samples)], np.float64)


def room(samples: Wave, random: np.random.Generator) -> Wave:
    """A living room: reverberation of 0.5 s, as loud as the direct sound."""
    length = RATE // 2
    tail = random.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[: RATE // 200] = 0
    response = tail / np.sqrt(np.sum(np.square(tail)))
    response[0] = 1.0
    return convolved(samples, response)


def babble(length: int, speech: Sequence[Wave], random: np.random.Generator) -> Wave:
    """Six voices that never pause."""
    total = np.zeros(length)
    for _ in range(6):
        voice: list[Wave] = []
        while sum(map(len, voice)) < length:
            voice.append(speech[int(random.integers(len(speech)))])
        total += np.roll(np.concatenate(voice)[:length], int(random.integers(length)))
    return total


def fan(length: int, speech: Sequence[Wave], random: np.random.Generator) -> Wave:
    """Air (noise that falls by 6 dB an octave from 300 Hz on) and a hum of 100 Hz with its harmonics."""
    frequencies = np.fft.rfftfreq(length, 1 / RATE)
    air = np.fft.irfft(np.fft.rfft(random.standard_normal(length)) / (1 + frequencies / 300), length)
    seconds = np.arange(length) / RATE
    hum = sum(np.sin(2 * np.pi * 100 * k * seconds + k) / k for k in range(1, 6))
    return np.asarray(air / air.std() + 0.4 * hum * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * seconds)), np.float64)


def clatter(length: int, speech: Sequence[Wave], random: np.random.Generator) -> Wave:
    """Dishes: about two strokes a second, each a few damped tones between 0.8 and 6 kHz."""
    total = np.zeros(length)
    for at in random.integers(length, size=length * 2 // RATE):
        seconds = np.arange(min(RATE // 4, length - at)) / RATE
        for _ in range(4):
            tone = np.sin(2 * np.pi * random.uniform(800, 6000) * seconds)
            total[at : at + len(seconds)] += (
                random.uniform(0.2, 1) * tone * np.exp(-seconds / random.uniform(0.01, 0.06))
            )
    return np.asarray(total + random.standard_normal(length) * total.std() * 0.05, np.float64)


NOISES: dict[str, Callable[[int, Sequence[Wave], np.random.Generator], Wave]] = {
    "babble": babble,
    "fan": fan,
    "clatter": clatter,
}


def scenes(speech: Sequence[Wave], count: int, seed: int = 1) -> dict[str, Scene]:
    """Every condition by name; the same utterances at the same times in all of them."""
    random = np.random.default_rng(seed)
    clean, truth = stream(speech, count, random)
    floor = random.standard_normal(len(clean)) * 4  # no microphone is silent
    sounds = {"clean": clean, "reverberant": room(clean, random)}
    for name, make in NOISES.items():
        noise = make(len(clean), speech, random)
        noise *= LEVEL / np.sqrt(np.mean(np.square(noise)))
        sounds |= {f"{name} {snr} dB": clean + noise * 10 ** (-snr / 20) for snr in SNRS}
    return {
        name: Scene(np.clip(sound + floor, -32768, 32767).astype(np.int16), truth) for name, sound in sounds.items()
    }


def score(condition: str, scene: Scene, engine: str) -> Score:
    """One engine on one condition."""
    detector = vad.load(*ENGINES[engine])
    endpointer, size = Endpointer(Settings()), detector.frame_samples
    length = size * 1_000_000_000 // RATE
    starts: list[float] = []
    ends: list[float] = []
    began = time.process_time()
    for index in range(len(scene.pcm) // size):
        probability = detector.speech(scene.pcm[index * size : (index + 1) * size])
        for event in endpointer.frame(probability, index * length, length):
            if isinstance(event, Started):
                starts.append(event.at / 1e9)
            elif isinstance(event, Ended):
                ends.append(event.last_sample_at / 1e9)
    cost = (time.process_time() - began) / (len(scene.pcm) / RATE)
    told, ended = np.array([*starts, np.inf]), np.array([*ends, np.inf])
    distances = [told[np.abs(told - onset).argmin()] - onset for onset, _ in scene.truth]
    hits = [distance for distance in distances if abs(distance) <= NEAR]
    cut = sum(bool(np.any((ended > onset) & (ended < end - NEAR))) for onset, end in scene.truth)
    false = [at for at in starts if not any(onset - NEAR <= at <= end + NEAR for onset, end in scene.truth)]
    return Score(
        condition=condition,
        engine=engine,
        utterances=len(scene.truth),
        missed=len(distances) - len(hits),
        cut=cut,
        false_starts=len(false),
        pause_s=len(scene.pcm) / RATE - sum(end - onset + 2 * NEAR for onset, end in scene.truth),
        late_ms=float(np.median(hits) * 1000) if hits else 0.0,
        cost=cost,
    )


def table(scores: Sequence[Score]) -> str:
    """Markdown: a line a condition; in each cell false starts an hour / onsets missed / utterances cut short."""
    engines = list(dict.fromkeys(one.engine for one in scores))
    lines = ["| condition | " + " | ".join(engines) + " |", "|---|" + "---|" * len(engines)]
    for condition in dict.fromkeys(one.condition for one in scores):
        row = {one.engine: one for one in scores if one.condition == condition}
        lines.append(f"| {condition} | " + " | ".join(_cell([row[engine]]) for engine in engines) + " |")
    by_engine = {engine: [one for one in scores if one.engine == engine] for engine in engines}
    lines.append("| **all** | " + " | ".join(_cell(by_engine[engine]) for engine in engines) + " |")
    costs = [f"{np.mean([one.cost for one in by_engine[engine]]) * 1000:.1f} ms" for engine in engines]
    lines.append("| CPU for 1 s of sound | " + " | ".join(costs) + " |")
    return "\n".join(lines)


def _cell(scores: Sequence[Score]) -> str:
    utterances = sum(one.utterances for one in scores)
    missed, cut = (100 * sum(values) / utterances for values in ([s.missed for s in scores], [s.cut for s in scores]))
    return f"{np.mean([one.false_an_hour for one in scores]):.0f} / {missed:.0f}% / {cut:.0f}%"


def recordings() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in folder.rglob("*.wav"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    parser.add_argument("--utterances", type=int, default=100)
    parser.add_argument("--only", default="", help="conditions whose name holds this")
    given = parser.parse_args()
    speech = [spoken(path) for path in recordings()]
    made = {name: scene for name, scene in scenes(speech, given.utterances).items() if given.only in name}
    scores = [score(name, scene, engine) for name, scene in made.items() for engine in ENGINES]
    print("False starts an hour / onsets missed / utterances cut short\n")
    print(table(scores))
    if given.json:
        figures = [{**msgspec.structs.asdict(one), "false_an_hour": one.false_an_hour} for one in scores]
        given.json.write_text(json.dumps({"recordings": len(speech), "scores": figures}, indent=1))


if __name__ == "__main__":
    main()
