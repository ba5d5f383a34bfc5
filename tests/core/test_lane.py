"""What is said without the language model: the time, the date, how loud it is, how all is."""

from datetime import datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core import lane, numerals, personas
from assistant.core.commands import Command
from assistant.core.speech import language, speakable
from assistant.messages import Heartbeat

UTC = timezone.utc


def at(hour: int, minute: int) -> float:
    return datetime(2026, 11, 21, hour, minute, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("hour", "minute", "english", "chinese"),
    [
        (0, 0, "It is midnight.", "现在是凌晨零点整。"),
        (0, 7, "It is twelve oh seven at night.", "现在是凌晨零点零七分。"),
        (2, 0, "It is two o'clock at night.", "现在是凌晨两点整。"),
        (5, 15, "It is a quarter past five in the morning.", "现在是早上五点一刻。"),
        (9, 30, "It is half past nine in the morning.", "现在是上午九点半。"),
        (11, 45, "It is a quarter to twelve in the morning.", "现在是上午十一点四十五分。"),
        (12, 0, "It is noon.", "现在是中午十二点整。"),
        (12, 50, "It is ten to one in the afternoon.", "现在是中午十二点五十分。"),
        (14, 20, "It is twenty past two in the afternoon.", "现在是下午两点二十分。"),
        (15, 5, "It is five past three in the afternoon.", "现在是下午三点零五分。"),
        (18, 35, "It is twenty-five to seven in the evening.", "现在是晚上六点三十五分。"),
        (22, 17, "It is ten seventeen at night.", "现在是晚上十点十七分。"),
        (23, 55, "It is five to twelve at night.", "现在是晚上十一点五十五分。"),
    ],
)
def test_the_time_in_words(hour: int, minute: int, english: str, chinese: str) -> None:
    assert lane.time(at(hour, minute), UTC, "en") == english
    assert lane.time(at(hour, minute), UTC, "zh") == chinese


@pytest.mark.parametrize(
    ("year", "month", "day", "english", "chinese"),
    [
        (
            *(2026, 11, 21),
            "Today is Saturday, the twenty-first of November, twenty twenty-six.",
            "今天是二零二六年十一月二十一日，星期六。",
        ),
        (
            *(2030, 1, 1),
            "Today is Tuesday, the first of January, twenty thirty.",
            "今天是二零三零年一月一日，星期二。",
        ),
        (
            *(2028, 2, 29),
            "Today is Tuesday, the twenty-ninth of February, twenty twenty-eight.",
            "今天是二零二八年二月二十九日，星期二。",
        ),
        (
            *(2100, 5, 30),
            "Today is Sunday, the thirtieth of May, twenty-one hundred.",
            "今天是二一零零年五月三十日，星期日。",
        ),
    ],
)
def test_the_date_in_words(year: int, month: int, day: int, english: str, chinese: str) -> None:
    wall = datetime(year, month, day, 12, tzinfo=UTC).timestamp()
    assert lane.date(wall, UTC, "en") == english
    assert lane.date(wall, UTC, "zh") == chinese


def test_it_is_told_where_the_clock_hangs() -> None:
    wall = at(17, 30)
    assert "half past six in the evening" in lane.time(wall, timezone(timedelta(hours=1)), "en")
    assert "凌晨一点半" in lane.time(wall, timezone(timedelta(hours=8)), "zh")
    assert "the twenty-second of November" in lane.date(wall, timezone(timedelta(hours=8)), "en")
    assert "a quarter past eleven at night" in lane.time(wall, timezone(timedelta(hours=5, minutes=45)), "en")


@pytest.mark.parametrize("zone", [UTC, None])
def test_a_clock_that_was_never_set_is_not_believed(zone: tzinfo | None) -> None:
    for say in (lane.time, lane.date):
        assert say(86400.0, zone, "en") == personas.say("clock_unset", "en")
        assert say(86400.0, zone, "zh") == personas.say("clock_unset", "zh")


@given(st.datetimes(datetime(2025, 1, 1), datetime(2400, 1, 1)), st.sampled_from(["en", "zh"]))
def test_any_time_is_words_alone(when: datetime, code: str) -> None:
    wall = when.replace(tzinfo=UTC).timestamp()
    for say in (lane.time, lane.date):
        said = say(wall, UTC, code)
        assert language(said) == code
        assert speakable(said) == said
        assert not any(character.isdecimal() for character in said)


def test_the_volume_in_words() -> None:
    assert lane.volume(0.4, 0.5, "en") == "Volume forty percent."
    assert lane.volume(0.4, 0.5, "zh") == "音量百分之四十。"
    assert lane.volume(1.0, 1.0, "en") == "The volume stays at one hundred percent."
    assert lane.volume(1.0, 1.0, "zh") == "音量还是百分之一百。"


def test_each_command_with_words_of_its_own_has_them() -> None:
    for key in filter(None, lane.SAYINGS.values()):
        assert personas.say(key, "en")
    asked = {
        Command.TIME, Command.DATE, Command.HEALTH, Command.LOUDER, Command.SOFTER, Command.VOLUME,
    }  # fmt: skip
    assert set(lane.SAYINGS) == set(Command) - asked
    assert [command for command, key in lane.SAYINGS.items() if not key] == [Command.STOP, Command.MUTE]


