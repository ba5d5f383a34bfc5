"""What people say to an assistant, and what it is taken for: whole utterances, and near misses that are questions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core import commands, numerals
from assistant.core.commands import Command, match
from assistant.core.phrases import expanded

SAID = {
    Command.TIME: """
        what time is it | What time is it, please? | hey, what's the time | What’s the time right now?
        could you tell me the time | tell me what time it is | do you have the time | do you know what time it is
        what is the current time | how late is it | Time, please. | what time is it now
        现在几点了？ | 几点了 | 现在几点钟 | 请问现在几点 | 请问现在几点了呢 | 现在是什么时间 | 报一下时间
        告诉我现在几点了 | 当前时间是多少 | 几点啦 | 现在什么时候了""",
    Command.DATE: """
        what's the date | what is the date today | What day is it? | what day of the week is it today
        what is today's date | which day is today | tell me the date please | what year is it | what date is it
        今天几号 | 今天是几月几号？ | 今天星期几 | 今天是星期几呀 | 今天周几 | 今天的日期是什么 | 告诉我今天几号
        请问今天几月几日 | 今年是哪一年""",
    Command.LOUDER: """
        volume up | turn it up | turn up the volume | Turn the volume up a bit, please. | turn your volume up
        speak louder | a little louder please | louder! | can you speak up | increase the volume | raise your volume
        I can't hear you | you're too quiet | could you please make it louder | put the sound up a little
        大声点 | 大声一点 | 请大声一点 | 音量调大 | 把音量调高一点 | 声音大一点 | 声音再大一点 | 调大音量 | 说大声点
        提高音量 | 声音太小了 | 听不见""",
    Command.SOFTER: """
        volume down | turn it down | turn down the volume | turn the sound down a little | speak more quietly
        softer | a bit quieter please | be quieter | lower your voice | reduce the volume | you are too loud
        not so loud | keep it down | speak softly
        小声点 | 小声一点 | 请小声一点好吗 | 音量调小 | 把声音调低一些 | 声音小一点 | 调小声音 | 降低音量 | 太吵了
        你太大声了""",
    Command.MUTE: """
        mute | mute yourself | mute the speaker please | turn off the sound | turn your voice off | sound off
        switch the speaker off | volume zero | set the volume to zero percent | volume 0%
        静音 | 请静音 | 开启静音 | 关闭声音 | 把声音关掉 | 关掉扬声器 | 切换到静音模式 | 音量调到零""",
    Command.UNMUTE: """
        unmute | un-mute yourself | turn the sound back on | switch on the speaker | sound on | turn on your voice
        you can talk again
        取消静音 | 解除静音 | 打开声音 | 把声音打开 | 恢复声音 | 你可以说话了""",
    Command.WHO: """
        who are you | what are you | What's your name? | tell me about yourself | introduce yourself, please
        who am I talking to
        你是谁 | 你叫什么名字 | 你是什么 | 介绍一下你自己 | 请自我介绍一下 | 你的名字是什么""",
    Command.ABLE: """
        what can you do | what can you do for me | What can I ask you? | help | how can you help me
        what are you capable of | what are your skills
        你能做什么？ | 你会做什么 | 你会干什么 | 你有什么功能 | 我可以问什么 | 我能问你些什么 | 帮助
        你能帮我做些什么""",
    Command.HEALTH: """
        how are you running | how are you running today | are you okay | are you all right | what's your status
        status report | which model are you running | how long have you been running | how hot are you
        what's wrong with you | are you running well
        你运行得怎么样 | 你现在运行得如何 | 你运行正常吗 | 系统状态 | 你还好吗 | 你的状态怎么样 | 你用的是什么模型
        你运行多久了 | 你哪里出问题了""",
}

NO_COMMAND = """
    what is
    what time does the clock in the picture show | what time does the clock show | what time is it on the clock
    what time is on the display | what is the time on the wall clock | is it time to water the plants
    what time does the train leave | time flies | how much time is left on the timer | at what time does it open
    现在图里几点 | 图里的钟几点了 | 钟上显示几点 | 墙上的钟现在几点 | 火车几点开 | 几点开门 | 照片是什么时候拍的
    what date is on the label | what is the date on the milk | what day does the calendar show | which day is marked
    what is the expiry date | what year is the car | what year was it made | is today's date on the page
    标签上是几号 | 牛奶的日期是什么 | 日历上今天几号 | 保质期到哪一天 | 墙上的日历显示星期几 | 这张票是几号的
    turn the volume knob on the machine | where is the volume knob | which way do I turn the volume knob
    turn up the heat | turn it up the other way | turn up the lamp | turn the machine down | is the volume up
    what is the volume of the bottle | what does the volume gauge read | how loud is the machine | louder than what
    is the red one louder | why is it too loud | put the cup down | speak about the picture | raise the blinds
    音量旋钮在哪里 | 机器上的音量是多少 | 瓶子的容量是多少 | 把灯调亮一点 | 声音大的是哪台机器 | 哪个声音小一点
    电视的音量调到多少了 | 把杯子放低一点
    what is forty percent of two hundred | is the gauge at forty percent | set the gauge to forty percent
    forty percent | the battery is at ten percent | volume | volume forty percent on the left dial
    百分之四十 | 电池还有百分之四十吗 | 仪表指到百分之四十了吗
    mute the microphone | mute the camera | turn off the lamp | turn off the camera | is the mute button lit
    is the sound off on the tv | what does the mute button look like | switch off the machine
    静音按钮在哪里 | 关闭摄像头 | 关掉灯 | 把门关上 | 打开摄像头 | 打开灯
    who are you looking at | who are they | what are you looking at | what are your thoughts on this picture
    who is in the picture | what is the name on the badge | what is its name
    你是谁拍的 | 他是谁 | 他叫什么名字 | 这个人是谁 | 你看见谁了
    what can you see | what can you do with this tool | what can it do | what can i do with a wrench | help him
    what can you tell me about the picture | can you help me find my keys
    你能看见什么 | 这个能做什么 | 这台机器能做什么 | 我能用它做什么
    how is the machine running | is the machine running | are you sure | are you seeing the red ball | are they ok
    is everything ok | what is the status of the machine | what is the temperature | how hot is the stove
    how long has the machine been running | which model is the car | what is wrong with the machine
    机器运行得怎么样 | 机器运行正常吗 | 机器的状态怎么样 | 温度是多少 | 这是什么模型 | 机器运行多久了 | 机器出问题了吗
    how many are there | one | two | half | full | 一 | 一半 | 最大 | 那 | please | 请问"""


def rows(table: str) -> list[str]:
    return [text.strip() for line in table.splitlines() for text in line.split("|") if text.strip()]


COMMANDS = [(text, command) for command, table in SAID.items() for text in rows(table)]


@pytest.mark.parametrize(("text", "command"), COMMANDS)
def test_what_is_said_to_the_assistant(text: str, command: Command) -> None:
    assert match(text) is command


@pytest.mark.parametrize("text", rows(NO_COMMAND))
def test_what_is_asked_about_the_world(text: str) -> None:
    assert match(text) is None


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("volume forty percent", 0.4),
        ("Set the volume to 40%.", 0.4),
        ("set your volume to forty-five per cent, please", 0.45),
        ("could you turn the volume down to twenty percent", 0.2),
        ("turn up the volume to a hundred percent", 1.0),
        ("volume five", 0.5),
        ("volume 5", 0.5),
        ("volume five percent", 0.05),
        ("volume ten", 1.0),
        ("volume 15", 0.15),
        ("set the volume to maximum", 1.0),
        ("full volume", 1.0),
        ("half volume", 0.5),
        ("volume at the minimum", 0.1),
        ("volume two hundred", None),
        ("volume 200 percent", 1.0),
        ("音量调到百分之四十", 0.4),
        ("把音量调到百分之四十", 0.4),
        ("音量调到40%", 0.4),
        ("音量调到百分之40", 0.4),
        ("音量百分之五", 0.05),
        ("请把音量调低到百分之二十五", 0.25),
        ("音量调到三十", 0.3),
        ("音量五", 0.5),
        ("音量调到六成", 0.6),
        ("音量调到一半", 0.5),
        ("音量调到最大", 1.0),
        ("最小音量", 0.1),
        ("声音设为百分之百", 1.0),
        ("音量 80", 0.8),
        ("音量调到百分之一百", 1.0),
    ],
)
def test_a_level_is_understood(text: str, level: float | None) -> None:
    if level is None:
        assert match(text) is None
    else:
        assert match(text) is Command.VOLUME
        assert commands.level(text) == pytest.approx(level)


def test_the_table_is_as_long_as_it_looks() -> None:
    assert len(COMMANDS) > 150
    assert len(rows(NO_COMMAND)) > 100


@pytest.mark.parametrize("text", ["volume up", "volume zero", "how many are there", ""])
def test_another_utterance_asks_for_no_level(text: str) -> None:
    with pytest.raises(ValueError, match="asks for no volume"):
        commands.level(text)


@given(st.integers(1, 100))
def test_every_level_in_words_of_both_languages(percent: int) -> None:
    for text in (
        f"volume {numerals.english(percent)} percent",
        f"volume {percent}%",
        f"音量调到百分之{numerals.chinese(percent)}",
        f"音量{percent}%",
    ):
        assert commands.level(text) == pytest.approx(percent / 100), text


@given(st.text("0123456789 %零一二百成半量音volumepercent.-", max_size=20))
def test_any_level_that_is_understood_is_one(text: str) -> None:
    if match(text) is Command.VOLUME:
        assert 0 < commands.level(text) <= 1


def test_templates() -> None:
    assert expanded("a") == ["a"]
    assert expanded("(a|b) c") == ["a c", "b c"]
    assert expanded("a [b|c]") == ["a b", "a c", "a"]
    assert set(expanded("现在[几点[钟]]")) == {"现在几点钟", "现在几点", "现在"}
