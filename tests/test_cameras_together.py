"""The whole daemon with network cameras: named ones, follow-ups, looking closer, poor pictures, mute, and a camera that
is lost in the middle of a turn. One daemon for all of it; the tests stand in the order of one conversation."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.client import Client, private
from assistant.messages import LIVE, CameraState, Mute, PictureBound, ReplyEnded
from models.pico.scene import compose, picture
from tests.pipelines.mjpeg_server import MjpegCamera, mjpeg

PATIENCE_S = 20.0


def scene(objects: str, lamp: str = "off") -> NDArray[np.uint8]:
    return picture("scene", 5, compose(objects, lamp, 3))[0]


TABLE, DOOR = scene("red ball, blue cube"), scene("green ball, yellow mug", "red")


class Talk:
    """A conversation with the daemon, and its two cameras."""

    def __init__(self, client: Client, main: MjpegCamera, door: MjpegCamera) -> None:
        self.client, self.main, self.door = client, main, door
        client.bus.listen(CameraState)

    def ask(self, question: str) -> tuple[str, PictureBound | None]:
        """The answer, and the picture that it is about."""
        answer, bound = "", None
        for received in self.client.ask(question):
            match received.message:
                case PictureBound() as message:
                    bound = message
                case ReplyEnded(text=text):
                    answer = text
        return answer, bound

    def state(self, camera: str, state: str) -> None:
        found = self.client.bus.wait_for(CameraState, PATIENCE_S, lambda s: (s.camera, s.state) == (camera, state))
        assert found is not None

    def show(self, shown: NDArray[np.uint8]) -> None:
        """Return when the main camera's process must have taken a picture of this."""
        self.main.picture = shown
        with self.main.changed:
            sent = self.main.sent
        self.main.until(f"sent > {sent + 20}")

    def mute(self, muted: bool) -> None:
        self.client.bus.send(Mute(device="camera", muted=muted), timeout_s=PATIENCE_S)


@pytest.fixture(scope="module")
def talk() -> Iterator[Talk]:
    with mjpeg(TABLE) as main, mjpeg(DOOR) as door:
        sets = []
        for table, server in (("camera", main), ("cameras.door", door)):
            sets += [f"{table}.source.opencv.source='{server.url}'", f"{table}.source.opencv.read_timeout_s=0.6"]
            sets += [f"{table}.retry_s=0.1", f"{table}.retry_most_s=0.3", f"{table}.fps=10"]
        with private(
            "demo", [*sets, "cameras.door.called=['front door', '门口']", "dialogue.max_age_ms=250"]
        ) as runtime:
            client = Client(runtime, LIVE)
            client.await_ready()
            talk = Talk(client, main, door)
            yield talk
            client.close()


def about(bound: PictureBound | None) -> tuple[str, str, bool]:
    assert bound is not None
    return bound.camera, bound.region, bound.fresh


def test_a_question_is_about_the_default_camera(talk: Talk) -> None:
    answer, bound = talk.ask("what color is the ball")
    assert "red" in answer
    assert about(bound) == ("main", "", True)


def test_a_camera_is_named_and_follow_ups_stay_with_it(talk: Talk) -> None:
    assert about(talk.ask("look at the front door camera")[1]) == ("door", "", True)
    answer, bound = talk.ask("what color is the ball")
    assert "green" in answer
    assert about(bound)[:2] == ("door", "")
    assert about(talk.ask("看main摄像头")[1])[:2] == ("main", "")
    answer, bound = talk.ask("what color is the ball")
    assert "red" in answer
    assert about(bound)[:2] == ("main", "")
    assert about(talk.ask("看门口摄像头")[1])[0] == "door"


def test_looking_closer_is_a_picture_of_its_own_for_one_question(talk: Talk) -> None:
    whole = talk.ask("main camera")[1]
    closer = talk.ask("zoom in on the top left")[1]
    again = talk.ask("what color is the ball")[1]
    assert whole is not None
    assert closer is not None
    assert again is not None
    assert [(b.camera, b.region) for b in (whole, closer, again)] == [("main", ""), ("main", "top left"), ("main", "")]
    assert closer.identity.endswith("#top left")
    assert len({whole.identity, closer.identity}) == 2


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (np.zeros((480, 640, 3), np.uint8), "too dark"),
        (np.full((480, 640, 3), 255, np.uint8), "too bright"),
        (np.full((480, 640, 3), (150, 90, 80), np.uint8), "lens looks covered"),
        (np.asarray(cv2.GaussianBlur(TABLE, (0, 0), 14), np.uint8), "blurred"),
    ],
)
def test_a_picture_that_shows_nothing_is_said(talk: Talk, shown: NDArray[np.uint8], says: str) -> None:
    talk.show(shown)
    answer, bound = talk.ask("what do you see now")
    assert says in answer
    assert bound is None


def test_it_sees_again(talk: Talk) -> None:
    talk.show(DOOR)
    answer, _ = talk.ask("现在球是什么颜色")
    assert "绿" in answer


def test_mute_closes_every_camera(talk: Talk) -> None:
    talk.mute(True)
    talk.state("main", "muted")
    talk.main.until("watching == 0")
    talk.door.until("watching == 0")
    assert talk.ask("what do you see now") == ("The camera is off, so I cannot look.", None)
    talk.mute(False)
    talk.state("main", "live")
    assert about(talk.ask("what do you see now")[1])[0] == "main"


def test_a_camera_that_is_lost_in_the_middle_of_a_turn_is_said(talk: Talk) -> None:
    """It stalls first: a question waits for a picture that is young enough, and meanwhile the loss is noticed."""
    talk.main.manner = "stalls"
    answer, bound = talk.ask("what do you see now")
    while bound is not None:  # a picture that was young enough was still there
        answer, bound = talk.ask("what do you see now")
    assert answer == "The camera is not working, so I cannot look."
    assert about(talk.ask("what does the door camera show")[1])[0] == "door"
    talk.main.manner = "plays"
    talk.state("main", "live")
    assert about(talk.ask("main camera: what do you see now")[1])[0] == "main"


def test_a_camera_that_died_is_said(talk: Talk, tmp_path: Path) -> None:
    talk.door.off()
    talk.state("door", "lost")
    assert talk.ask("what is on the door camera") == ("The camera is not working, so I cannot look.", None)
    assert about(talk.ask("what do you see now")[1])[0] == "main"
    talk.door.on()
    talk.state("door", "live")
    assert about(talk.ask("what is on the door camera")[1])[0] == "door"