SECOND = 10**9
WELL = {
    "microphone": (9 * SECOND, Heartbeat(state="ready", detail="pocketsphinx, webrtcvad")),
    "camera": (9 * SECOND, Heartbeat(state="ready")),
    "vision": (9 * SECOND, Heartbeat(state="ready", detail="rknn", figures={"npu_celsius": 51.2})),
    "dialogue": (
        9 * SECOND,
        Heartbeat(state="ready", detail="rkllm; not onnx: no folder", figures={"npu_celsius": 54}),
    ),
    "speaker": (9 * SECOND, Heartbeat(state="ready", detail="espeak")),
}


def health(changed: dict[str, tuple[int, Heartbeat]], code: str, up_s: float = 7500) -> tuple[str, str]:
    return lane.health({**WELL, **changed}, 10 * SECOND, up_s, "Qwen3-VL-2B", code)


def test_all_is_well() -> None:
    assert health({}, "en") == (
        "All is well. I think with Qwen3-VL-2B, hear with pocketsphinx and speak with espeak. "
        "The chip has fifty-four degrees. I have been running for two hours and five minutes.",
        "",
    )
    assert health({}, "zh") == (
        "一切正常。我用Qwen3-VL-2B思考，用pocketsphinx听，用espeak说话。芯片温度五十四度。已经运行两小时五分钟。",
        "",
    )


def test_what_is_not_well_is_named() -> None:
    lost = {"camera": (9 * SECOND, Heartbeat(state="degraded", detail="/dev/video0 is gone"))}
    said, details = health(lost, "en")
    assert said.startswith("The camera has a problem. I think")
    assert details == "camera: /dev/video0 is gone"
    assert health(lost, "zh")[0].startswith("摄像头有问题。我用")
    more = {**lost, "speaker": (9 * SECOND, Heartbeat(state="degraded", detail="lost"))}
    assert health(more, "en")[0].startswith(
        "The camera and the speaker have problems. I think with Qwen3-VL-2B and hear"
    )
    assert health(more, "zh")[0].startswith("摄像头、扬声器有问题。")


def test_who_is_silent_or_not_yet_there_is_named() -> None:
    quiet = {"vision": (4 * SECOND, WELL["vision"][1]), "camera": (9 * SECOND, Heartbeat(state="starting"))}
    said, _ = health(quiet, "en")
    assert said.startswith("The image recognition does not answer. The camera is still starting.")
    assert "All is well" not in said
    assert health(quiet, "zh")[0].startswith("图像识别没有回应。摄像头还在启动。")


def test_only_the_names_of_engines_are_said() -> None:
    told = {
        "microphone": (9 * SECOND, Heartbeat(state="ready", detail="pocketsphinx at rk3588's pace: 150 ms, webrtcvad")),
        "speaker": (9 * SECOND, Heartbeat(state="ready", detail="muted")),
    }
    assert "I think with Qwen3-VL-2B and hear with pocketsphinx. The chip" in health(told, "en")[0]


def test_nothing_is_known_but_itself() -> None:
    said, _ = lane.health({}, 10 * SECOND, 12, "", "en")
    assert said == "All is well. I have been running for less than a minute."


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (59, "less than a minute", "不到一分钟"),
        (60, "one minute", "一分钟"),
        (3600, "one hour", "一小时"),
        (3720, "one hour and two minutes", "一小时两分钟"),
        (2 * 86400 + 60, "two days", "两天"),
        (30 * 86400 + 7200, "thirty days and two hours", "三十天两小时"),
        (4e8, "nine hundred and ninety-nine days", "九百九十九天"),
    ],
)
def test_how_long_it_has_run(seconds: float, english: str, chinese: str) -> None:
    assert f"running for {english}" in health({}, "en", seconds)[0]
    assert f"已经运行{chinese}" in health({}, "zh", seconds)[0]


@pytest.mark.parametrize(
    ("number", "english", "ordinal", "chinese"),
    [
        (0, "zero", None, "零"),
        (5, "five", "fifth", "五"),
        (10, "ten", "tenth", "十"),
        (12, "twelve", "twelfth", "十二"),
        (20, "twenty", "twentieth", "二十"),
        (23, "twenty-three", "twenty-third", "二十三"),
        (100, "one hundred", None, "一百"),
        (107, "one hundred and seven", None, "一百零七"),
        (110, "one hundred and ten", None, "一百一十"),
        (345, "three hundred and forty-five", None, "三百四十五"),
    ],
)
def test_numbers_in_words(number: int, english: str, ordinal: str | None, chinese: str) -> None:
    assert numerals.english(number) == english
    assert numerals.chinese(number) == chinese
    assert ordinal is None or numerals.ordinal(number) == ordinal


@pytest.mark.parametrize(
    ("year", "words"),
    [
        (1999, "nineteen ninety-nine"),
        (2000, "two thousand"),
        (2005, "two thousand and five"),
        (1905, "nineteen oh five"),
    ],
)
def test_years_in_words(year: int, words: str) -> None:
    assert numerals.english_year(year) == words
