"""Which camera a question names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.cameras import named

CAMERAS = {
    "main": ("main",),
    "door": ("door", "门口"),
    "gate": ("gate", "front door", "大门口"),
    "Cam 2": ("Cam 2", "the garage"),
    "odd": ("", "…"),
}


@pytest.mark.parametrize(
    ("question", "camera"),
    [
        ("Look at the door camera.", "door"),
        ("look at the DOOR-CAMERA, please", "door"),
        ("What does the front door camera show?", "gate"),
        ("What do you see on camera door?", "door"),
        ("Is the lamp on in the door cam?", "door"),
        ("the garage camera", "Cam 2"),
        ("look at the cam 2 camera", "Cam 2"),
        ("the main camera or the door camera?", "main"),
        ("look through the main webcam", "main"),
        ("看门口摄像头", "door"),
        ("看看门口的摄像头里有什么", "door"),
        ("看大门口摄像头", "gate"),
        ("用door摄像头看一下", "door"),
        ("看一下摄像头 main", "main"),
        ("看一下door的相机", "door"),
        ("look at the door", ""),  # one in the picture
        ("is the camera beside the door on?", ""),
        ("the outdoor camera", ""),
        ("the doors camera", ""),
        ("look at the camera", ""),
        ("门口有人吗", ""),
        ("look at the kitchen camera", ""),
        ("", ""),
    ],
)
def test_named(question: str, camera: str) -> None:
    assert named(question, CAMERAS) == camera


@given(st.text(), st.dictionaries(st.text(), st.lists(st.text())))
def test_any_question_and_any_names(question: str, cameras: dict[str, list[str]]) -> None:
    assert named(question, cameras) in ("", *cameras)
