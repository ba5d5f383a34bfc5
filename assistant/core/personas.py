"""Who answers, how freely, what one may ask, and the daemon's own sentences: tables, in English and Chinese.

Examples are text alone: a model is shown by them how to answer from a picture, briefly and
honestly, without the cost of one.
"""

import msgspec

from assistant.messages import Language


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    system: dict[str, str]  # by language
    examples: dict[str, tuple[tuple[str, str], ...]]  # by language: (question, answer)


class Sampling(msgspec.Struct, frozen=True):
    temperature: float
    top_p: float


SAMPLING: dict[str, Sampling] = {
    "greedy": Sampling(0.0, 1.0),
    "factual": Sampling(0.3, 0.9),
    "creative": Sampling(0.8, 0.95),
    "code": Sampling(0.5, 0.85),
}

PERSONAS: dict[str, Persona] = {
    "plain": Persona(
        system={
            "en": "You are an assistant with a camera. Your answers are spoken aloud: one or two short sentences, "
            "plain words, no lists, no markup. Answer from the picture. If it does not show what is asked, say so.",
            "zh": "你是一个带摄像头的助手。你的回答会被读出来：一两句短话，用词简单，不用列表和符号。"
            "根据照片回答。照片里看不出来的，就直说看不出来。",
        },
        examples={
            "en": (
                ("[picture: a desk with a red cup beside a laptop] What color is the cup?", "The cup is red."),
                ("[picture: a closed box] What is in the box?", "I cannot tell, the box is closed."),
            ),
            "zh": (
                ("[照片：桌上有一个红色杯子和一台电脑] 杯子是什么颜色？", "杯子是红色的。"),
                ("[照片：一个关着的盒子] 盒子里有什么？", "我看不出来，盒子是关着的。"),
            ),
        },
    ),
    "home": Persona(
        system={
            "en": "You help at home, with a camera. Answer in one short, friendly sentence that is easy to understand "
            "when heard once. Say what you see, and say so when you cannot see it.",
            "zh": "你是家里的帮手，有一个摄像头。用一句简短、友好、一听就懂的话回答。"
            "看见什么说什么，看不见就说看不见。",
        },
        examples={
            "en": (
                ("[picture: a kitchen, the stove is off] Is the stove on?", "No, the stove is off."),
                ("[picture: a dark hallway] Where are my keys?", "I cannot tell, it is too dark to see."),
            ),
            "zh": (
                ("[照片：厨房，炉灶关着] 炉灶开着吗？", "没有，炉灶关着。"),
                ("[照片：昏暗的走廊] 我的钥匙在哪里？", "我看不出来，这里太暗了。"),
            ),
        },
    ),
    "inspector": Persona(
        system={
            "en": "You inspect a plant through a camera: gauges, lamps, displays, valves, leaks. State the reading "
            "with its unit, or the state, in one sentence; then anything unsafe that is to be seen. Never guess a "
            "reading: if it is blurred, hidden or out of the picture, say that you cannot tell.",
            "zh": "你通过摄像头巡检设备：仪表、指示灯、显示屏、阀门、泄漏。"
            "用一句话报出读数和单位，或设备状态；再说看得见的隐患。"
            "绝不猜读数：模糊、被遮挡或不在照片里，就说看不出来。",
        },
        examples={
            "en": (
                ("[picture: a pressure gauge, its needle at 4 bar] What does it read?", "The pressure is 4 bar."),
                ("[picture: a blurred display] What is on the display?", "I cannot tell, the display is blurred."),
            ),
            "zh": (
                ("[照片：压力表，指针指在 4 巴] 读数是多少？", "压力表的读数是 4 巴。"),
                ("[照片：模糊的显示屏] 显示屏显示什么？", "我看不出来，显示屏是模糊的。"),
            ),
        },
    ),
}

PRESET_QUESTIONS: dict[Language, tuple[str, ...]] = {
    "en": (
        "What do you see?",
        "How many objects are there?",
        "What is on the left?",
        "What color is the ball?",
        "Is the lamp on?",
        "What does the gauge read?",
        "What has changed?",
        "What can you do?",
    ),
    "zh": (
        "你看到了什么？",
        "有几个东西？",
        "左边是什么？",
        "球是什么颜色？",
        "灯亮着吗？",
        "仪表的读数是多少？",
        "有什么变化？",
        "你能做什么？",
    ),
}
PRESETS: tuple[str, ...] = PRESET_QUESTIONS["en"] + PRESET_QUESTIONS["zh"]  # as `chat` numbers them, from 1

