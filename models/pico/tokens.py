"""The tokenizer and the chat template: byte-level BPE in which every word of the toy world is one token.

Whatever else is typed falls apart into letters or bytes, so nothing is ever unknown.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from models.pico.dialogue import (
    COLOR_ZH,
    COUNTS_ZH,
    KIND_ZH,
    LANGUAGES,
    NUMBERS,
    OLD_PICTURE,
    QUESTIONS,
    SAYINGS,
    SIDE_ZH,
    Question,
    ask,
)  # fmt: skip
from models.pico.talk import draw
from models.pico.world import COLORS, KINDS

PAD, END, USER, ASSISTANT, IMAGE = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<image>"
SPECIAL = (PAD, END, USER, ASSISTANT, IMAGE)
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ '<|user|>' if message['role'] == 'user' else '<|assistant|>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|end|>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def _sentences() -> Iterator[str]:
    """Every question in every form with every filling, and enough conversations to hold every answer."""
    for topic, forms in QUESTIONS.items():
        for language in LANGUAGES:
            for form in range(len(forms[language])):
                for number, kind in enumerate(KINDS * 2):
                    for side in ("left", "right"):
                        text = ask(Question(topic, kind, COLORS[number % len(COLORS)], side), language, form)
                        yield text
                        yield text[0].upper() + text[1:]
    for sayings in SAYINGS.values():
        yield from sayings.values()
    for old in OLD_PICTURE.values():
        yield from [old.format(time="10:00")] * 5
    yield from (f" {word}" for word in (*NUMBERS["en"], *KINDS, *COLORS))
    yield from (*NUMBERS["zh"], *COUNTS_ZH, *KIND_ZH.values(), *COLOR_ZH.values())
    for seed in range(3000):
        for turn in draw(random.Random(seed)).turns:
            yield turn.answer
            if "foreign" not in turn.types:
                yield turn.text


def make() -> Tokenizer:
    """Train the tokenizer; the same words give the same tokens every time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]|\d"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000, min_frequency=3, special_tokens=list(SPECIAL), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(_sentences(), trainer)
    for word in (*(f" {w}" for w in (*KINDS, *COLORS, *NUMBERS["en"])), *NUMBERS["zh"]):
        if len(tokenizer.encode(word).ids) != 1:
            raise ValueError(f"not one token: {word!r}")
    return tokenizer


def load(path: Path) -> Tokenizer:
    """The tokenizer at `path`; made and kept there first if there is none, for weights fit one tokenizer only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        make().save(str(path))
    return Tokenizer.from_file(str(path))


def number(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that must exist."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer has no {token}")
    return int(found)


def word_ids(tokenizer: Tokenizer) -> dict[str, list[list[int]]]:
    """For kinds, colours and numbers: the tokens [English, Chinese] that mean each; the first character in Chinese."""

    def ids(english: str, chinese: str) -> list[int]:
        return [tokenizer.encode(f" {english}").ids[0], tokenizer.encode(chinese[0]).ids[0]]

    return {
        "kind": [ids(kind, KIND_ZH[kind]) for kind in KINDS],
        "color": [ids(color, COLOR_ZH[color]) for color in COLORS],
        "side": [ids(side, chinese) for side, chinese in SIDE_ZH.items()],
        "lamp": [ids("red", COLOR_ZH["red"]), ids("green", COLOR_ZH["green"]), ids("off", "没")],
        "number": [ids(a, b) for a, b in zip(NUMBERS["en"], NUMBERS["zh"], strict=True)],
    }
