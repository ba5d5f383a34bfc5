"""Does a question need a look at the scene, at what, and may the picture in context do if it still shows the same?"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from assistant.core import closer, commands
from assistant.core.cameras import named
from assistant.core.conversation import PictureRef
from assistant.messages import Policy


class LookPlan(msgspec.Struct, frozen=True):
    """``compare``: the picture in context does, if the newest frame shows exactly the same (it is verified, not
    replaced). ``anew``: a picture from before the question does not, whatever it shows."""

    needed: bool
    compare: bool = False
    anew: bool = False


class Sight(msgspec.Struct, frozen=True):
    """What a question is to be shown. ``camera`` "": the default one."""

    camera: str
    region: closer.Region
    known: PictureRef | None  # a picture of just this in context, which does if it still shows the same
    ages: bool  # a camera's picture does; one that was sent for the question does not
    anew: bool = False  # one from before the question will not do


# Whole utterances, normalised, that no picture is needed for.
SMALL_TALK = frozenset(
    commands.normalise(phrase)
    for phrase in (
        "hello", "hello there", "hi", "hi there", "hey", "good morning", "good afternoon", "good evening", "good night",
        "how are you", "how are you doing", "how do you do", "nice to meet you", "thank you", "thank you very much",
        "thank you so much", "many thanks", "thanks", "thanks a lot", "you are welcome", "bye", "bye bye", "goodbye",
        "good bye", "see you", "see you later", "who are you", "what are you", "what is your name", "what's your name",
        "who made you", "what can you do", "what can i ask", "what can i ask you", "how can you help me",
        "can you help me", "how do you work", "help", "repeat that", "say that again", "what did you say", "ok", "okay",
        "yes", "no", "good", "great", "very good", "well done", "i see", "sorry", "can you hear me", "are you there",
        "你好", "您好", "你好啊", "嗨", "喂", "早上好", "早", "上午好", "下午好", "晚上好", "晚安",
        "你好吗", "最近怎么样",
        "谢谢", "谢谢你", "谢谢您", "多谢", "非常感谢", "感谢", "不客气", "再见", "拜拜", "回头见",
        "你是谁", "你是什么",
        "你叫什么", "你叫什么名字", "你的名字是什么", "你能做什么", "你会做什么", "你可以做什么", "你会什么",
        "你有什么功能",
        "我可以问什么", "我能问什么", "你能帮我吗", "你能帮我做什么", "再说一遍", "重复一遍", "你说什么",
        "好", "好的", "是", "是的",
        "不是", "对", "行", "嗯", "知道了", "明白了", "很好", "对不起", "你听得见吗", "你在吗", "在吗", "帮助",
    )
)  # fmt: skip

_ANEW = re.compile(r"\b(?:now|still|again|currently|any ?more)\b")
# 还 is "still" but for 还有什么 ("what else", a follow-up on the same picture) and 还是 between alternatives ("or"):
# that one never ends in 吗. To look anew without need costs an encoding, to miss it nothing worse than a comparison.
_ANEW_ZH = re.compile(
    r"现在|目前|此刻|仍|依然|再看|再次|重新|又|还(?!是|有(?:什么|谁|哪|别的|其他|其它))|还是(?=.*吗$)"
)


def look_for(question: str, policy: Policy = "fresh", known: bool = False) -> LookPlan:
    """What look a question needs. ``known``: there is a picture in context to compare with.

    A question about the past ("was the lamp red?", "what changed?") is about the scene like any other.
    """
    if policy == "never":
        return LookPlan(False)
    if policy == "always":
        return LookPlan(True, anew=True)
    if is_small_talk(question):
        return LookPlan(False)
    words = commands.normalise(question)
    anew = bool(_ANEW.search(words) or _ANEW_ZH.search(words))
    return LookPlan(True, compare=known and not anew, anew=anew)


def sight_for(
    question: str,
    policy: Policy,
    known: PictureRef | None,
    about: str,
    cameras: Mapping[str, Sequence[str]],
    asked: str = "",
    ahead: PictureRef | None = None,
    since: int = 0,
) -> Sight | None:
    """What to look at for a question; None if it needs no look.

    ``known``: the picture in context. ``about``: the camera that the conversation is about; it stays so until
    another is named or the conversation ends. ``cameras``: what each may be called. ``asked``: what a program chose
    for this question, a camera or a picture that it sent under a name of its own. ``ahead``: the picture that was
    looked at while the question was spoken, which began at ``since`` (ns); it is of the camera ``about``.
    """
    plan = look_for(question, policy, known is not None)
    if not plan.needed and not asked:
        return None
    camera = asked or named(question, cameras) or (about if about in cameras else "")
    region = closer.region(question)
    ages = not asked or asked in cameras
    if ahead is not None and (ahead.camera, ahead.region) == (camera, region):
        good = not plan.anew or ahead.captured_at >= since
        return Sight(camera, region, ahead if good else None, ages, plan.anew)
    same = known is not None and (known.camera, known.region) == (camera, region)
    return Sight(camera, region, known if plan.compare and same else None, ages, plan.anew)


def is_small_talk(text: str) -> bool:
    """Is each clause of it small talk ("hello, how are you")? The empty text is not."""
    clauses = [commands.normalise(clause) for clause in re.split(r"[,.!?;，。！？；]", text)]
    clauses = [clause for clause in clauses if clause]
    return bool(clauses) and all(_small(clause) for clause in clauses)


def _small(clause: str) -> bool:
    if clause in SMALL_TALK:
        return True
    first, _, rest = clause.partition(" ")
    return first in ("hello", "hi", "hey", "ok", "okay") and _small(rest) if rest else False
