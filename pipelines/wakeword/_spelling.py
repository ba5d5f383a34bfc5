"""A phrase in the tokens of a keyword model: characters, pieces of words, phones, or initials and finals of pinyin.

Which of them a model writes is seen from its tokens.txt, as sherpa-onnx publishes them.
"""

import re
from collections.abc import Mapping

from pipelines.engine import EngineError

SPACE = "▁"  # begins a word in pieces of words
_CJK = re.compile(r"[\u3400-\u9fff]")
_UNITS = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+(?:['’-]\w+)*")
_TONES = {"a": "āáǎà", "e": "ēéěè", "i": "īíǐì", "o": "ōóǒò", "u": "ūúǔù", "ü": "ǖǘǚǜ"}


def spelt(phrase: str, written: str, tokens: Mapping[str, int], lexicon: Mapping[str, list[str]]) -> list[str]:
    """The phrase as tokens. ``written``: how it is pronounced, where the model cannot know; tokens, or pinyin with
    tones ("xiǎo yún" or "xiao3 yun2"). Raises EngineError for what cannot be spelt."""
    units = written.split() if written else _UNITS.findall(phrase)
    if not units:
        raise EngineError(f"wakeword: the phrase {phrase!r} has no words")
    spelling: list[str] = []
    for unit in units:
        found = _pinyin(unit, tokens) if written else _unit(unit, tokens, lexicon)
        if found is None:
            raise EngineError(_cannot(phrase, unit, bool(written)))
        spelling += found
    return spelling


def _unit(unit: str, tokens: Mapping[str, int], lexicon: Mapping[str, list[str]]) -> list[str] | None:
    if _CJK.match(unit):
        return lexicon.get(unit) or next(([form] for form in (unit, SPACE + unit) if form in tokens), None)
    word = unit.replace("’", "'")
    known = next((lexicon[form] for form in (word.upper(), word.lower(), word) if form in lexicon), None)
    forms = (_pieces(SPACE + form, tokens) for form in (word.upper(), word.lower(), word))
    return known or next((form for form in forms if form is not None), None)


def _pieces(word: str, tokens: Mapping[str, int]) -> list[str] | None:
    """The word as byte-pair encoding cuts it: of all neighbours that make a token, the earliest token is joined first.
    A vocabulary lists its tokens in the order in which they were learnt."""
    if word in tokens:
        return [word]
    pieces = list(word)
    while True:
        joined = [
            (tokens[pair], at) for at in range(len(pieces) - 1) if (pair := pieces[at] + pieces[at + 1]) in tokens
        ]
        if not joined:
            return pieces if all(piece in tokens for piece in pieces) else None
        at = min(joined)[1]
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]


def _pinyin(unit: str, tokens: Mapping[str, int]) -> list[str] | None:
    """A token, or a syllable as its initial and final."""
    if unit in tokens:
        return [unit]
    syllable = _toned(unit)
    if syllable in tokens:
        return [syllable]
    cuts = ([syllable[:at], syllable[at:]] for at in (2, 1) if len(syllable) > at)
    return next((cut for cut in cuts if all(part in tokens for part in cut)), None)


def _toned(unit: str) -> str:
    """ "xiao3" as "xiǎo": the mark stands on a or e, on the o of ou, else on the last vowel."""
    found = re.fullmatch(r"([a-zü]+?)([1-5])", unit.replace("v", "ü"))
    if not found:
        return unit
    plain, tone = found[1], int(found[2])
    vowels = [at for at, letter in enumerate(plain) if letter in _TONES]
    if tone == 5 or not vowels:
        return plain
    at = next((at for at in vowels if plain[at] in "ae"), plain.find("ou") if "ou" in plain else vowels[-1])
    return plain[:at] + _TONES[plain[at]][tone - 1] + plain[at + 1 :]


def _cannot(phrase: str, unit: str, written: bool) -> str:
    if written:
        return f"wakeword: the pronunciation of {phrase!r} holds {unit!r}, which this model's tokens.txt does not spell"
    mend = "say how it sounds" if _CJK.match(unit) else "choose another word, or say how it sounds"
    example = "xiǎo yún" if _CJK.match(unit) else "HH EY1"
    return (
        f"wakeword: this model cannot spell {unit!r} in {phrase!r}; {mend}, in the tokens of its tokens.txt: "
        f'pronunciations = {{ "{phrase}" = "{example}" }}'
    )
