"""How phrases are spelt in the tokens of keyword models."""

import pytest

from pipelines.engine import EngineError
from pipelines.wakeword._spelling import spelt

# In the order in which they were learnt, as vocabularies of byte-pair encoding list them.
PIECES = {
    token: index for index, token in enumerate(["▁", *"AEHISTNYM", "▁A", "▁AS", "IS", "TA", "▁H", "EY", "▁HEY", "NT"])
}
PINYIN = {token: index for index, token in enumerate(["x", "iǎo", "y", "ún", "b", "ái", "ài", "t", "óng", "xué"])}
PHONES = {token: index for index, token in enumerate(["HH", "EY1", "S", "AH0", "x", "iǎo"])}


@pytest.mark.parametrize(
    ("phrase", "written", "tokens", "spelling"),
    [
        ("hey", "", PIECES, "▁HEY"),
        ("Hey assist a man", "", PIECES, "▁HEY ▁AS S IS T ▁A ▁ M A N"),
        ("小 云", "", {"小": 0, "云": 1}, "小 云"),
        ("小云", "", {"▁小": 0, "云": 1}, "▁小 云"),
        ("小云", "xiǎo yún", PINYIN, "x iǎo y ún"),
        ("小云", "xiao3 yun2", PINYIN, "x iǎo y ún"),
        ("小白", "x iǎo b ái", PINYIN, "x iǎo b ái"),
        ("爱同学", "ai4 tong2 xue2", PINYIN, "ài t óng xué"),
        ("hey 小", "HH EY1 xiao3", PHONES, "HH EY1 x iǎo"),
    ],
)
def test_spellings(phrase: str, written: str, tokens: dict[str, int], spelling: str) -> None:
    assert spelt(phrase, written, tokens, {}) == spelling.split()


def test_a_lexicon_knows_words() -> None:
    assert spelt("hey", "", PHONES, {"HEY": ["HH", "EY1"]}) == ["HH", "EY1"]


@pytest.mark.parametrize(
    ("phrase", "written", "tokens", "words"),
    [
        ("hey zoo", "", PIECES, "cannot spell 'zoo' in 'hey zoo'; choose another word"),
        ("小云", "", PINYIN, 'cannot spell .小. in .小云.; say how it sounds.* = { "小云" = "xiǎo yún" }'),
        ("小云", "xiao3 foo4", PINYIN, "the pronunciation of '小云' holds 'foo4'"),
        ("?!", "", PIECES, "has no words"),
    ],
)
def test_what_cannot_be_spelt_is_named(phrase: str, written: str, tokens: dict[str, int], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        spelt(phrase, written, tokens, {})
