"""When a question needs a look, and when the picture in context may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.looking import SMALL_TALK, LookPlan, Policy, is_small_talk, look_for

NONE, NEW, COMPARE = LookPlan(False), LookPlan(True), LookPlan(True, compare=True)


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
    assert look_for(question, "fresh", known=False) == LookPlan(plan.needed)


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