# The daemon's own sentences: said instead of an answer, or shown.
SAYINGS: dict[str, dict[Language, str]] = {
    "camera_muted": {"en": "The camera is off, so I cannot look.", "zh": "摄像头已关闭，我看不见。"},
    "camera_lost": {"en": "The camera is not working, so I cannot look.", "zh": "摄像头出了问题，我看不见。"},
    "picture_stale": {
        "en": "The camera shows nothing new, and I do not want to answer from an old picture.",
        "zh": "摄像头没有新的画面，我不想根据旧照片回答。",
    },
    "picture_unreadable": {"en": "I cannot read this picture.", "zh": "这张照片我读不了。"},
    "no_picture": {"en": "I have no picture to look at.", "zh": "我没有照片可看。"},
    "eyes_loading": {
        "en": "I am still loading my eyes. Please ask me again in a moment.",
        "zh": "我的眼睛还在加载，请稍后再问我。",
    },
    "model_stuck": {
        "en": "I could not finish that thought and have to start again. Please ask me once more in a moment.",
        "zh": "我刚才卡住了，正在重新启动，请稍后再问一次。",
    },
    "picture_dark": {
        "en": "I can't see well: it is too dark, or something covers the lens.",
        "zh": "我看不清楚：太暗了，或者镜头被挡住了。",
    },
    "picture_overexposed": {
        "en": "I can't see well: the picture is far too bright.",
        "zh": "我看不清楚：画面太亮了，过曝了。",
    },
    "picture_covered": {
        "en": "I can't see well: the lens looks covered, or there is nothing before it.",
        "zh": "我看不清楚：镜头好像被挡住了，或者前面什么也没有。",
    },
    "picture_blurred": {
        "en": "I can't see well: the picture is blurred. Please hold still, or clean the lens.",
        "zh": "我看不清楚：画面很模糊。请拿稳一点，或者擦一擦镜头。",
    },
    "model_error": {"en": "Something went wrong with me. Please ask again.", "zh": "我刚才出错了，请再问一次。"},
    "only_thoughts": {
        "en": "I thought about it for too long and came to no answer. Please ask it more simply.",
        "zh": "我想得太久，没想出答案，请问得简单一点。",
    },
    "no_words": {"en": "I have no answer to that.", "zh": "这个我答不上来。"},
    "no_model": {
        "en": "I have no language model yet, so I cannot answer questions.",
        "zh": "我还没有语言模型，回答不了问题。",
    },
    "too_long": {"en": "That is too long for me. Please ask it in fewer words.", "zh": "太长了，请说短一点。"},
    "heard_cut": {
        "en": "You spoke for very long; I only listened to the beginning.",
        "zh": "你说得太长了，我只听了开头。",
    },
    "not_understood": {"en": "I did not understand that.", "zh": "我没听懂。"},
    "still_loading": {"en": "I am still getting ready. Please wait a moment.", "zh": "我还在准备，请稍等。"},
    "microphone_muted": {"en": "The microphone is off.", "zh": "麦克风已关闭。"},
    "microphone_lost": {"en": "The microphone is not working.", "zh": "麦克风出了问题。"},
    "reply_cut": {"en": "The answer ends here; it became too long.", "zh": "回答太长，到此为止。"},
    "cleared": {"en": "The conversation is cleared.", "zh": "对话已清除。"},
    "new_conversation": {"en": "That was a while ago. We begin anew.", "zh": "过了很久，我们重新开始。"},
    "who_i_am": {
        "en": "I am an assistant with a camera. All that I hear and see, I work out on this device.",
        "zh": "我是一个带摄像头的助手，听到和看到的都在这台设备上处理。",
    },
    "what_i_can": {
        "en": "I can tell you what the camera sees. Ask me what is there, how many, what color, or what a gauge reads. "
        "I also know the time, and you can change my volume.",
        "zh": "我可以告诉你摄像头看到了什么：有什么、有几个、什么颜色、仪表读数是多少。我还会报时，也可以调音量。",
    },
    "clock_unset": {"en": "My clock is not set, so I do not know.", "zh": "我的时钟还没有校准，所以不知道。"},
    "sound_on": {"en": "The sound is on again.", "zh": "声音已打开。"},
    "volume": {"en": "Volume {} percent.", "zh": "音量百分之{}。"},
    "volume_same": {"en": "The volume stays at {} percent.", "zh": "音量还是百分之{}。"},
    "no_speaker": {"en": "No speaker answers, so I cannot change the volume.", "zh": "扬声器没有回应，音量调不了。"},
    "health_well": {"en": "All is well.", "zh": "一切正常。"},
    "health_degraded": {"en": "{} has a problem.", "zh": "{}有问题。"},
    "health_degraded_many": {"en": "{} have problems.", "zh": "{}有问题。"},
    "health_silent": {"en": "{} does not answer.", "zh": "{}没有回应。"},
    "health_silent_many": {"en": "{} do not answer.", "zh": "{}没有回应。"},
    "health_starting": {"en": "{} is still starting.", "zh": "{}还在启动。"},
    "health_starting_many": {"en": "{} are still starting.", "zh": "{}还在启动。"},
    "health_thinks": {"en": "think with {}", "zh": "用{}思考"},
    "health_hears": {"en": "hear with {}", "zh": "用{}听"},
    "health_speaks": {"en": "speak with {}", "zh": "用{}说话"},
    "health_celsius": {"en": "The chip has {} degrees.", "zh": "芯片温度{}度。"},
    "health_up": {"en": "I have been running for {}.", "zh": "已经运行{}。"},
    "nothing_said": {"en": "I have not said anything yet.", "zh": "我还没有说过什么。"},
}
_UNSEEN = {
    "muted": "camera_muted",
    "lost": "camera_lost",
    "stale": "picture_stale",
    "unreadable": "picture_unreadable",
    "none": "no_picture",
    "loading": "eyes_loading",
    "dark": "picture_dark",
    "overexposed": "picture_overexposed",
    "covered": "picture_covered",
    "blurred": "picture_blurred",
}


def say(key: str, language: str) -> str:
    """The daemon's sentence for ``key``; English where there is none in this language. Raises KeyError."""
    forms = SAYINGS[key]
    return forms["zh"] if language == "zh" else forms["en"]


def unseen(why: str, language: str) -> str:
    """What is said where there is no picture to look at; ``why`` as in messages.Unseen."""
    return say(_UNSEEN.get(why, "no_picture"), language)
