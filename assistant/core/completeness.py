"""Are the words all that is to come? After a question people fall silent; after "what is on the" they seek a word.

Words are judged in English and Chinese, by how they end: a table of endings that want more, of fillers, of words that
are whole by themselves. What is in no table is undecided, and the endpointer waits as long as it always did; there a
detector that listens to the melody of speech has its say (``with_melody``).
"""

import re
from collections.abc import Callable
from typing import TypeAlias

SURE, LIKELY, UNDECIDED, UNLIKELY, NO = 0.95, 0.8, 0.5, 0.2, 0.05
FINISHED = 0.5  # from this probability on a melody is that of a finished turn: as Smart Turn's publisher reads it

# How likely it is, 0..1, that what was said so far is all: of its text and its language (ISO 639-1, "" unknown).
Completeness: TypeAlias = Callable[[str, str], float]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# --- English ---

_WHOLE = _set(
    "stop wait yes no yeah yep nope okay ok thanks hello hi hey help repeat mute unmute cancel continue louder quieter "
    "pause resume bye goodbye silence enough sure right correct exactly never nothing sorry please"
)
_WHOLE_PHRASE = re.compile(
    r"^(?:thank you(?: very much| so much)?|be quiet|shut up|repeat that|say that again|never mind|go on|hold on"
    r"|good (?:morning|night|evening)|turn it (?:up|down|off|on)|volume (?:up|down)|that's all|that is all"
    r"|(?:yes|no|sure) (?:i|we|it|he|she|they) [a-z']+)$"
)
_FILLER = _set("um uh uhm er erm hmm hm mm mmm eh ah")
# after these something must follow …
_WANTS = _set(
    "a an the my your his our their its every some any "
    "and or but because so if whether although though while unless until than then "
    "of at from into onto with without for between behind beside beneath under above below near toward towards "
    "during through against among to by "
    "is are was were am be been being do does did can could will would shall should may might must has have had "
    "i'm you're we're they're i'll can't won't don't doesn't didn't isn't aren't "
    "very really quite too more less which whose what's where's who's how's there's "
    "i we they he she"
)
# … except at the end of a question like these: "what can you do", "where is he", "what is it made of"
_TURNED = re.compile(
    r"^(?:(?:what|who|where|when|why|how)(?:'s| is| are| was| were) (?:he|she|they|we|it|this|that|these|those|you)"
    r"|(?:what|who|where|when|why|how)\b.* (?:you|i|we|they|he|she|it|this|that|these|those) (?:do|have|be|can|should)"
    r"|.*\b(?:what|who|where|how) (?:you|we|they|he|she|it|this|that) (?:is|are|was|were|do|did|can|have)"
    r"|(?:what|who|where)\b.* (?:made of|(?:it|this|that|used) for|(?:come|comes|it|you) from|\w+ing (?:to|at|for|with)"
    r"|belongs? to|look like))$"
)
# after these something follows more often than not: "turn on …", "what is that …"
_MAYBE = _set(
    "in on off out over up down about around that this these those you it not no me what who how why when where like "
    "well"
)
_ENDED_BY_MAYBE = re.compile(
    r"^(?:what|where|who|which|how|is|are|can|could|do|does|did|turn|switch|come|go|look|what's|who's)\b"
    r".* (?:(?!is |are |was )\w+ (?:in|on|off|out|over|up|down|about)|that|this|these|those|it|you|me)$"
)
_ASKS = _set("what where who when why how which whose is are was were do does did can could will would should has have")
# beginnings of a question or a wish, whole though they sound
_OPENING = re.compile(
    r"^(?:(?:can|could|would|will) (?:you|we|i)(?: please)?(?: tell me| show me| look| describe| say| explain)?"
    r"|(?:please )?(?:tell|show|give|read|remind|let|ask) (?:me|us)(?: about)?"
    r"|(?:i|we) (?:want|need|would like|wonder|think|mean|guess|like)(?: to)?(?: know| see| ask)?"
    r"|(?:what|how|where|when|why|who)(?: about| if| (?:is|are|was|were|do|does|did)(?: there)?)?"
    r"|(?:what|which) (?:colou?r|kind|sort|time|number|size|shape)(?: of| is| are)?"
    r"|(?:what|how|where|when|why|who) (?:do|does|did|can|could|will|would|should) (?:you|i|we|they|he|she|it|the \w+)"
    r"|(?:is|are|was|were|has|have|does|do|did|can|will|would|should) (?:the|my|your|his|her|our|their) \w+"
    r"|what(?:'s| is) (?:left|right|on top|in front)|who won"
    r"|how (?:many|much|far|long|big|old|often|high|tall|wide)(?: \w+)?"
    r"|(?:is|are|was|were) (?:there|it|this|that|they|you)(?: an?| any| some)?"
    r"|(?:hey|hi|hello|okay|ok) (?:assistant|computer)"
    r"|(?:look|look at|and|compare|describe|count))$"
)
_DESCRIBED = re.compile(
    r"\b(?:a|an) (?:very |small |big )?(?:red|green|blue|yellow|white|black|purple|orange|brown|gr[ea]y|small|big"
    r"|large|little|new|old|long|short)$"
)
_DIGIT = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d+)"
_NUMBERS = re.compile(rf"(?:^|\b(?:number|code|is|dial|call|serial) ){_DIGIT}(?: {_DIGIT})*$")

