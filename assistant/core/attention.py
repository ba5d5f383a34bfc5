"""Is what is said now meant for the assistant? The wake word, the window that it opens, and what closes it again.

One ``Attention`` a stream of sound. Time is an argument, ns. In the mode ``wakeword`` a stream is closed until a wake
word; from then on it listens, through the turn and its reply, and for a follow-up after that, longer when the reply
asked something. It closes when nothing comes, or with "thank you".
"""

import re
from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

import msgspec

from assistant.core.commands import normalise
from assistant.core.speech import language

S, MS = 1_000_000_000, 1_000_000  # ns

Mode: TypeAlias = Literal["open", "wakeword", "push_to_talk"]
NO_WORD, NO_BUTTON, CLOSED = "no wake word", "the button was not pressed", "closed with a thank-you"

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=600)]

# Whole utterances, as `normalise` writes them, that end what was a conversation.
CLOSING = frozenset(
    (
        "thank you", "thanks", "thank you very much", "thank you so much", "many thanks", "thanks a lot", "no thanks",
        "no thank you", "that is all", "that's all", "that will be all", "goodbye", "good bye", "bye", "bye bye",
        "谢谢", "谢谢你", "谢谢您", "谢谢了", "谢谢啦", "多谢", "多谢了", "感谢", "不用了", "不用谢谢", "没事了",
        "没有了", "就这样", "就这些", "再见", "拜拜",
    )
)  # fmt: skip
_BEFORE = ("okay", "ok", "great", "good", "fine", "no", "well", "alright", "all right", "perfect")
_BEFORE_ZH = ("好的", "好了", "好吧", "好", "行", "嗯", "不用了", "没有了", "没事了", "可以了")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    listen_s: _Seconds = 8.0  # after a wake word: so long may it take until one begins to speak
    follow_up_s: _Seconds = 6.0  # after a reply: what begins within this needs no wake word; 0: all need one
    follow_up_question_s: _Seconds = 12.0  # the same, when the reply ended with a question
    answer_s: _Seconds = 120.0  # a turn of which nothing more is heard no longer keeps the stream open after this
    overlap_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 700  # wake words nearer than this are one


class Attention:
    """Whether a stream is listened to. Every method takes the time at which its event was, ns."""

    def __init__(self, mode: Mode, settings: Settings) -> None:
        self._mode, self._settings = mode, settings
        self._until = 0  # speech that begins before this is for the assistant
        self._woken: int | None = None  # the last wake word

    def why_not(self, at: int) -> str:
        """Why speech that begins now is not for the assistant; "" if it is."""
        if self._mode == "push_to_talk":
            return NO_BUTTON
        return NO_WORD if self._mode == "wakeword" and at >= self._until else ""

    def woken(self, at: int) -> bool:
        """A wake word ended now. False where it is the one before, heard twice; in whatever mode."""
        again = self._woken is not None and abs(at - self._woken) < self._settings.overlap_ms * MS
        self._woken = at if self._woken is None else max(at, self._woken)
        if not again:
            self._until = max(self._until, at + int(self._settings.listen_s * S))
        return not again

    def taken(self, at: int) -> None:
        """A turn of this stream is understood and on its way to be answered."""
        self._until = max(self._until, at + int(self._settings.answer_s * S))

    def dropped(self, at: int) -> None:
        """Speech that was for the assistant became no turn: people say it again."""
        self._until = max(self._until, at + int(self._settings.follow_up_s * S))

    def replied(self, at: int, text: str) -> None:
        """The reply to this stream's last turn is over, or was cut short; ``text`` is all of it."""
        settings = self._settings
        self._until = at + int((settings.follow_up_question_s if asks(text) else settings.follow_up_s) * S)

    def closes(self, text: str) -> bool:
        """Whether these words end the conversation; only where it would have stayed open without them."""
        return self._mode == "wakeword" and thanks(text)

    def close(self) -> None:
        """The conversation is over: the next one needs a wake word."""
        self._until = 0


def asks(text: str) -> bool:
    """Whether a reply ends with a question."""
    return bool(re.search(r"[?？][\s\"'”’」』)）*_]*$", text))


def thanks(text: str) -> bool:
    """Whether an utterance, as a whole, says that one is done: "thank you", 谢谢."""
    words = normalise(text)
    for _ in range(3):
        if words in CLOSING:
            return True
        before = next((word for word in _BEFORE if words.startswith(word + " ")), "")
        before = before or next((word for word in _BEFORE_ZH if words.startswith(word)), "")
        if not before:
            return False
        words = words[len(before) :].strip()
    return words in CLOSING


def unwoken(text: str, phrases: Sequence[str], called: bool = False) -> str:
    """The text without the wake phrases that it begins with. ``called``: a wake word has just been heard.

    The sound of a phrase is cut off before recognition where the engine knows its end to the sample. Of an engine that
    does not, the phrase or the end of it is still in the text: a whole phrase goes, and its last words where a comma
    or the like sets them apart ("Assistant, what do you see?"), or where nothing else was said after a call; "house
    lights on" stays as it is after "okay house".
    """
    longest = sorted(phrases, key=len, reverse=True)
    while True:
        shorter = next((rest for phrase in longest if (rest := _without(text, phrase, called)) is not None), None)
        if shorter is None:
            return text
        text = shorter


def _without(text: str, phrase: str, called: bool) -> str | None:
    """What follows the phrase, or the last part of it and a mark of punctuation (or, after a call, nothing); None where
    neither begins the text."""
    units = _units(phrase)
    for first in range(len(units)):
        part = r"\s*(?:[,，.。!！、:：?？]|$)" if called else r"\s*[,，.。!！、:：?？]"
        end = r"(?!\w)" if first == 0 and language(phrase) == "en" else "" if first == 0 else part
        pattern = r"[\W_]*" + r"[\W_]*".join(map(re.escape, units[first:])) + end + r"[\W_]*"
        if units and (found := re.match(pattern, text, re.IGNORECASE)):
            return text[found.end() :]
    return None


def _units(phrase: str) -> list[str]:
    """Words, and of Chinese characters each by itself: recognisers put blanks between them or do not."""
    return [unit for unit in re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+(?:['’-]\w+)*", phrase) if unit]
