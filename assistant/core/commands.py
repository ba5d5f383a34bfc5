"""Words that steer the conversation itself: they are obeyed at once and never reach the language model.

Only a whole utterance is a command: "stop" is one, "why did the machine stop" is a question.
"""

import enum
import re
import unicodedata

from assistant.core import personas


class Command(enum.Enum):
    CLEAR = "clear"
    STOP = "stop"
    REPEAT = "repeat"


PHRASES: dict[Command, tuple[str, ...]] = {
    Command.CLEAR: (
        "clear",
        "clear conversation",
        "clear the conversation",
        "clear this conversation",
        "clear our conversation",
        "clear the history",
        "clear history",
        "clear the chat",
        "clear everything",
        "delete the conversation",
        "reset the conversation",
        "start over",
        "start a new conversation",
        "new conversation",
        "forget everything",
        "forget it all",
        "forget all of it",
        "forget all that",
        "forget the conversation",
        "forget what i said",
        "清除对话",
        "清空对话",
        "删除对话",
        "清除聊天",
        "清空聊天",
        "清除记录",
        "清空记录",
        "清除历史",
        "清空历史",
        "清除聊天记录",
        "清空聊天记录",
        "重新开始",
        "重新开始对话",
        "开始新对话",
        "新对话",
        "忘掉",
        "忘掉吧",
        "忘了吧",
        "全忘了",
        "全忘掉",
        "全部忘掉",
        "忘掉一切",
        "忘掉对话",
        "忘掉刚才的对话",
        "把对话清除",
        "把对话清空",
        "把对话忘掉",
    ),
    Command.STOP: (
        "stop",
        "stop it",
        "stop that",
        "stop now",
        "stop stop",
        "stop talking",
        "stop speaking",
        "be quiet",
        "be silent",
        "quiet",
        "silence",
        "shut up",
        "hush",
        "enough",
        "that is enough",
        "that's enough",
        "never mind",
        "nevermind",
        "cancel",
        "停",
        "停停",
        "停一下",
        "停下",
        "停下来",
        "停止",
        "别说",
        "别说了",
        "不要说了",
        "不用说了",
        "别讲了",
        "闭嘴",
        "安静",
        "安静点",
        "够了",
        "好了好了",
        "算了",
        "取消",
    ),
    Command.REPEAT: (
        "repeat",
        "repeat that",
        "repeat it",
        "repeat this",
        "repeat your answer",
        "repeat the answer",
        "repeat what you said",
        "repeat that again",
        "say that again",
        "say it again",
        "say again",
        "once more",
        "one more time",
        "say that once more",
        "say that one more time",
        "what did you say",
        "what was that",
        "pardon",
        "pardon me",
        "再说一遍",
        "再说一次",
        "再讲一遍",
        "再来一遍",
        "重复",
        "重复一遍",
        "重复一下",
        "重复一次",
        "重说一遍",
        "你说什么",
        "你刚才说什么",
        "你刚才说了什么",
        "刚才说什么",
    ),
}

# What is said to a command: STOP is obeyed in silence; REPEAT's is for the case that nothing was said yet.
REPLIES: dict[Command, str] = {Command.CLEAR: "cleared", Command.STOP: "", Command.REPEAT: "nothing_said"}

# Courtesies that may stand before or after; removed as whole words in English, as a prefix or suffix in Chinese.
_FILLERS = (
    "could you please", "can you please", "would you please", "could you", "can you", "would you", "will you",
    "please", "hey", "ok", "okay", "now then", "well", "just", "um", "uh", "thank you", "thanks",
)  # fmt: skip
_FILLERS_ZH = ("麻烦你", "麻烦", "请你", "请帮我", "帮我", "请", "你能", "可以", "嗯", "好吧", "谢谢")
_ENDINGS_ZH = ("谢谢", "一下吧", "好吗", "可以吗", "行吗", "吧", "啊", "吗", "呀")


def match(text: str) -> Command | None:
    """The command that this utterance is, as a whole; None for everything else."""
    words = normalise(text)
    return next((_COMMANDS[form] for form in _forms(words) if form in _COMMANDS), None)


def answer(command: Command, language: str) -> str:
    """What is said to a command; "" for nothing. REPEAT's is for the case that there is nothing to repeat."""
    key = REPLIES[command]
    return personas.say(key, language) if key else ""


def normalise(text: str) -> str:
    """Lower case, without punctuation, single spaces; apostrophes inside words stay, spaces between CJK characters go.
    Recognisers differ in all of these."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    plain = re.sub(r"[^\w\s']|_", " ", folded)
    plain = re.sub(r"(?<!\w)'|'(?!\w)", " ", plain)
    plain = re.sub(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])", "", plain)
    return " ".join(plain.split())


def _forms(words: str) -> list[str]:
    """The utterance, and what remains of it without courtesies, one after the other."""
    forms = [words]
    for _ in range(4):
        shorter = _without_filler(forms[-1])
        if shorter == forms[-1]:
            break
        forms.append(shorter)
    return forms


def _without_filler(words: str) -> str:
    for filler in _FILLERS:
        if words.startswith(filler + " "):
            return words[len(filler) + 1 :]
        if words.endswith(" " + filler):
            return words[: -len(filler) - 1]
    for filler in _FILLERS_ZH:
        if words.startswith(filler) and words != filler:
            return words[len(filler) :].strip()
    for filler in _ENDINGS_ZH:
        if words.endswith(filler) and words != filler:
            return words[: -len(filler)].strip()
    return words


_COMMANDS = {phrase: command for command, phrases in PHRASES.items() for phrase in phrases}
