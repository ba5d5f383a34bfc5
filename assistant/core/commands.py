"""Words that steer the assistant itself: they are obeyed at once and never reach the language model.

Only a whole utterance is a command: "stop" is one, "why did the machine stop" is a question.
"""

import re
import unicodedata

from assistant.core import numerals
from assistant.core.phrases import PHRASES, Command

__all__ = ["PHRASES", "Command", "level", "match", "normalise"]

# Courtesies that may stand before or after; removed as whole words in English, as a prefix or suffix in Chinese.
_FILLERS = (
    "could you please", "can you please", "would you please", "could you", "can you", "would you", "will you",
    "please", "hey", "ok", "okay", "now then", "well", "just", "um", "uh", "thank you", "thanks",
)  # fmt: skip
_FILLERS_ZH = (
    "麻烦你", "麻烦", "请问一下", "请问", "请你", "请帮我", "帮我", "请", "你能", "能不能", "可以", "嗯", "好吧",
    "谢谢", "那",
)  # fmt: skip
_ENDINGS_ZH = ("谢谢", "一下吧", "好吗", "可以吗", "行吗", "吧", "啊", "吗", "呀", "呢")

_CONTRACTIONS = {
    "what's": "what is", "whats": "what is", "that's": "that is", "who's": "who is", "how's": "how is",
    "it's": "it is", "you're": "you are", "can't": "cannot", "i'm": "i am",
}  # fmt: skip
_SHORT = re.compile(rf"\b(?:{'|'.join(_CONTRACTIONS)})\b")


def match(text: str) -> Command | None:
    """The command that this utterance is, as a whole; None for everything else."""
    return _found(text)[0]


def level(text: str) -> float:
    """The volume that a VOLUME command asks for, above 0 and up to 1. Raises ValueError for another utterance."""
    command, wanted = _found(text)
    if command is not Command.VOLUME or wanted is None:
        raise ValueError(f"{text!r} asks for no volume")
    return wanted


def _found(text: str) -> tuple[Command | None, float | None]:
    for form in _forms(normalise(text)):
        full = _in_full(form)
        if full in _COMMANDS:
            return _COMMANDS[full], None
        named = numerals.level(full)
        if named is not None and _COMMANDS.get(named[0]) is Command.VOLUME:
            return (Command.VOLUME, named[1]) if named[1] else (Command.MUTE, None)
    return None, None


def normalise(text: str) -> str:
    """Lower case, without punctuation, single spaces; apostrophes inside words stay, spaces between CJK characters go.
    Recognisers differ in all of these."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    plain = re.sub(r"[^\w\s']|_", " ", folded.replace("%", " percent "))
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


def _in_full(words: str) -> str:
    return _SHORT.sub(lambda short: _CONTRACTIONS[short[0]], words)


_COMMANDS = {phrase: command for command, phrases in PHRASES.items() for phrase in phrases}
