"""When a question needs a look, and when the picture in context may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.conversation import PictureRef
from assistant.core.looking import SMALL_TALK, LookPlan, is_small_talk, look_for, sight_for
from assistant.messages import Policy

NONE, NEW, COMPARE = LookPlan(False), LookPlan(True, anew=True), LookPlan(True, compare=True)


@pytest.mark.parametrize(
    ("question", "plan"),
    [
        ("What color is the ball?", COMPARE),
        ("And the cube?", COMPARE),
        ("What is it now?", NEW),
        ("Is the lamp STILL on?", NEW),
        ("Look again.", NEW),
        ("Do you know the color?", COMPARE),  # "now" within a word
        ("Was the lamp red?", COMPARE),
        ("What has changed?", COMPARE),
        ("Hello.", NONE),
        ("Hello, how are you?", NONE),
        ("Hello, what do you see?", COMPARE),
        ("Thank you!", NONE),
        ("Who are you?", NONE),
        ("What can you do?", NONE),
        ("Repeat that.", NONE),
        ("灯现在是什么颜色", NEW),
        ("灯还亮着吗？", NEW),
        ("球还在吗", NEW),
        ("灯还是亮的吗？", NEW),
        ("还有球吗", NEW),
        ("还有什么？", COMPARE),
        ("灯是红色还是绿色？", COMPARE),
        ("球是什么颜色", COMPARE),
        ("你好", NONE),
        ("你好，谢谢！", NONE),
        ("你能做什么？", NONE),
        ("", COMPARE),
    ],
)
def test_fresh(question: str, plan: LookPlan) -> None:
    assert look_for(question, "fresh", known=True) == plan
    assert look_for(question, "fresh", known=False) == LookPlan(plan.needed, anew=plan.anew)


@given(st.text(), st.booleans())
def test_always_and_never(question: str, known: bool) -> None:
    assert look_for(question, "always", known) == NEW
    assert look_for(question, "never", known) == NONE


@given(st.text(), st.sampled_from(["fresh", "always", "never"]), st.booleans())
def test_nothing_is_compared_without_a_look_or_a_picture(question: str, policy: Policy, known: bool) -> None:
    plan = look_for(question, policy, known)
    assert not plan.compare or (plan.needed and known)


@pytest.mark.parametrize("phrase", sorted(SMALL_TALK))
def test_each_small_talk_phrase_is_known_by_itself(phrase: str) -> None:
    assert is_small_talk(phrase)


CAMERAS = {"main": ("main", "front"), "door": ("door", "front door", "门口"), "yard": ("yard", "院子")}


def picture(camera: str, region: str = "") -> PictureRef:
    return PictureRef("x", camera=camera, region=region)


@pytest.mark.parametrize(
    ("question", "known", "about", "camera", "region", "compared"),
    [
        ("What is there?", None, "", "", "", False),
        ("Look at the door camera.", picture("main"), "main", "door", "", False),
        ("And the ball?", picture("door"), "door", "door", "", True),  # a follow-up stays
        ("And the ball?", None, "door", "door", "", False),  # also when its picture is gone
        ("Is it still there?", picture("door"), "door", "door", "", False),
        ("What does the main camera show?", picture("door"), "door", "main", "", False),
        ("What is on the door camera?", picture("door"), "door", "door", "", True),
        ("Look closer.", picture("door"), "door", "door", "centre", False),
        ("Look closer, is it red?", picture("door", "centre"), "door", "door", "centre", True),
        ("Zoom in on the left.", picture("door", "centre"), "door", "door", "left", False),
        ("Is it red?", picture("door", "centre"), "door", "door", "", False),  # closer was for that question
        ("看院子摄像头，近一点", picture("main"), "main", "yard", "centre", False),
        ("What is it?", picture("upload-1-1"), "upload-1-1", "", "", False),  # sent for a question that is over
    ],
)
def test_what_is_looked_at(
    question: str, known: PictureRef | None, about: str, camera: str, region: str, compared: bool
) -> None:
    sight = sight_for(question, "fresh", known, about, CAMERAS)
    assert sight is not None
    assert (sight.camera, sight.region, sight.known is not None, sight.ages) == (camera, region, compared, True)


def test_what_a_program_chose_counts_for_its_question() -> None:
    known = picture("door")
    assert sight_for("Hello", "fresh", known, "door", CAMERAS) is None
    for name, ages in (("yard", True), ("upload-1-1", False)):
        sight = sight_for("What does the main camera show?", "fresh", known, "door", CAMERAS, name)
        assert sight is not None
        assert (sight.camera, sight.known, sight.ages) == (name, None, ages)
        assert sight_for("Hello", "never", known, "door", CAMERAS, name) is not None
