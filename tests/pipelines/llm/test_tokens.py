"""Tokens: text nobody can smuggle a control word through, and characters that are never cut."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from pipelines.llm._tokens import CLOSE, MARK, OPEN, RUN, Stream, Tokens
from pipelines.modelfolder import ModelFolder
from tests.pipelines.modelfolder import tiny

SMOLVLM = Path(__file__).parents[2] / "fixtures/smolvlm"
WORDS = ["<|im_start|>", "<end_of_utterance>", "<image>", "<row_1_col_1>", "<fake_token_around_image>"]


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens(ModelFolder(SMOLVLM))


@pytest.fixture(scope="module")
def reference() -> Tokenizer:
    return Tokenizer.from_file(str(SMOLVLM / "tokenizer.json"))


def prompt(tokens: Tokens, content: str) -> list[int]:
    return tokens.encode(tokens.claim(f"<|im_start|>User: {tokens.defuse(content)}<end_of_utterance>\nAssistant:"))


harmless = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
typed = st.lists(st.sampled_from([*WORDS, "<", "|", "im", "ge>", "<ima", "row_", " ", "\n", "5", "你"]), max_size=12)


@given(harmless)
def test_harmless_text_is_tokenised_as_the_reference_does(tokens: Tokens, reference: Tokenizer, content: str) -> None:
    if any(word in content for word in tokens.control) or {MARK, OPEN, CLOSE} & set(content):
        return
    plain = f"<|im_start|>User: {content}<end_of_utterance>\nAssistant:"
    assert prompt(tokens, content) == reference.encode(plain, add_special_tokens=False).ids


@given(typed)
def test_typed_control_words_stay_text(tokens: Tokens, pieces: list[str]) -> None:
    content = "".join(pieces)
    ids = prompt(tokens, content)
    controls = [id for id in ids if id in tokens.control.values()]
    assert controls == [tokens.control["<|im_start|>"], tokens.control["<end_of_utterance>"]]
    inside = ids[1 : ids.index(tokens.control["<end_of_utterance>"])]
    assert tokens.decode(inside) == f"User: {content}"


@pytest.mark.parametrize("content", [f"<ima{MARK}ge>", f"{OPEN}4{CLOSE}", f"{OPEN}run{CLOSE}", f"<{MARK}{MARK}image>"])
def test_nobody_can_type_an_alias(tokens: Tokens, content: str) -> None:
    ids = prompt(tokens, content)
    assert RUN not in ids
    assert tokens.control["<image>"] not in ids


def test_a_control_word_uncovered_by_breaking_another(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "model")
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.add_special_tokens(["[ab", "b]c"])  # in "[ab]c" both begin before the other ends
    made.save(str(folder / "tokenizer.json"))
    loaded = Tokens(ModelFolder(folder))
    ids = loaded.encode(loaded.claim(loaded.defuse("[ab]c")))
    assert not set(ids) & set(loaded.control.values())
    assert loaded.decode(ids) == "[ab]c"


def test_a_broken_locale_does_no_harm(tokens: Tokens) -> None:
    assert tokens.decode(prompt(tokens, "caf\udce9")).startswith("User: caf?")


def test_aliases_take_up_spaces_as_the_words_do(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SMOLVLM, tmp_path / "model"))
    content = json.loads((folder / "tokenizer.json").read_text())
    for token in content["added_tokens"]:
        token["rstrip"] = token["content"] == "<|im_start|>"
        token["lstrip"] = token["content"] == "<end_of_utterance>"
    (folder / "tokenizer.json").write_text(json.dumps(content))
    made, reference = Tokens(ModelFolder(folder)), Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = "<|im_start|>  User: it \n <end_of_utterance>"
    assert made.encode(made.claim(text)) == reference.encode(text, add_special_tokens=False).ids


@given(st.lists(st.integers(43, 363), max_size=40))
def test_streamed_text_is_the_whole_text(tokens: Tokens, ids: list[int]) -> None:
    stream = Stream(tokens)
    pieces = [stream.add(id) for id in ids]
    whole = tokens.decode(ids)
    assert "".join(pieces) + stream.rest() == whole.rstrip("\ufffd") or "\ufffd" in whole


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_characters_are_never_cut(tokens: Tokens, text: str) -> None:
    ids = tokens.encode(tokens.defuse(text))
    stream = Stream(tokens)
    shown = ""
    for id in ids:
        shown += stream.add(id)
        assert tokens.decode(ids).startswith(shown)
    assert (shown + stream.rest()).rstrip("\ufffd") == tokens.decode(ids).rstrip("\ufffd")


def test_a_character_of_several_tokens_comes_at_once(tokens: Tokens) -> None:
    ids = tokens.encode("🙂é")
    assert len(ids) > 2
    stream = Stream(tokens)
    pieces = [stream.add(id) for id in ids]
    assert [piece for piece in pieces if piece] == ["🙂", "é"]
    cut = Stream(tokens)
    assert [cut.add(id) for id in ids[:-1]][-1] == ""
    assert cut.rest() == ""


def test_byte_fallback_and_leading_spaces(tmp_path: Path) -> None:
    """As in Llama's tokenizers: words carry their space in front, unknown characters are bytes."""
    folder = tiny.make(tmp_path / "model")
    words = ["<unk>", "<image>", "▁the", "▁ball", "s"] + [f"<0x{byte:02X}>" for byte in range(256)]
    model = models.BPE(
        vocab={word: id for id, word in enumerate(words)}, merges=[], unk_token="<unk>", byte_fallback=True
    )
    made = Tokenizer(model)
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(steps)
    made.add_special_tokens([AddedToken("<image>", special=True)])
    made.save(str(folder / "tokenizer.json"))
    loaded = Tokens(ModelFolder(folder))
    euro = [words.index(f"<0x{byte:02X}>") for byte in "€".encode()]
    stream = Stream(loaded)
    assert [stream.add(id) for id in [2, 3, *euro, 4]] == ["the", " ball", "", "", "€", "s"]
