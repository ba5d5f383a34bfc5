"""What of a model's text can be said aloud, and in which language."""

import re
import unicodedata

LINK = {"en": "link", "zh": "链接"}  # said in place of an address, which nobody wants to hear spelt

_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]")
_URL = r"(?:https?://|ftp://|www\.)[^\s<>\"'`|，。！？；、）】》]*[^\s<>\"'`|，。！？；、）】》.,!?;:)\]*_]"
_MARK = r"[*_~`\"'“”‘’()\[\]]"
_WORD = r"[^\W_]"  # no underline: it is a mark

# (what, by what), applied in this order. LINK stands for the word of the sentence's language.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.MULTILINE | re.IGNORECASE), by)
    for pattern, by in (
        (r"<think>(?:(?!</think>)[\s\S])*(?:</think>|\Z)", " "),  # what was thought was not said
        (r"^(```|~~~)[\s\S]*?(?:^\1[`~]*[ \t]*$|\Z)", " "),  # code is for the eye
        (r"```[\s\S]*?(?:```|\Z)", " "),
        (r"<\|[^<>\n]*?\|>|<[|｜][^<>\n]*?[|｜]>", " "),  # special tokens that a model spelt out
        (r"!\[([^\]\n]*)\]\([^)\n]*\)", r"\1"),
        (r"\[([^\]\n]+)\]\([^)\n]*\)", r"\1"),
        (rf"<?{_URL}>?", " LINK "),
        (r"</?[a-z][\w-]*(?:\s[^<>\n]*)?/?>", " "),
        (r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$", " "),  # rulers, of tables too
        (r"^[ \t]*(?:[*_=][ \t]*){3,}$", " "),
        (r"^[ \t]*\|(.*?)\|?[ \t]*$", r"\1"),
        (r"[ \t]*\|[ \t]*", ", "),
        (r"^[ \t]*(?:>[ \t]*)+", ""),
        (r"^[ \t]*#{1,6}(?:[ \t]+|$)", ""),
        (r"^[ \t]*[-*+•‣◦·–][ \t]+(?:\[[ x]\][ \t]+)?", ""),
        (r"`+([^`\n]*)`+", r"\1"),
        (r"(?:\*\*|__|~~)", ""),
        (rf"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?!\*|{_WORD})", r"\1"),
        (r"(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)", r"\1"),
        (r"(?:^|(?<=\s))\*+(?=\w)|(?<=\w)\*+(?=\s|$)", ""),  # the half of a pair that a sentence border cut
    )
)


def language(text: str) -> str:
    """ "zh" if there is a CJK character in it, else "en"."""
    return "zh" if _CJK.search(text) else "en"


def speakable(text: str) -> str:
    """The text without markdown, addresses, emoji, control characters, thoughts and special tokens; numbers, units
    and punctuation stay. "" if nothing is left that has a sound."""
    word = LINK[language(text)]
    for pattern, by in _RULES:
        text = pattern.sub(by.replace("LINK", word), text)
    text = " ".join("".join(_audible(char) for char in text).split())
    text = re.sub(r"\s+([,.!?;:，。！？；：])", r"\1", text).strip(", ") if text else ""
    return text if any(char.isalnum() for char in text) else ""


def _audible(char: str) -> str:
    """The character, or what stands for it."""
    category = unicodedata.category(char)
    if category in ("Cc", "Zl", "Zp", "Zs"):
        return " "
    if category in ("Cf", "Co", "Cs", "Cn", "Me"):
        return ""
    if (category == "So" and ord(char) >= 0x2190) or 0xFE00 <= ord(char) <= 0xFE0F or 0x1F3FB <= ord(char) <= 0x1F3FF:
        return ""  # emoji and dingbats; ° and ℃ lie below
    return char
