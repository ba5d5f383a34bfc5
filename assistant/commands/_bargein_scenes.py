"""The labelled sounds of ``assistant bench bargein``: who speaks over which reply, in which room, in which noise.

All of it is made here, from a seed: voices by espeak (in the wheel), noises and rooms by arithmetic. What the user
says is in voices that the assistant does not have.
"""

from collections.abc import Callable
from functools import cache
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import tts
from pipelines.audio import resample

RATE = 16_000
USER = 1500.0  # RMS of the user's speech at the microphone, -27 dBFS
NOTHING = 1.5  # s before the reply begins …
TELEVISION = 8.0  # … and where a television is on: it was so before

Wave: TypeAlias = NDArray[np.float64]
Label: TypeAlias = Literal["question", "stop", "backchannel", "cough", "door", "echo", "television"]

REPLIES = (
    "I see a red ball on the left, a blue cube in the middle, and a tall green bottle on the right side of the table. "
    "The lamp behind them is switched on, and the gauge on the wall reads about three. There is nothing else to see.",
    "The table holds four objects. The first is a white mug with a handle, the second is a yellow cone, and the other "
    "two are small purple cubes, one of them upside down. The picture was taken a moment ago, and nothing has moved.",
    "Let me explain it step by step. First you loosen the two screws at the back of the cover, then you lift the cover "
    "carefully to one side, and at last you can see the small board with the blue connector that you asked about.",
)
QUESTIONS = (
    "what color is the ball", "how many objects are there", "is there a yellow bottle", "what is left of the cone",
    "what does the gauge read now", "where is the green cube", "no I meant the other one", "can you read me the label",
    "okay but what is behind the lamp", "right and how many mugs are there", "what time is it",
    "tell me something else instead",
)  # fmt: skip
QUESTIONS_ZH = (
    "桌子上有几个杯子",
    "好的那个红色的球在哪里",
    "现在灯亮着吗",
    "请告诉我现在几点了",
    "对不起我想问别的问题",
)
STOPS = ("stop", "wait", "hold on", "stop it")
STOPS_ZH = ("停", "等一下", "别说了")
BACKCHANNELS = ("okay", "yeah", "right", "mm hmm", "uh huh", "i see", "sure", "oh")
BACKCHANNELS_ZH = ("嗯", "好", "对", "好的", "是的")
VOICES = ("en-gb+f3", "en-us+m3", "en-gb+f5", "en-us+f2", "en-gb-scotland+m7")
VOICES_ZH = ("cmn+f3", "cmn+m3")


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    label: Label
    said: str
    language: str
    reply: Wave  # as it is played, int16 range
    user: Wave  # at the microphone, from ``onset`` on
    onset: int  # sample at which the user begins
    response: Wave  # from what is played to what the microphone hears of it
    noise: Wave
    leak_db: float
    delay_ms: int
    reverberant: bool
    snr_db: float
    noise_name: str

    @property
    def interrupts(self) -> bool:
        return self.label in ("question", "stop")


def scenes(count: int, seed: int = 1, seconds: float = 9.0) -> list[Scene]:
    """``count`` of them: each label in turn, all else drawn."""
    random = np.random.default_rng(seed)
    labels: tuple[Label, ...] = (
        "question", "backchannel", "question", "echo", "stop", "cough", "question", "door",
        "television",
    )  # fmt: skip
    return [_scene(labels[number % len(labels)], random, int(seconds * RATE)) for number in range(count)]


def _scene(label: Label, random: np.random.Generator, length: int) -> Scene:
    said, language, user = _user(label, random)
    before = TELEVISION if label == "television" else NOTHING
    length += int((before - NOTHING) * RATE)
    onset = int((before + random.uniform(3.0, 5.0)) * RATE)
    leak, delay = float(random.choice([-6, -12, -18, -24, -30])), int(random.choice([20, 60, 120, 200, 300]))
    reverberant, snr = bool(random.integers(2)), float(random.choice([20, 10, 5]))
    noise_name = "television" if label == "television" else str(random.choice(list(NOISES)))
    snr = max(snr, 10.0) if label == "television" else snr  # it stands at a distance
    noise = television(length, random) if label == "television" else NOISES[noise_name](length, random)
    noise *= USER * 10 ** (-snr / 20) / np.sqrt(np.mean(np.square(noise)))
    spoken = _voice("en-us", REPLIES[int(random.integers(len(REPLIES)))])
    reply = np.zeros(length)
    begins = int(before * RATE)
    reply[begins : begins + len(spoken)] = spoken[: length - begins]
    return Scene(
        label=label,
        said=said,
        language=language,
        reply=reply,
        user=user[: length - onset],
        onset=onset,
        response=room(delay, leak, reverberant, random),
        noise=noise + random.standard_normal(length) * 4,  # no microphone is silent
        leak_db=leak,
        delay_ms=delay,
        reverberant=reverberant,
        snr_db=snr,
        noise_name=noise_name,
    )


def _user(label: Label, random: np.random.Generator) -> tuple[str, str, Wave]:
    gain = 10 ** (random.uniform(-4, 4) / 20)
    if label in ("echo", "television"):
        return "", "", np.zeros(0)
    if label in ("cough", "door"):
        sound = cough(random) if label == "cough" else door(random)
        return "", "", sound * gain
    chinese = random.random() < 0.3
    texts = {
        "question": QUESTIONS_ZH if chinese else QUESTIONS,
        "stop": STOPS_ZH if chinese else STOPS,
        "backchannel": BACKCHANNELS_ZH if chinese else BACKCHANNELS,
    }[label]
    said = texts[int(random.integers(len(texts)))]
    voices = VOICES_ZH if chinese else VOICES
    spoken = _voice(voices[int(random.integers(len(voices)))], said)
    return said, "zh" if chinese else "en", spoken / np.sqrt(np.mean(np.square(spoken))) * USER * gain


