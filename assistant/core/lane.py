"""What the assistant says of itself and of the time without the language model, in words that a voice reads well."""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo

from assistant.core import numerals, personas
from assistant.core.phrases import Command
from assistant.messages import Heartbeat, Language

UNSET_YEAR = 2025  # a clock that shows an earlier year was never set: boards without a battery begin in 1970
SILENT_S = 5.0  # without a heartbeat, and a service is said not to answer

# Commands to which always the same is said; "": obeyed in silence. REPEAT's is for when there is nothing to repeat.
SAYINGS: dict[Command, str] = {
    Command.CLEAR: "cleared",
    Command.STOP: "",
    Command.REPEAT: "nothing_said",
    Command.MUTE: "",
    Command.UNMUTE: "sound_on",
    Command.WHO: "who_i_am",
    Command.ABLE: "what_i_can",
}

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
# (from this hour on, what part of the day it is)
_PARTS = ((0, "at night"), (5, "in the morning"), (12, "in the afternoon"), (18, "in the evening"), (22, "at night"))
_PARTS_ZH = ((0, "凌晨"), (5, "早上"), (9, "上午"), (12, "中午"), (13, "下午"), (18, "晚上"))
_NAMES: dict[str, dict[Language, str]] = {
    "microphone": {"en": "the microphone", "zh": "麦克风"},
    "camera": {"en": "the camera", "zh": "摄像头"},
    "vision": {"en": "the image recognition", "zh": "图像识别"},
    "dialogue": {"en": "the language model", "zh": "语言模型"},
    "speaker": {"en": "the speaker", "zh": "扬声器"},
}


def time(wall: float, zone: tzinfo | None, language: str) -> str:
    """The time of day. ``wall``: seconds since 1970; ``zone`` None: the machine's own."""
    at = datetime.fromtimestamp(wall, zone)
    if at.year < UNSET_YEAR:
        return personas.say("clock_unset", language)
    return f"现在是{_time_zh(at)}。" if language == "zh" else f"It is {_time_en(at)}."


def date(wall: float, zone: tzinfo | None, language: str) -> str:
    """The day, its date and year; arguments as for ``time``."""
    at = datetime.fromtimestamp(wall, zone)
    if at.year < UNSET_YEAR:
        return personas.say("clock_unset", language)
    if language == "zh":
        day = "一二三四五六日"[at.weekday()]
        year, month, number = numerals.chinese_digits(at.year), numerals.chinese(at.month), numerals.chinese(at.day)
        return f"今天是{year}年{month}月{number}日，星期{day}。"
    day, month, year = _DAYS[at.weekday()], _MONTHS[at.month - 1], numerals.english_year(at.year)
    return f"Today is {day}, the {numerals.ordinal(at.day)} of {month}, {year}."


def volume(now: float, was: float, language: str) -> str:
    """How loud it is from now on."""
    if now == was:
        return personas.say("volume_same", language).format(_percent(now, language))
    return personas.say("volume", language).format(_percent(now, language))


def health(
    beats: Mapping[str, tuple[int, Heartbeat]], now: int, up_s: float, model: str, language: str
) -> tuple[str, str]:
    """How all is, to be said; and the details, which are for reading.

    ``beats``: by service, the last heartbeat and when it came (ns, as ``now``). ``up_s``: for how long the assistant
    has run. ``model``: the language model's name.
    """
    zh = language == "zh"
    state = {name: "silent" if now - at > SILENT_S * 1e9 else beat.state for name, (at, beat) in beats.items()}
    told = []
    for bad, key in (("degraded", "health_degraded"), ("silent", "health_silent"), ("starting", "health_starting")):
        if names := [_NAMES[name]["zh" if zh else "en"] for name in _NAMES if state.get(name) == bad]:
            words = personas.say(key if len(names) == 1 else f"{key}_many", language).format(_listed(names, zh))
            told.append(words[0].upper() + words[1:])
    told = told or [personas.say("health_well", language)]
    engines = {name: _engine(beat.detail) for name, (_, beat) in beats.items() if state[name] == "ready"}
    uses = [("health_thinks", model), ("health_hears", engines.get("microphone", ""))]
    uses.append(("health_speaks", engines.get("speaker", "")))
    known = [personas.say(key, language).format(name) for key, name in uses if name]
    if known:
        told.append(f"我{'，'.join(known)}。" if zh else f"I {_listed(known, zh)}.")
    celsius = [beat.figures["npu_celsius"] for _, beat in beats.values() if "npu_celsius" in beat.figures]
    if celsius:
        degrees = max(0, round(max(celsius)))
        said = numerals.chinese(degrees) if zh else numerals.english(degrees)
        told.append(personas.say("health_celsius", language).format(said))
    told.append(personas.say("health_up", language).format(_duration(up_s, zh)))
    details = [f"{name}: {beat.detail}" for name, (_, beat) in beats.items() if state[name] == "degraded"]
    return ("" if zh else " ").join(told), "; ".join(details)


def _engine(detail: str) -> str:
    """The engine that a service's detail begins with."""
    first = re.split(r"[\s,;]", detail, maxsplit=1)[0]
    return "" if first == "muted" else first


def _time_en(at: datetime) -> str:
    hour, minute = at.hour % 12 or 12, at.minute
    if minute == 0 and hour == 12:
        return "noon" if at.hour else "midnight"
    part = next(words for since, words in reversed(_PARTS) if at.hour >= since)
    if minute == 0:
        return f"{numerals.english(hour)} o'clock {part}"
    if minute % 5:
        words = f"{numerals.english(hour)} {'oh ' if minute < 10 else ''}{numerals.english(minute)}"
    else:
        to = minute > 30
        share = {15: "a quarter", 30: "half"}.get(60 - minute if to else minute)
        share = share or numerals.english(60 - minute if to else minute)
        words = f"{share} {'to' if to else 'past'} {numerals.english(hour % 12 + 1 if to else hour)}"
    return f"{words} {part}"


def _time_zh(at: datetime) -> str:
    part = next(words for since, words in reversed(_PARTS_ZH) if at.hour >= since)
    hour = numerals.chinese_count(at.hour if at.hour <= 12 else at.hour - 12)
    if at.minute < 10:
        minutes = f"零{numerals.chinese(at.minute)}分" if at.minute else "整"
    else:
        minutes = {15: "一刻", 30: "半"}.get(at.minute) or f"{numerals.chinese(at.minute)}分"
    return f"{part}{hour}点{minutes}"


def _percent(level: float, language: str) -> str:
    number = round(level * 100)
    return numerals.chinese(number) if language == "zh" else numerals.english(number)


def _duration(seconds: float, zh: bool) -> str:
    """The two largest of days, hours and minutes."""
    minutes = int(seconds // 60)
    counts = (minutes // 1440, minutes // 60 % 24, minutes % 60)
    names = ("天", "小时", "分钟") if zh else ("day", "hour", "minute")
    first = next((index for index, count in enumerate(counts) if count), None)
    if first is None:
        return "不到一分钟" if zh else "less than a minute"
    said = [
        (count, name) for count, name in zip(counts, names, strict=True) if count and name in names[first : first + 2]
    ]
    if zh:
        return "".join(f"{numerals.chinese_count(min(count, 999))}{name}" for count, name in said)
    words = [f"{numerals.english(min(count, 999))} {name}{'s' if count > 1 else ''}" for count, name in said]
    return " and ".join(words)


def _listed(names: list[str], zh: bool) -> str:
    if zh:
        return "、".join(names)
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
