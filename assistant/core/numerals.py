"""Numbers as words, in English and Chinese: said, and found in what was said."""

import re

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth",
}  # fmt: skip
_DIGITS_ZH = "零一二三四五六七八九"
SMALL = 10  # a level up to here without "percent" is of ten: "volume five"


def english(number: int) -> str:
    """0 to 999 in words."""
    if number >= 100:
        rest = f" and {english(number % 100)}" if number % 100 else ""
        return f"{_ONES[number // 100]} hundred{rest}"
    if number < 20:
        return _ONES[number]
    return _TENS[number // 10 - 2] + (f"-{_ONES[number % 10]}" if number % 10 else "")


def ordinal(number: int) -> str:
    """The first to the ninety-ninth, in English."""
    head, dash, last = english(number).rpartition("-")
    return head + dash + _ORDINALS.get(last, f"{last}th")


def english_year(year: int) -> str:
    """As years are said: 2026 is twenty twenty-six, 2005 two thousand and five. From 1100 to 2999."""
    century, rest = divmod(year, 100)
    if century % 10 == 0 and rest < 10:
        return f"{english(century // 10)} thousand" + (f" and {english(rest)}" if rest else "")
    if rest == 0:
        return f"{english(century)} hundred"
    return f"{english(century)} {'oh ' if rest < 10 else ''}{english(rest)}"


def chinese(number: int) -> str:
    """0 to 999 in words."""
    if number >= 100:
        rest = number % 100
        tail = "" if not rest else "零" + _DIGITS_ZH[rest] if rest < 10 else _DIGITS_ZH[rest // 10] + _zh_tens(rest)
        return f"{_DIGITS_ZH[number // 100]}百{tail}"
    if number < 10:
        return _DIGITS_ZH[number]
    return ("" if number < 20 else _DIGITS_ZH[number // 10]) + _zh_tens(number)


def _zh_tens(number: int) -> str:
    return "十" + (_DIGITS_ZH[number % 10] if number % 10 else "")


def chinese_count(number: int) -> str:
    """As before a measure word: two is 两."""
    return "两" if number == 2 else chinese(number)


def chinese_digits(number: int) -> str:
    """Digit by digit, as years are said."""
    return "".join(_DIGITS_ZH[int(digit)] for digit in str(number))


_EN = {english(number).replace("-", " "): number for number in range(101)} | {"a hundred": 100, "hundred": 100}
_ZH = {chinese(number): number for number in range(101)} | {"两": 2, "百": 100}
_PARTS = {
    **dict.fromkeys(("half", "the half", "一半", "中间", "适中", "medium"), 50),
    **dict.fromkeys(("maximum", "the maximum", "max", "full", "最大", "最高", "最响"), 100),
    **dict.fromkeys(("minimum", "the minimum", "min", "最小", "最低", "最轻"), 10),  # never silent
}


def _choice(words: dict[str, int]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_LEVEL = re.compile(
    rf"(?<![a-z0-9])(?:(?P<part>{_choice({w: n for w, n in _PARTS.items() if w.isascii()})})"
    rf"|(?P<en>\d{{1,3}}|{_choice(_EN)})(?P<percent> percent| per cent)?)(?![a-z0-9])"
    rf"|(?P<part_zh>{_choice({w: n for w, n in _PARTS.items() if not w.isascii()})})"
    rf"|百分之(?P<zh>\d{{1,3}}|{_choice(_ZH)})"
    rf"|(?P<tenth>{_choice(_ZH)})成"
    rf"|(?P<zh_plain>{_choice(_ZH)})"
)
_BESIDE_CJK = re.compile(r"(?<=[\u3400-\u9fff]) | (?=[\u3400-\u9fff])")


def level(text: str) -> tuple[str, float] | None:
    """The one level that a normalised text names, 0..1, and the text with ``<n>`` in its place; None for none or
    several. Numbers up to ten without "percent" are of ten."""
    found = list(_LEVEL.finditer(text))
    if len(found) != 1:
        return None
    match = found[0]
    if part := match["part"] or match["part_zh"]:
        value = _PARTS[part]
    elif match["zh"]:
        value = _number(match["zh"])
    elif match["tenth"]:
        value = _ZH[match["tenth"]] * 10
    else:
        value = _number(match["en"] or match["zh_plain"])
        value *= 1 if match["percent"] or value > SMALL else 10
    named = f"{text[: match.start()]} <n> {text[match.end() :]}"
    return _BESIDE_CJK.sub("", " ".join(named.split())), min(1.0, value / 100)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else _EN.get(text, _ZH.get(text, 0))
