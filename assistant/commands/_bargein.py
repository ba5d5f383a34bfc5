"""Speaking over a reply, measured: the figures of ``assistant bench bargein``.

Two parts. The decisions: every scene goes through the detector of speech, the echo guard and the decider as the
microphone has them, faster than real time, with what they decide acting on what is played. And the silence: a real
speaker process is interrupted in the middle of a reply, again and again.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from assistant.commands._bargein_scenes import RATE, Scene, Wave
from assistant.core.bargein import Candidate, Confirmed, Dismissed, Paused
from assistant.core.levels import Meter
from assistant.core.overhearing import Overhearing, Settings
from pipelines import vad
from pipelines.audio.fader import Fader

BLOCK = RATE // 50  # samples: what the speaker plays at once
DUCK = 10 ** (-15 / 20)
MS = 1_000_000


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    scene: Scene
    duck_ms: float | None  # from the user's first sound to the first candidate after it
    confirm_ms: float | None  # … to the interruption
    why: str
    early: bool  # interrupted before the user made any sound
    ducked_before: bool  # soft before the user made any sound
    lost_ms: float  # of the user's first sound that the recognizer does not get
    half_duplex: bool


def play(scene: Scene, detector: vad.Detector, words: bool, settings: Settings) -> Outcome:
    """One scene, block by block, until it is interrupted or over. ``words``: what was said is known at a pause."""
    overhearing, meter, fader = Overhearing(settings), Meter(RATE), Fader(RATE)
    detector.reset()
    echo = _Echo(scene)
    heard = np.zeros(0, np.int16)
    at = 0  # samples made
    done = 0  # samples judged
    duck = confirm = None
    ducked_before, why, lost = False, "", 0.0
    candidate_from = candidate_at = 0
    size = detector.frame_samples
    begins = int(np.flatnonzero(scene.reply)[0])
    while at + BLOCK <= len(scene.reply) and confirm is None:
        block = fader.apply(scene.reply[at : at + BLOCK].astype(np.int16))
        overhearing.guard.played(*meter.feed(_ns(at), block))
        microphone = echo.block(at, block) + scene.noise[at : at + BLOCK]
        first, last = max(at, scene.onset), min(at + BLOCK, scene.onset + len(scene.user))
        if last > first:
            microphone[first - at : last - at] += scene.user[first - scene.onset : last - scene.onset]
        heard = np.concatenate([heard, np.clip(np.rint(microphone), -32768, 32767).astype(np.int16)])
        at += BLOCK
        while done + size <= len(heard) and confirm is None:
            frame, start = heard[done : done + size], done
            done += size
            speech = detector.speech(frame) >= 0.5
            decide = start >= begins and not overhearing.guard.too_strong
            events = overhearing.frame(_ns(start), _ns(size), frame, speech, decide)
            for event in events:
                match event:
                    case Candidate(at=began, audio_from=audio_from):
                        fader.goal, candidate_from, candidate_at = DUCK, audio_from, began * RATE // 1_000_000_000
                        if done <= scene.onset:
                            ducked_before = True
                        elif duck is None:
                            duck = (done - scene.onset) * 1000 / RATE
                    case Paused(last=end):
                        fader.goal = 1.0
                        theirs = words and end > _ns(scene.onset)  # else it was not the user who spoke
                        events += overhearing.words(scene.said if theirs else "", True)
                    case Dismissed(why=reason):
                        fader.goal, why = 1.0, reason
                    case Confirmed(why=reason):
                        confirm, why = (done - scene.onset) * 1000 / RATE, reason
                        lost = _lost(overhearing, scene, candidate_from, candidate_at, size)
    return Outcome(
        scene=scene,
        duck_ms=duck,
        confirm_ms=confirm,
        why=why,
        early=confirm is not None and confirm <= 0,
        ducked_before=ducked_before,
        lost_ms=lost,
        half_duplex=overhearing.guard.too_strong,
    )


def _ns(samples: int) -> int:
    return samples * 1_000_000_000 // RATE


def _lost(overhearing: Overhearing, scene: Scene, audio_from: int, onset: int, size: int) -> float:
    """ms of the first 300 ms of the user's sound that are not handed on, or only after being taken for echo."""
    lost = 0
    for start in range(scene.onset // size * size, scene.onset + RATE * 300 // 1000, size):
        gone = start < onset - RATE // 10 and overhearing.explained(_ns(start))
        lost += _ns(start + size) <= audio_from or gone
    return lost * size * 1000 / RATE


class _Echo:
    """What the microphone hears of what is played: of the whole reply at full gain, less what was played softer."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        size = 1 << (len(scene.reply) + len(scene.response)).bit_length()
        product = np.fft.rfft(scene.reply, size) * np.fft.rfft(scene.response, size)
        self._echo: Wave = np.fft.irfft(product, size)[: len(scene.reply) + len(scene.response)]

    def block(self, at: int, played: Any) -> Wave:
        less = played - np.rint(self._scene.reply[at : at + BLOCK])
        if np.any(np.abs(less) > 1):
            size = 1 << (BLOCK + len(self._scene.response)).bit_length()
            made = np.fft.irfft(np.fft.rfft(less, size) * np.fft.rfft(self._scene.response, size), size)
            end = min(len(self._echo), at + BLOCK + len(self._scene.response))
            self._echo[at:end] += made[: end - at]
        heard: Wave = self._echo[at : at + BLOCK].copy()
        return heard


def shares(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    asked = [one for one in outcomes if one.scene.interrupts]
    others = [one for one in outcomes if not one.scene.interrupts]
    return {
        "false": sum(one.confirm_ms is not None for one in others) / max(1, len(others)),
        "missed": sum(one.confirm_ms is None or one.early for one in asked) / max(1, len(asked)),
    }
