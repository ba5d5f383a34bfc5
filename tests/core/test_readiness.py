"""What is missing for the daemon to do what its profile asks for."""

from typing import Any

import pytest

from assistant.core.readiness import DRY_S, SILENT_S, Missing, alive, missing
from assistant.core.vitals import MOST, Flow, Vitals
from assistant.messages import CameraState, DialogueState, Heartbeat, Message, MicrophoneState, SpeakerState

S = 1_000_000_000
NOW = 1000 * S
SERVICES = ("microphone", "camera", "vision", "dialogue", "speaker")
SILENCE = ("microphone", "no sound came from it for 30 s")
Told = tuple[str, Message, float]  # sender, message, seconds ago


def beat(sender: str, ago: float = 0.5, state: Any = "ready", detail: str = "", **figures: float) -> Told:
    return sender, Heartbeat(state=state, detail=detail, figures={"pid": 7.0, **figures}), ago


def frames(count: float, ago: float, fps: float = 5.0, camera: str = "main") -> Told:
    figures = {"pid": 7.0, f"frames.{camera}": count, f"fps.{camera}": fps}
    return "camera", Heartbeat(state="ready", figures=figures), ago


def eye(state: Any, ago: float = 60, detail: str = "", camera: str = "main") -> Told:
    return "camera", CameraState(camera=camera, state=state, detail=detail, called=(camera,)), ago


def ear(state: Any, ago: float = 60, detail: str = "") -> Told:
    return "microphone", MicrophoneState(state=state, detail=detail), ago


def mind(model: str) -> Told:
    return "dialogue", DialogueState(persona="plain", language="en", picture="fresh", model=model), 60


WELL: dict[str, list[Told]] = {
    "camera": [eye("live"), frames(1, 59), frames(300, 0.5)],
    "microphone": [ear("live"), beat("microphone", 59, heard_s=1), beat("microphone", heard_s=59)],
    "vision": [beat("vision")],
    "dialogue": [mind("pico"), beat("dialogue")],
    "speaker": [("speaker", SpeakerState(volume=1, muted=False), 60), beat("speaker", open=1.0)],
}


def vitals(**instead: list[Told]) -> Vitals:
    folded = Vitals()
    for told in ({**WELL, **instead}).values():
        for sender, message, ago in told:
            folded.fold(message, sender, NOW - int(ago * S))
    return folded


@pytest.mark.parametrize(
    ("instead", "what", "why"),
    [
        ({}, "", ""),
        # services
        ({"vision": []}, "vision", "nothing was heard of it yet"),
        ({"vision": [beat("vision", ago=SILENT_S + 2)]}, "vision", "nothing was heard of it for 12 s"),
        ({"vision": [beat("vision", ago=SILENT_S - 1)]}, "", ""),  # it encodes
        ({"vision": [beat("vision", state="starting")]}, "vision", "it is starting"),
        ({"speaker": [beat("speaker", state="stopping")]}, "speaker", "it is stopping"),
        ({"dialogue": [mind("pico"), beat("dialogue", state="degraded", detail="hot")]}, "", ""),
        # the camera
        ({"camera": [eye("live"), frames(7, 60), frames(7, 0.5)]}, "camera main", "no frame came for 60 s"),
        ({"camera": [eye("live"), beat("camera")]}, "camera main", "no frame came for 60 s"),
        ({"camera": [frames(7, 60), eye("live", 2), frames(7, 0.5)]}, "", ""),  # just opened
        ({"camera": [eye("live"), frames(7, 10, fps=0.2), frames(7, 0.5, fps=0.2)]}, "", ""),
        ({"camera": [eye("live"), frames(7, 20, 0.2), frames(7, 1, 0.2)]}, "camera main", "no frame came"),
        ({"camera": [eye("muted"), frames(7, 60), beat("camera")]}, "", ""),
        ({"camera": [eye("lost", detail="unplugged"), beat("camera", state="degraded")]}, "camera main", "unplugged"),
        ({"camera": [eye("starting"), beat("camera")]}, "camera main", "it is being opened"),
        ({"camera": [*WELL["camera"], eye("live", camera="door")]}, "camera door", "no frame came for 60 s"),
        ({"camera": [*WELL["camera"], ("camera", CameraState(camera="upload-1", state="lost"), 9)]}, "", ""),
        # the microphone
        ({"microphone": [beat("microphone")]}, "microphone", "it has not told how it is yet"),
        ({"microphone": [ear("bus"), beat("microphone")]}, "", ""),
        ({"microphone": [ear("muted"), beat("microphone")]}, "", ""),
        ({"microphone": [ear("lost", detail="no such device"), beat("microphone")]}, "microphone", "no such device"),
        ({"microphone": [ear("live"), beat("microphone", 30, heard_s=4), beat("microphone", heard_s=4)]}, *SILENCE),
        # models and the speaker
        ({"dialogue": [beat("dialogue")]}, "dialogue", "it has not told its language model yet"),
        ({"dialogue": [mind(""), beat("dialogue", state="degraded", detail="none fits")]}, "dialogue", "none fits"),
        ({"speaker": [beat("speaker", state="degraded", detail="lost: gone", open=0.0)]}, "speaker", "lost: gone"),
        ({"speaker": [beat("speaker", state="degraded", detail="playing on hdmi", open=1.0)]}, "", ""),
    ],
)
def test_what_is_missing_and_why(instead: dict[str, list[Told]], what: str, why: str) -> None:
    found = missing(vitals(**instead), SERVICES, NOW)
    assert [one.what for one in found] == ([what] if what else [])
    assert all(why in one.why for one in found)


def test_only_what_the_profile_asks_for_is_missed() -> None:
    nothing = Vitals()
    assert missing(nothing, (), NOW) == ()
    assert missing(nothing, ("camera",), NOW) == (Missing("camera", "nothing was heard of it yet"),)


def test_a_loop_that_hangs_is_not_alive() -> None:
    assert alive(NOW, NOW + int(SILENT_S * S))
    assert not alive(NOW, NOW + int(SILENT_S * S) + 1)


def test_a_restart_is_another_process_of_the_same_name() -> None:
    folded = Vitals()
    for pid in (7.0, 7.0, 8.0, 9.0, 9.0):
        folded.fold(Heartbeat(state="ready", figures={"pid": pid}), "vision", NOW)
    folded.fold(Heartbeat(state="ready", figures={"pid": 1.0}), "client-77", NOW)  # no service of ours
    assert (folded.restarts, set(folded.beats)) == ({"vision": 2}, {"vision"})


def test_a_count_that_begins_anew_has_flown() -> None:
    """A camera service that was started again counts from 0, and perhaps to where the other one was."""
    folded = Vitals()
    for count, at in ((40, 1), (2, 2), (2, 3)):
        folded.fold(Heartbeat(state="ready", figures={"frames.main": count}), "camera", at)
    assert folded.flows == {"frames.main": Flow(2, 2)}


def test_what_is_kept_is_bounded() -> None:
    folded = Vitals()
    for number in range(3 * MOST):
        name = f"c{number}"
        folded.fold(CameraState(camera=name, state="live", called=(name,)), "camera", NOW)
        folded.fold(Heartbeat(state="ready", figures={f"frames.{name}": 1.0}), "camera", NOW)
    assert (len(folded.cameras), len(folded.flows)) == (MOST, MOST)
    assert DRY_S < SILENT_S
