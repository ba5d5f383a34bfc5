"""Spoken and typed commands: whole utterances only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.commands import PHRASES, Command, match, normalise


@pytest.mark.parametrize("command", PHRASES)
def test_each_phrase_is_its_command(command: Command) -> None:
    for phrase in PHRASES[command]:
        said = phrase.replace("<n>", "forty percent")
        assert match(said) is command, phrase
        assert match(f"  {said.upper()}. ") is command, phrase
        assert match(f"please {said}") is command, phrase
        assert normalise(said) == said, phrase


def test_no_phrase_is_two_commands() -> None:
    phrases = [phrase for each in PHRASES.values() for phrase in each]
    assert len(phrases) == len(set(phrases)) > 1000


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("Clear the conversation, please!", Command.CLEAR),
        ("请清除对话。", Command.CLEAR),
        ("清 空 对 话", Command.CLEAR),
        ("OK, stop.", Command.STOP),
        ("That’s enough!", Command.STOP),
        ("停！", Command.STOP),
        ("请停下", Command.STOP),
        ("Could you please repeat that?", Command.REPEAT),
        ("请再说一遍好吗？", Command.REPEAT),
        ("why did the machine stop", None),
        ("is there a stop sign", None),
        ("stop the red car", None),
        ("is the sky clear", None),
        ("what did you say about the lamp", None),
        ("机器为什么停下", None),
        ("停车场里有什么", None),
        ("请", None),
        ("please", None),
        ("", None),
        ("?!", None),
    ],
)
def test_match(text: str, command: Command | None) -> None:
    assert match(text) is command


@given(st.sampled_from([p for phrases in PHRASES.values() for p in phrases]))
def test_a_longer_question_is_never_a_command(phrase: str) -> None:
    assert match(f"why does the red lamp {phrase} every day") is None
    assert match(f"为什么红色的灯{phrase}每天") is None


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    assert match(text) in (None, *Command)
    assert normalise(normalise(text)) == normalise(text)
