"""Words with which somebody listens, and words with which somebody stops another: English and Chinese."""

import re
import unicodedata
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["nothing", "backchannel", "stop", "words"]

# Said while another speaks, so that they go on. The longest that fits is taken.
_BACKCHANNELS = (
    "mm hmm|mm hm|mhm|mm|hmm|hm|m hm|uh huh|aha|ah|oh|ooh|uh|um|er|okay|ok|k|yeah|yep|yup|yes|ya|right|sure|i see"
    "|got it|of course|exactly|indeed|true|wow|cool|nice|good|great|fine|all right|alright|really|very good"
    "|嗯|嗯嗯|唔|哦|噢|喔|啊|哎|诶|呃|好|好的|好啊|好吧|行|对|对的|对对|对啊|是|是的|是啊|是吗|没错|明白|明白了|知道了"
    "|了解|懂了|可以|当然|原来如此|这样啊|真的|真的吗|不错"
)
# Said so that another stops, alone or with more after them.
_STOPS = (
    "stop|wait|hold on|hang on|shut up|be quiet|quiet|silence|enough|that's enough|pause|never mind|cancel|one moment"
    "|停|停下|停下来|停止|停一下|等|等等|等一下|等下|等一等|别说了|别讲了|不要说了|不要讲了|闭嘴|安静|够了|住口|住嘴|打住|暂停"
    "|取消"
)
# May stand before a stop word.
_CALLS = "hey|hey assistant|assistant|no|no no|please|but|so|and|喂|嘿|请|不|不不|你|助手"
BACKCHANNELS, STOPS, CALLS = (frozenset(words.split("|")) for words in (_BACKCHANNELS, _STOPS, _CALLS))
_LONGEST = 5  # tokens of the longest of all these

_TOKEN = re.compile(r"[a-z']+|[0-9]+|[㐀-䶿一-鿿]")


def tokens(text: str) -> list[str]:
    """English words and single Chinese characters, without case and punctuation."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower().replace("’", "'"))


def kind(text: str) -> Kind:
    """What somebody who says this over a reply wants: nothing that was understood, that it goes on, that it stops, or
    to say something. What begins as a backchannel and goes on is words."""
    said = tokens(text)
    if not said:
        return "nothing"
    rest = _without(said, BACKCHANNELS)
    if not rest:
        return "backchannel"
    return "stop" if _longest(rest, STOPS) or _longest(_without(said, BACKCHANNELS | CALLS), STOPS) else "words"


def _without(said: list[str], phrases: frozenset[str]) -> list[str]:
    """What is left when all of these are taken from the beginning."""
    at = 0
    while length := _longest(said[at:], phrases):
        at += length
    return said[at:]


def _longest(said: list[str], phrases: frozenset[str]) -> int:
    """How many tokens the longest of these phrases takes at the beginning, 0 if none stands there."""
    for length in range(min(_LONGEST, len(said)), 0, -1):
        if _joined(said[:length]) in phrases:
            return length
    return 0


def _joined(said: list[str]) -> str:
    return "".join(said) if not said[0].isascii() else " ".join(said)
