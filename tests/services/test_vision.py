"""The vision process: what it encodes before anyone has asked, and that it answers while it loads."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.bus import Bus
from assistant.core import frames
from assistant.messages import (
    LIVE,
    CameraState,
    Embedding,
    Frame,
    Heartbeat,
    Look,
    SpeechEnded,
    Thumbnail,
    Turn,
    Unseen,
    Voice,
)
from pipelines import image
from tests import processes
from tests.processes import ended, started

Join = Callable[..., Bus]
PATIENCE_S = 20.0
SIZE = 64, 48


def picture(brightness: int) -> NDArray[np.uint8]:
    """A plain one, with a corner that is not."""
    made = np.full((SIZE[1], SIZE[0], 3), brightness, np.uint8)
    made[:8, :8] = 255 - brightness
    return made


class Scene:
    """A vision process, and everything around it."""

    def __init__(self, join: Join, log: Path) -> None:
        self._log = log
        self.camera, self.dialogue, self.microphone = join("camera"), join("dialogue"), join("microphone")
        self.client = join()
        self.client.listen(Embedding, Unseen, Heartbeat)
        self._number = 0

    def until(self, holds: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            assert time.monotonic() < deadline
        return found

    def await_subscribers(self) -> None:
        assert self.client.wait_for(Heartbeat, PATIENCE_S) is not None  # what it says is heard from now on
        pairs = (self.camera, Frame), (self.dialogue, Look), (self.microphone, SpeechEnded), (self.microphone, Voice)
        self.until(lambda: all(bus.receive(0.01) is None and bus.wanted(kind) for bus, kind in pairs))
        self.camera.publish(CameraState(camera="upload", state="live"))

    def show(self, brightness: int) -> None:
        """A plain picture, again: a frame of its own."""
        self._number += 1
        shown = picture(brightness)
        frame = Frame(
            camera="main",
            seq=self._number,
            captured_at=time.monotonic_ns(),
            width=SIZE[0],
            height=SIZE[1],
            signature=frames.signature(shown),
        )
        self.camera.publish(frame, shown)

    def look(self, turn: Turn, **asked: Any) -> None:
        until = time.monotonic_ns() + 30_000_000_000
        self.dialogue.publish(Look(turn=turn, until=until, **{"max_age_ms": 0, **asked}))

    def answer(self, brightness: int | None = None) -> Embedding | Unseen:
        """What vision says next; a camera goes on showing meanwhile."""
        self.client.listen(Embedding, Unseen)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if brightness is not None:
                self.show(brightness)
            received = self.client.receive(0.05)
            if received is not None and isinstance(received.message, Embedding | Unseen):
                return received.message
        raise AssertionError("vision says nothing")

    def encoded(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@contextmanager
def looking(runtime: Path, join: Join, tmp_path: Path, **settings: Any) -> Iterator[Scene]:
    name = "tests.services.onlooker:Engine"
    options = {"log": str(tmp_path / "log"), **settings.pop("model", {})}
    given = {"encoder": {"engine": name, name: options}, **settings}
    command = processes.service(runtime, "vision", "assistant.services.vision", **given)
    scene = Scene(join, tmp_path / "log")
    with started(command) as process:
        scene.await_subscribers()
        yield scene
        process.terminate()
        code, said = ended(process)
        assert (code, "Traceback" in said) == (0, False), said


@pytest.fixture
def scene(runtime: Path, join: Join, tmp_path: Path) -> Iterator[Scene]:
    with looking(runtime, join, tmp_path) as scene:
        yield scene


def turn(revision: int = 0, start: int = 0) -> Turn:
    return Turn(LIVE, start or time.monotonic_ns(), revision)


def known(seen: Embedding | Unseen) -> dict[str, Any]:
    assert isinstance(seen, Embedding)
    return {"known": seen.identity, "known_signature": seen.signature, "camera": seen.camera}


def test_a_picture_taken_while_the_user_speaks_is_verified_at_the_end(scene: Scene) -> None:
    speaks = turn()
    scene.look(speaks, ahead=True)
    ahead = scene.answer(100)
    assert isinstance(ahead, Embedding)
    assert (ahead.turn, ahead.ahead, ahead.form, scene.encoded()) == (speaks, True, "rows", ["USER_SPEAKS 101"])
    scene.look(turn(1, speaks.start), **known(ahead))
    last = scene.answer(100)
    assert isinstance(last, Embedding)
    assert (last.ahead, last.form, last.identity, last.turn.revision) == (False, "unchanged", ahead.identity, 1)
    assert last.verified_at >= ahead.verified_at
    assert len(scene.encoded()) == 1


def test_without_word_of_what_is_known_what_is_in_hand_is_sent(scene: Scene) -> None:
    """Also to a question that wants a new picture: it was taken since that began. Not to a later one of that kind."""
    speaks = turn()
    scene.look(speaks, ahead=True)
    ahead = scene.answer(100)
    scene.look(turn(1, speaks.start), anew=True)
    last = scene.answer(100)
    assert isinstance(ahead, Embedding)
    assert isinstance(last, Embedding)
    assert (last.form, last.identity, last.encoded_at) == ("rows", ahead.identity, ahead.encoded_at)
    assert len(scene.encoded()) == 1
    scene.look(turn(), anew=True)
    assert isinstance(scene.answer(100), Embedding)
    assert scene.encoded()[1:] == ["USER_WAITS 101"]


def test_a_scene_that_changes_while_the_user_speaks_is_encoded_when_it_rests(scene: Scene) -> None:
    speaks = turn()
    scene.look(speaks, ahead=True)
    scene.answer(100)
    second = scene.answer(180)
    assert isinstance(second, Embedding)
    assert (second.turn, second.ahead) == (speaks, True)
    assert len(scene.encoded()) == 2
    scene.microphone.publish(SpeechEnded(turn=speaks, stream="s", last_sample_at=time.monotonic_ns(), why="silence"))
    scene.look(turn(1, speaks.start), **known(second))
    assert scene.answer(180).turn.revision == 1
    assert len(scene.encoded()) == 2


def test_what_is_in_hand_serves_speech_that_begins_later(scene: Scene) -> None:
    asked = turn()
    scene.look(asked)
    first = scene.answer(100)
    scene.look(turn(), ahead=True, **known(first))
    again = scene.answer(100)
    assert isinstance(again, Embedding)
    assert (again.form, again.ahead) == ("unchanged", True)
    assert len(scene.encoded()) == 1


def test_at_the_first_sound_another_scene_is_encoded_and_serves_the_speech(scene: Scene) -> None:
    def voice() -> None:
        scene.microphone.publish(Voice(stream="s", at=time.monotonic_ns()))

    scene.dialogue.publish(Heartbeat(state="ready", figures={"spare_npu": 0.0}))
    scene.look(turn(), ahead=True)
    scene.answer(100)
    scene.look(turn())
    scene.answer(100)

    def begun() -> bool:
        voice()
        scene.show(180)
        scene.camera.receive(0.02)
        return len(scene.encoded()) > 1

    scene.until(begun)
    assert scene.encoded()[1:] == ["USER_SPEAKS 178"]
    speaks = turn()
    scene.look(speaks, ahead=True)
    seen = scene.answer(180)
    assert isinstance(seen, Embedding)
    assert (seen.turn, seen.ahead, seen.form, len(scene.encoded())) == (speaks, True, "rows", 2)
    assert seen.engine_ms > 0  # it is told with the turn that it was made for


def test_a_scene_that_changes_while_nobody_speaks_is_encoded_out_of_what_was_saved(
    runtime: Path, join: Join, tmp_path: Path
) -> None:
    with looking(runtime, join, tmp_path, idle_duty=1.0) as scene:
        scene.dialogue.publish(Heartbeat(state="ready", figures={"spare_npu": 0.0}))
        scene.look(turn())
        scene.answer(100)

        def refreshed() -> bool:
            scene.show(180)
            scene.camera.receive(0.02)
            return len(scene.encoded()) > 1

        scene.until(refreshed)
        assert scene.encoded()[1].startswith("IDLE")
        scene.look(turn())
        seen = scene.answer(180)
        assert isinstance(seen, Embedding)
        assert (seen.form, len(scene.encoded())) == ("rows", 2)


@contextmanager
def at_work(runtime: Path, join: Join, tmp_path: Path) -> Iterator[tuple[Scene, Turn, Path]]:
    """Somebody speaks, and a picture of 100 is being encoded for it until the file is there."""
    goes_on = tmp_path / "goes on"
    with looking(runtime, join, tmp_path, model={"goes_on": str(goes_on)}) as scene:
        speaks = turn()
        scene.look(speaks, ahead=True)

        def begun() -> bool:
            scene.show(100)
            scene.camera.receive(0.02)
            return bool(scene.encoded())

        scene.until(begun)
        try:
            yield scene, speaks, goes_on
        finally:
            goes_on.touch()


def test_while_a_picture_is_encoded_others_are_answered(runtime: Path, join: Join, tmp_path: Path) -> None:
    with at_work(runtime, join, tmp_path) as (scene, _, _):
        scene.show(100)
        other = Turn("another", time.monotonic_ns())
        scene.look(other, known="seen before", known_signature=frames.signature(picture(100)))
        seen = scene.answer(100)
        assert isinstance(seen, Embedding)
        assert (seen.turn, seen.form, seen.identity) == (other, "unchanged", "seen before")


def test_a_picture_of_a_scene_that_has_changed_meanwhile_is_not_told(runtime: Path, join: Join, tmp_path: Path) -> None:
    with at_work(runtime, join, tmp_path) as (scene, speaks, goes_on):
        other = Turn("another", time.monotonic_ns())
        scene.look(other, known="x", known_signature=frames.signature(picture(200)))
        assert scene.answer(200).turn == other  # it sees the new one
        goes_on.touch()
        seen = scene.answer(200)
        assert isinstance(seen, Embedding)
        assert (seen.turn, seen.ahead) == (speaks, True)
        assert frames.same_scene(seen.signature, frames.signature(picture(200)))
        assert [line.split()[1] for line in scene.encoded()] == ["101", "197"]


def test_the_picture_of_a_question_that_has_come_meanwhile_is_sent_once(
    runtime: Path, join: Join, tmp_path: Path
) -> None:
    with at_work(runtime, join, tmp_path) as (scene, speaks, goes_on):
        scene.look(turn(1, speaks.start))
        other = Turn("another", time.monotonic_ns())
        scene.look(other, known="x", known_signature=frames.signature(picture(100)))
        scene.answer(100)  # it has both
        goes_on.touch()
        seen = scene.answer(100)
        assert isinstance(seen, Embedding)
        assert (seen.turn.revision, seen.ahead, seen.form) == (1, False, "rows")
        scene.look(other, known="x", known_signature=frames.signature(picture(100)))
        assert scene.answer(100).turn == other  # nothing came between
        assert len(scene.encoded()) == 1


def test_a_question_while_the_model_loads_is_told_so(runtime: Path, join: Join, tmp_path: Path) -> None:
    model = {"loads": str(tmp_path / "loaded")}
    with looking(runtime, join, tmp_path, loading_ms=200, model=model) as scene:
        scene.look(turn())
        seen = scene.answer(100)
        assert isinstance(seen, Unseen)
        assert seen.why == "loading"
        (tmp_path / "loaded").touch()
        beat = scene.client.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.figures.get("embedding_width") == 4)
        assert beat is not None
        scene.look(turn())
        assert isinstance(scene.answer(100), Embedding)


def test_who_wants_to_see_it_gets_a_small_copy_of_what_was_encoded(scene: Scene) -> None:
    scene.look(turn())
    unseen_yet = scene.answer(100)
    assert isinstance(unseen_yet, Embedding)
    viewer = scene.client
    viewer.listen(Thumbnail)
    for brightness in (30, 170, 60, 200, 90, 230):  # vision learns of a viewer a little later
        scene.look(turn(), anew=True)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            scene.show(brightness)
            received = viewer.receive(0.05)
            if received is not None and isinstance(received.message, Thumbnail):
                small = image.decode(bytes(received.payload))
                assert small.shape == (SIZE[1], SIZE[0], 3)
                assert any(abs(int(small[-1, -1, 0]) - shown) < 10 for shown in (100, 30, 170, 60, 200, 90, 230))
                assert received.message.identity == f"main@{received.message.captured_at}"
                return
    raise AssertionError("nobody was shown anything")