@cache
def _voice(name: str, text: str) -> Wave:
    """Spoken, 16 kHz, without the silence around it."""
    voice = tts.load("espeak", {"voices": {"en": name}})
    pcm = np.concatenate([chunk.pcm for chunk in voice.speak(text)])
    samples = resample.convert(pcm, voice.rate, RATE).astype(np.float64)
    blocks = np.sqrt(np.mean(np.square(samples[: len(samples) // 160 * 160].reshape(-1, 160)), axis=1))
    loud = np.flatnonzero(blocks > blocks.max() * 10 ** (-35 / 20))
    return samples[loud[0] * 160 : (loud[-1] + 1) * 160]


def room(delay_ms: int, leak_db: float, reverberant: bool, random: np.random.Generator) -> Wave:
    """From the loudspeaker to the microphone: a delay, a loss, and in a living room a tail of 0.4 s as loud in all as
    the direct sound."""
    response = np.zeros(int(RATE * (delay_ms / 1000 + (0.4 if reverberant else 0.005))))
    direct = RATE * delay_ms // 1000
    response[direct] = 1.0
    if reverberant:
        tail = np.arange(len(response) - direct) / RATE
        ringing = random.standard_normal(len(tail)) * 10 ** (-3 * tail / 0.4)
        ringing[: RATE // 200] = 0
        response[direct:] += ringing / np.sqrt(np.sum(np.square(ringing)))
    return np.asarray(response / np.sqrt(np.sum(np.square(response))) * 10 ** (leak_db / 20), np.float64)


def cough(random: np.random.Generator) -> Wave:
    """Bursts of coloured noise, each with a sharp beginning, a short hoarse middle and a breath after it."""
    parts: list[Wave] = []
    for _ in range(int(random.integers(1, 4))):
        length = int(random.uniform(0.12, 0.25) * RATE)
        seconds = np.arange(length) / RATE
        spectrum = np.fft.rfft(random.standard_normal(length))
        frequencies = np.fft.rfftfreq(length, 1 / RATE)
        throat = sum(
            np.exp(-(((frequencies - centre) / 350) ** 2)) for centre in (random.uniform(400, 700), 1500, 2600)
        )
        burst = np.fft.irfft(spectrum * throat, length) * np.minimum(1, seconds / 0.005) * np.exp(-seconds / 0.08)
        parts += [burst / np.abs(burst).max(), np.zeros(int(random.uniform(0.08, 0.25) * RATE))]
    return np.asarray(np.concatenate(parts) * USER * 4, np.float64)


def door(random: np.random.Generator) -> Wave:
    """A thud of a few low tones that die away, and the rattle of the latch."""
    seconds = np.arange(int(0.5 * RATE)) / RATE
    thud = sum(
        np.sin(2 * np.pi * pitch * seconds + random.uniform(0, 6)) * np.exp(-seconds / 0.07)
        for pitch in random.uniform(60, 250, 4)
    )
    rattle = random.standard_normal(len(seconds)) * np.exp(-seconds / 0.03)
    sound = thud / np.abs(thud).max() + 0.5 * rattle / np.abs(rattle).max()
    return np.asarray(sound * USER * 5, np.float64)


def fan(length: int, random: np.random.Generator) -> Wave:
    """Air that falls by 6 dB an octave from 300 Hz on, and a hum with harmonics."""
    frequencies = np.fft.rfftfreq(length, 1 / RATE)
    air = np.fft.irfft(np.fft.rfft(random.standard_normal(length)) / (1 + frequencies / 300), length)
    seconds = np.arange(length) / RATE
    hum = sum(np.sin(2 * np.pi * 100 * k * seconds + k) / k for k in range(1, 6))
    return np.asarray(air / air.std() + 0.4 * hum, np.float64)


def babble(length: int, random: np.random.Generator) -> Wave:
    """Six voices that never pause."""
    total = np.zeros(length)
    for _ in range(6):
        said = [_voice(VOICES[int(random.integers(len(VOICES)))], text) for text in (*REPLIES[:1], *QUESTIONS)]
        voice = np.concatenate([said[int(at)] for at in random.permutation(len(said))])
        total += np.roll(np.resize(voice, max(length, len(voice))), int(random.integers(length)))[:length]
    return total


def television(length: int, random: np.random.Generator) -> Wave:
    """One voice in another room, with pauses."""
    total, at = np.zeros(length), int(random.uniform(0, 1.0) * RATE)
    voice = VOICES[int(random.integers(len(VOICES)))]
    while at < length:
        texts = (*REPLIES, *QUESTIONS)
        said = _voice(voice, texts[int(random.integers(len(texts)))])[: length - at]
        total[at : at + len(said)] += said
        at += len(said) + int(random.uniform(0.2, 1.5) * RATE)
    return np.asarray(np.convolve(total, room(0, 0.0, True, random))[:length], np.float64)


NOISES: dict[str, Callable[[int, np.random.Generator], Wave]] = {"fan": fan, "babble": babble}
