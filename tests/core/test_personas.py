"""The tables of personas and sentences are whole: each entry in both languages."""

import re
from typing import get_args

import pytest

from assistant.core import personas
from assistant.core.commands import match
from assistant.core.speech import language, speakable
from assistant.messages import Unseen


@pytest.mark.parametrize("name", personas.PERSONAS)
def test_a_persona_speaks_both_languages_and_admits_what_it_cannot_tell(name: str) -> None:
    persona = personas.PERSONAS[name]
    for code, honest in (("en", "cannot tell"), ("zh", "看不出来")):
        assert language(persona.system[code]) == code
        assert len(persona.examples[code]) == 2
        assert any(honest in answer for _, answer in persona.examples[code])
        assert all(language(text) == code for pair in persona.examples[code] for text in pair)


@pytest.mark.parametrize("key", personas.SAYINGS)
def test_a_saying_can_be_said_in_both_languages(key: str) -> None:
    for code in ("en", "zh"):
        said = personas.say(key, code)
        assert language(said) == code
        assert speakable(said) == said
    assert personas.say(key, "fr") == personas.say(key, "en")


def test_there_is_a_sentence_for_each_reason_not_to_see() -> None:
    reasons = get_args(Unseen.__annotations__["why"])
    assert len({personas.unseen(why, "en") for why in reasons}) == len(reasons) == 10


def test_sampling() -> None:
    table = {name: (preset.temperature, preset.top_p) for name, preset in personas.SAMPLING.items()}
    assert table == {"greedy": (0.0, 1.0), "factual": (0.3, 0.9), "creative": (0.8, 0.95), "code": (0.5, 0.85)}


def test_presets_are_questions_eight_a_language() -> None:
    assert [language(question) for question in personas.PRESETS] == ["en"] * 8 + ["zh"] * 8
    assert len(set(personas.PRESETS)) == 16
    assert all(re.search(r"[?？]$", question) and match(question) is None for question in personas.PRESETS)
