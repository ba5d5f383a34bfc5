"""What ``assistant bench latency`` asks and shows: questions of a given length, scenes that change meanwhile."""

import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assistant import paths
from assistant.core.latency import LATE_MS, Scene
from assistant.scenario import Step
from pipelines import image, tts
from pipelines.audio import wav

# Seconds of speech, and words that take about so long. Grammars want to know them before.
QUESTIONS: dict[float, str] = {
    1.5: "what is there on the table",
    2.5: "how many red objects are there on the table",
    4.0: "how many red objects are there on the table and which of them is left of the lamp",
}
MAIN_S = 2.5  # what is asked most, and what the aims are for
# 20 tokens, of which the first sentence, with its full stop, has CLAUSE.
REPLY = "I see a red ball near it. The lamp behind it is off and the gauge shows seven."
CLAUSE, TOKENS = 8, 20
FAST = 450  # words a minute: the reply need not be listened to for long
QUIET = 400  # of int16: less is not yet speech
SETTLE_MS = 600  # between two questions: what was begun for the one before is over
SCENES: tuple[Scene, ...] = ("still", "changed at onset", "changed late")


class Case(NamedTuple):
    """A question as it is measured. ``button``: push to talk."""

    speech_s: float
    scene: Scene
    button: bool = False

    @property
    def name(self) -> str:
        return f"{self.speech_s:g} s, {self.scene}{', button' if self.button else ''}"


MAIN = Case(MAIN_S, "still")
BUTTON = Case(MAIN_S, "still", button=True)
CASES = (*(Case(seconds, scene) for scene in SCENES for seconds in QUESTIONS), BUTTON)


class Script:
    """Steps of a scenario, and which of them are measured."""

    def __init__(self, folder: Path) -> None:
        """``folder``: for the sounds and pictures, which are made here. Raises EngineError without the voice."""
        self._folder = folder
        self.steps: list[Step] = []
        self.measured: dict[int, Case] = {}  # by the number of the step
        self._shown = 0
        self._sounds = {seconds: folder / f"question-{seconds:g}.wav" for seconds in QUESTIONS}
        for seconds, path in self._sounds.items():
            if not path.exists():
                write_spoken(path, QUESTIONS[seconds], seconds)

    def begin(self) -> None:
        """A scene of its own; the first question is not measured."""
        self.steps.append(Step(camera=self._another()))
        self.steps.append(Step(ask=QUESTIONS[MAIN_S], wait_ms=SETTLE_MS))

    def ask(self, case: Case, times: int = 1) -> None:
        """A scene that changes does so in a conversation of its own, so that every such prompt is of one length. What
        is asked about one that does not, follows a question that is not measured in a conversation of the case's own:
        what a question costs that computes its prompt anew does not depend on how many were asked before."""
        if case.scene == "still":
            self.steps.append(Step(clear=True, wait_ms=SETTLE_MS))
            self.steps.append(Step(ask=QUESTIONS[MAIN_S], wait_ms=SETTLE_MS))
        for _ in range(times):
            if case.scene != "still":
                self.steps.append(Step(clear=True, wait_ms=SETTLE_MS))
            self.steps.append(
                Step(
                    press=case.button,
                    hear=self._sounds[case.speech_s],
                    release=case.button,
                    wait_ms=SETTLE_MS,
                )
            )
            self.measured[len(self.steps)] = case
            if case.scene != "still":
                at_ms = 0 if case.scene == "changed at onset" else round(case.speech_s * 1000 - LATE_MS)
                self.steps.append(Step(at_ms=at_ms, camera=self._another()))

    def _another(self) -> Path:
        """A scene that was not shown before."""
        self._shown += 1
        path = self._folder / f"scene-{self._shown}.png"
        if not path.exists():
            made = path.with_suffix(f".{threading.get_ident()}")  # flows beside each other show the same ones
            made.write_bytes(image.encode_png(scene(self._shown)))
            made.replace(path)
        return path


def scene(number: int) -> NDArray[np.uint8]:
    """RGB: the demo's table with a box on it, whose place and colour are its number's."""
    picture: NDArray[np.uint8] = image.decode((paths.shipped("config") / "demo" / "table-1.png").read_bytes()).copy()
    height, width = picture.shape[:2]
    left, top = (number * 5 % 7) * width // 8, (number * 3 % 4) * height // 5
    color = (40 + 53 * number % 200, 40 + 91 * number % 200, 40 + 137 * number % 200)
    picture[top : top + height // 5, left : left + width // 8] = color
    return picture


def write_spoken(path: Path, text: str, seconds: float) -> None:
    """A WAV file of the text, without silence around it, about so long: the embedded voice is told how fast to be."""
    pace = 175
    for _ in range(3):
        pcm, rate = _said(text, pace)
        pace = min(450, max(80, round(pace * len(pcm) / rate / seconds)))
    pcm, rate = _said(text, pace)
    wav.write(path, rate, pcm)


def _said(text: str, pace: int) -> tuple[NDArray[np.int16], int]:
    voice = tts.load("espeak", {"words_per_minute": pace})
    pcm = np.concatenate([chunk.pcm for chunk in voice.speak(text, "en")])
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > QUIET)
    return pcm[loud[0] : loud[-1] + 1], voice.rate