# --- Chinese ---

_ZH_WHOLE = re.compile(
    r"^(?:停|停下|停止|等等|等一下|是|是的|不是|对|不对|好|好的|好吧|不用了|不要|谢谢你?|再见|你好|继续|重复|再说一遍"
    r"|[大小]声一?点|静音|安静|闭嘴|行|可以|没有|有|没事|算了|取消|暂停)$"
)
_ZH_FILLER = re.compile(r"(?:嗯+|呃+|额+|啊这|那个|这个|就是说?|怎么说呢?|哦+|唔)$")
_ZH_WANTS = re.compile(
    r"(?:和|跟|与|或者?|还有|以及|而且|并且|但是|可是|不过|因为|所以|如果|要是|虽然|除了|然后|还是|的话|比如|例如"
    r"|把|被|给|向|往|从|对于|关于|用|让|请|帮我?|替|比|我想要?|我要|我想问|我想知道|请问|你能|能不能|可不可以|可以帮我"
    r"|告诉我|看一下|看看|你觉得|有没有|是不是|一[个只张些]|[这那][只张]|是|在|很|非常|最|更|第)$"
)
_ZH_DESCRIBED = re.compile(r"是.{1,8}的$")  # "what color is it", "it is red"
_ZH_ASKED = re.compile(
    r"(?:吗|呢|吧|么|什么|哪里|哪儿|谁|多少|几点|怎么样|怎么办|没有|几个|哪一?个|什么颜色|多[大高远长]|了)$"
)
_ZH_DIGITS = re.compile(r"(?:^|号码是|号是|码是|编号|密码)[零〇一二三四五六七八九十幺两0-9]+$")
_ZH = re.compile(r"[\u3400-\u9fff]")


def by_words(text: str, language: str) -> float:
    """``Completeness`` by the words' end. No words at all (nothing of the sound made sense so far) want more."""
    words = _plain(text)
    if not words:
        return UNLIKELY
    asked = text.rstrip()[-1] in "?？"
    return _chinese(words.replace(" ", ""), asked) if language == "zh" or _ZH.search(words) else _english(words, asked)


def with_melody(words: float | None, melody: float | None) -> float:
    """``Completeness`` by the words' probability and the melody's; None: it is not known (yet).

    Words that want more overrule any melody: read without an end in view, "what is on the" falls as a finished sentence
    does. And whoever says "stop", or was written with a question mark, is not kept waiting for it. Without words the
    melody may prolong the wait, never shorten it: nobody knows yet whether they want more."""
    if words is None:
        return UNLIKELY if melody is not None and melody < FINISHED else UNDECIDED
    if melody is None or words <= UNLIKELY or words >= SURE:
        return words
    if melody >= FINISHED:
        return max(words, LIKELY)
    return UNDECIDED if words >= LIKELY else UNLIKELY


def _english(words: str, asked: bool) -> float:
    parts = words.split()
    last = parts[-1]
    rules = (
        (words in _WHOLE or _WHOLE_PHRASE.search(words), SURE),
        (last in _FILLER, NO),
        (_TURNED.search(words), SURE if asked else LIKELY),
        (_NUMBERS.search(words) or _OPENING.search(words) or _DESCRIBED.search(words), UNLIKELY),
        (last in _WANTS, UNDECIDED if asked else NO),
        (last in _MAYBE, LIKELY if asked or _ENDED_BY_MAYBE.search(words) else UNDECIDED),
        (asked or last in _WHOLE, SURE),
        (parts[0] in _ASKS or len(parts) >= 3, LIKELY),
    )
    return next((likely for holds, likely in rules if holds), UNDECIDED)


def _chinese(words: str, asked: bool) -> float:
    rules = (
        (_ZH_WHOLE.search(words), SURE),
        (_ZH_FILLER.search(words), NO),
        (_ZH_DIGITS.search(words), UNLIKELY),
        (_ZH_WANTS.search(words), UNDECIDED if asked else NO),
        (asked or (len(words) >= 3 and _ZH_ASKED.search(words)), SURE),
        (_ZH_DESCRIBED.search(words), LIKELY),
        (words.endswith("的"), UNLIKELY),
        (len(words) >= 4, LIKELY),
    )
    return next((likely for holds, likely in rules if holds), UNDECIDED)


def _plain(text: str) -> str:
    """Lower case, apostrophes kept, no other punctuation."""
    kept = (c if c.isalnum() or c == "'" else " " for c in text.lower().replace("’", "'"))
    return " ".join("".join(kept).split())
