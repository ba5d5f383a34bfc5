"""What may be asked about the toy world and the one right answer, in English and Chinese. Pure: truth in, text out.

The first form of each question is the canonical one, lower-case and without punctuation, as the speech grammar says it;
the others are paraphrases that are also understood when typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.pico.world import Scene, Thing, third

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

NUMBERS: dict[Language, tuple[str, ...]] = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    "zh": ("零", "一", "二", "三", "四", "五", "六", "七", "八", "九", "十"),
}
COUNTS_ZH = ("零", "一", "两", "三", "四")
KIND_ZH = {"ball": "球", "cube": "方块", "cone": "圆锥", "bottle": "瓶子", "mug": "杯子"}
COLOR_ZH = {"red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色", "white": "白色", "purple": "紫色"}
SIDE_ZH = {"left": "左边", "middle": "中间", "right": "右边"}

# topic -> language -> forms. {kind}, {color} and {side} are filled in.
QUESTIONS: dict[str, dict[Language, tuple[str, ...]]] = {
    "describe": {
        "en": ("what do you see", "what is on the table", "what can you see", "describe the picture"),
        "zh": ("你看到了什么", "桌上有什么", "你看见了什么", "桌子上有什么"),
    },
    "color": {
        "en": ("what color is the {kind}", "what colour is the {kind}", "which color is the {kind}"),
        "zh": ("{kind}是什么颜色", "{kind}是什么颜色的", "{kind}什么颜色"),
    },
    "exists": {
        "en": ("is there a {kind}", "do you see a {kind}", "can you see a {kind}"),
        "zh": ("有{kind}吗", "有没有{kind}"),
    },
    "exists_color": {
        "en": ("is there a {color} {kind}", "do you see a {color} {kind}", "can you see a {color} {kind}"),
        "zh": ("有{color}的{kind}吗", "有没有{color}的{kind}", "有{color}{kind}吗"),
    },
    "exists_lamp": {"en": ("is there a lamp", "do you see a lamp"), "zh": ("有灯吗", "有没有灯")},
    "exists_gauge": {"en": ("is there a gauge", "do you see a gauge"), "zh": ("有仪表吗", "有没有仪表")},
    "count": {
        "en": ("how many objects are there", "how many objects do you see", "how many things are there"),
        "zh": ("一共有几个东西", "有几个东西", "有多少个东西"),
    },
    "count_kind": {
        "en": ("how many {kind}s are there", "how many {kind}s do you see"),
        "zh": ("有几个{kind}", "有多少个{kind}"),
    },
    "side": {
        "en": (
            "what is {side} of the {kind}",
            "what is to the {side} of the {kind}",
            "what is on the {side} of the {kind}",
        ),
        "zh": ("{kind}的{side}是什么", "{kind}{side}是什么", "{kind}的{side}有什么"),
    },
    "where": {"en": ("where is the {kind}",), "zh": ("{kind}在哪里", "{kind}在哪儿", "{kind}在哪")},
    "lamp_on": {
        "en": ("is the lamp on", "is the light on", "is the lamp still on"),
        "zh": ("灯亮着吗", "灯亮吗", "灯还亮着吗"),
    },
    "lamp_color": {
        "en": ("what color is the lamp", "what colour is the lamp", "what color is the light"),
        "zh": ("灯是什么颜色", "灯是什么颜色的", "灯什么颜色"),
    },
    "gauge": {
        "en": ("what does the gauge read", "what does the gauge say", "what does the gauge show", "read the gauge"),
        "zh": ("仪表的读数是多少", "仪表读数是多少", "仪表是多少", "仪表显示多少"),
    },
    "lamp_changed": {
        "en": ("has the lamp changed", "did the lamp change"),
        "zh": ("灯变了吗", "灯有变化吗", "灯有没有变"),
    },
    "gauge_changed": {
        "en": ("has the gauge changed", "did the gauge change"),
        "zh": ("仪表变了吗", "仪表有变化吗", "仪表有没有变"),
    },
    "and_kind": {"en": ("and the {kind}", "what about the {kind}", "and a {kind}"), "zh": ("{kind}呢", "那{kind}呢")},
    "and_lamp": {"en": ("and the lamp", "what about the lamp"), "zh": ("灯呢", "那灯呢")},
    "and_gauge": {"en": ("and the gauge", "what about the gauge"), "zh": ("仪表呢", "那仪表呢")},
    "it_color": {
        "en": ("what color is it", "what colour is it"),
        "zh": ("它是什么颜色", "它是什么颜色的", "它什么颜色"),
    },
    "it_side": {
        "en": ("and {side} of it", "what is {side} of it", "and to the {side} of it"),
        "zh": ("它的{side}呢", "它的{side}是什么", "那它的{side}呢"),
    },
    "hello": {"en": ("hello", "hi", "good morning"), "zh": ("你好", "您好")},
    "who": {"en": ("who are you", "what are you", "what is your name"), "zh": ("你是谁", "你叫什么名字")},
    "can": {"en": ("what can you do", "what can i ask"), "zh": ("你能做什么", "你会做什么", "我可以问什么")},
    "thanks": {"en": ("thank you", "thanks"), "zh": ("谢谢", "谢谢你")},
}

SAYINGS: dict[str, dict[Language, str]] = {
    "hello": {"en": "Hello!", "zh": "你好！"},
    "who": {"en": "I am pico, a very small model.", "zh": "我是一个很小的模型，叫皮可。"},
    "can": {"en": "I answer questions about my toy table.", "zh": "我能回答关于玩具桌的问题。"},
    "thanks": {"en": "You are welcome.", "zh": "不客气。"},
    "ood": {"en": "I only know my toy world.", "zh": "我只认识我的玩具世界。"},
    "no_picture": {"en": "I cannot see anything.", "zh": "我什么也看不见。"},
    "cannot_tell": {"en": "I cannot tell what this is.", "zh": "我看不出这是什么。"},
    "one_picture": {"en": "I have only one picture.", "zh": "我只有一张照片。"},
    "cannot_compare": {"en": "I cannot compare them.", "zh": "我没法比较。"},
    "what_it": {"en": "What do you mean?", "zh": "你指的是什么？"},
}
SMALL_TALK = ("hello", "who", "can", "thanks")
INSTRUMENTS = ("lamp", "gauge")
FOLLOW_UPS = ("and_kind", "and_lamp", "and_gauge", "it_color", "it_side")
OLD_PICTURE: dict[Language, str] = {
    "en": "[picture taken at {time}, no longer shown]",
    "zh": "[{time} 拍的照片，已不在眼前]",
}


@dataclass(frozen=True)
class Question:
    """What is asked: a key of QUESTIONS (or "ood") and what fills its gaps."""

    topic: str
    kind: str = ""
    color: str = ""
    side: str = ""


def ask(question: Question, language: Language, form: int = 0) -> str:
    """The words of `question` in its form number `form` (0 = canonical)."""
    text = QUESTIONS[question.topic][language][form]
    if language == "en":
        return text.format(kind=question.kind, color=question.color, side=question.side)
    return text.format(
        kind=KIND_ZH.get(question.kind, ""), color=COLOR_ZH.get(question.color, ""), side=SIDE_ZH.get(question.side, "")
    )


def resolve(question: Question, before: Question | None) -> Question | None:
    """The full question behind a follow-up, or None; `before`: the full question of the turn before."""
    topic = question.topic
    if topic not in FOLLOW_UPS:
        return question
    if before is None or before.topic == "ood" or before.topic in SMALL_TALK:
        return None
    if topic in ("and_lamp", "and_gauge"):
        name = topic[4:]
        if before.topic.endswith("_changed"):
            return Question(f"{name}_changed")
        return Question("lamp_color" if name == "lamp" else "gauge")
    if topic == "and_kind":
        if not before.kind:
            return None
        return replace(
            before, kind=question.kind, color="", topic="exists" if before.topic == "exists_color" else before.topic
        )
    if topic == "it_color":
        if before.topic in ("lamp_on", "exists_lamp", "lamp_color"):
            return Question("lamp_color")
        return Question("color", kind=before.kind) if before.kind else None
    return Question("side", kind=before.kind, side=question.side) if before.kind else None


def _named(things: Sequence[Thing], kind: str) -> list[Thing]:
    return [thing for thing in things if thing.kind == kind]


def _list(parts: Sequence[str], language: Language) -> str:
    comma, last = (", ", " and ") if language == "en" else ("、", "和")
    return last.join([comma.join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _thing(thing: Thing, language: Language) -> str:
    return f"a {thing.color} {thing.kind}" if language == "en" else f"{COLOR_ZH[thing.color]}的{KIND_ZH[thing.kind]}"


def _none(kind: str, language: Language) -> str:
    return f"There is no {kind}." if language == "en" else f"没有{KIND_ZH[kind]}。"


def _about_kind(question: Question, scene: Scene, language: Language) -> str:
    en, kind, topic = language == "en", question.kind, question.topic
    found = _named(scene.objects, kind)
    name = kind if en else KIND_ZH[kind]
    if topic == "exists":
        if en:
            return f"Yes, there is a {kind}." if found else f"No, there is no {kind}."
        return f"有{name}。" if found else f"没有{name}。"
    if topic == "exists_color":
        there = any(thing.color == question.color for thing in found)
        if en:
            what = f"{question.color} {kind}"
            return f"Yes, there is a {what}." if there else f"No, there is no {what}."
        return f"{'有' if there else '没有'}{COLOR_ZH[question.color]}的{name}。"
    if topic == "count_kind":
        if en:
            many = "is one" if len(found) == 1 else f"are {NUMBERS['en'][len(found)] if found else 'no'}"
            return f"There {many} {kind}{'' if len(found) == 1 else 's'}."
        return f"有{COUNTS_ZH[len(found)]}个{name}。" if found else f"没有{name}。"
    if not found:
        return _none(kind, language)
    if topic == "color":
        if en:
            return f"The {kind} is {_list([t.color for t in found], 'en')}."
        return f"{name}是{_list([COLOR_ZH[t.color] for t in found], 'zh')}的。"
    if len(found) > 1:
        return (
            f"Which {kind}? There are {NUMBERS['en'][len(found)]}."
            if en
            else f"哪个{name}？有{COUNTS_ZH[len(found)]}个。"
        )
    if topic == "where":
        part = third(found[0].x) or "middle"
        if en:
            return f"The {kind} is {'in the middle' if part == 'middle' else f'on the {part}'}."
        return f"{name}在{SIDE_ZH[part]}。"
    index = scene.objects.index(found[0]) + (-1 if question.side == "left" else 1)
    neighbour = scene.objects[index] if 0 <= index < len(scene.objects) else None
    if en:
        what = "nothing" if neighbour is None else _thing(neighbour, "en")
        return f"{question.side.capitalize()} of the {kind} is {what}."
    what = "什么也没有" if neighbour is None else f"是{_thing(neighbour, 'zh')}"
    return f"{name}的{SIDE_ZH[question.side]}{what}。"


def _reading(name: str, scene: Scene, language: Language) -> str | None:
    """The state of an instrument in words, or None where the scene has none."""
    if name == "gauge":
        return None if scene.gauge is None else NUMBERS[language][scene.gauge]
    if scene.lamp is None or language == "en":
        return scene.lamp
    return "没有亮" if scene.lamp == "off" else COLOR_ZH[scene.lamp]


def _about_instrument(question: Question, scenes: Sequence[Scene], language: Language) -> str:
    en, topic, scene = language == "en", question.topic, scenes[-1]
    name = "lamp" if "lamp" in topic else "gauge"
    word = name if en else {"lamp": "灯", "gauge": "仪表"}[name]
    now = _reading(name, scene, language)
    if topic.startswith("exists"):
        if en:
            return f"No, there is no {word}." if now is None else f"Yes, there is a {word}."
        return f"没有{word}。" if now is None else f"有{word}。"
    if topic.endswith("_changed"):
        if len(scenes) < 2:
            return SAYINGS["one_picture"][language]
        before = _reading(name, scenes[-2], language)
        if now is None or before is None or not scenes[-2].valid:
            return SAYINGS["cannot_compare"][language]
        if en:
            return f"No, it is still {now}." if now == before else f"Yes, it was {before} and is {now} now."
        return f"没变，还是{now}。" if now == before else f"变了，刚才是{before}，现在是{now}。"
    if now is None:
        return f"There is no {word}." if en else f"没有{word}。"
    if name == "gauge":
        return f"The gauge reads {now}." if en else f"仪表的读数是{now}。"
    lit = scene.lamp != "off"
    if topic == "lamp_on":
        if en:
            return "Yes, the lamp is on." if lit else "No, the lamp is off."
        return "灯亮着。" if lit else "灯没有亮。"
    if en:
        return f"The lamp is {now}."
    return f"灯是{now}的。" if lit else "灯没有亮。"


def answer(question: Question, scenes: Sequence[Scene], before: Question | None, language: Language) -> str:
    """The one right answer. `scenes` are the pictures that are still shown, oldest first; `before` as for `resolve`."""
    if question.topic == "ood" or question.topic in SMALL_TALK:
        return SAYINGS[question.topic][language]
    if not scenes:
        return SAYINGS["no_picture"][language]
    full = resolve(question, before)
    if full is None:
        if question.topic.startswith("it_"):
            return SAYINGS["what_it"][language]
        name = question.kind or question.topic[4:]
        return (
            f"What about the {name}?"
            if language == "en"
            else f"{KIND_ZH.get(name) or {'lamp': '灯', 'gauge': '仪表'}[name]}怎么了？"
        )
    scene = scenes[-1]
    if not scene.valid:
        return SAYINGS["cannot_tell"][language]
    if full.kind:
        return _about_kind(full, scene, language)
    if "lamp" in full.topic or "gauge" in full.topic:
        return _about_instrument(full, scenes, language)
    en, things = language == "en", scene.objects
    if full.topic == "count":
        if en:
            many = (
                "is one object" if len(things) == 1 else f"are {NUMBERS['en'][len(things)] if things else 'no'} objects"
            )
            return f"There {many}."
        return f"有{COUNTS_ZH[len(things)]}个东西。" if things else "没有东西。"
    if not things:
        return "The table is empty." if en else "桌上什么也没有。"
    return (
        f"{'I see ' if en else '我看到'}{_list([_thing(t, language) for t in things], language)}{'.' if en else '。'}"
    )
