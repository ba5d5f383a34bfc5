"""The engine on a tiny random model: events, counts, stopping, sampling, errors, and what its caches hold."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import llm
from pipelines.engine import EngineError
from pipelines.llm import Ended, Message, Picture, Prefilled, PromptTooLong, Sampling, Token
from pipelines.llm.onnx import Engine, Options
from tests.pipelines.modelfolder import tiny

GREEDY = Sampling(max_tokens=8)
HELLO = (Message("user", ("what color is the ball",)),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("model"))


@pytest.fixture
def engine(folder: Path) -> Engine:
    return Engine(Options(model=str(folder), chunk=5))


def picture(identity: str, width: int = 32, rows: int = 4) -> Picture:
    random = np.random.default_rng(sum(map(ord, identity)))
    return Picture(identity, random.standard_normal((rows, width)).astype(np.float32))


def run(engine: Engine, talk: Sequence[Message], sampling: Sampling = GREEDY, owner: str = "live") -> tuple[str, Ended]:
    events = list(engine.reply(talk, sampling, owner))
    ended = events[-1]
    assert isinstance(ended, Ended)
    return "".join(event.text for event in events if isinstance(event, Token)), ended


def generated(engine: Engine, talk: Sequence[Message], owner: str = "live") -> list[int]:
    """The tokens behind the prompt in the owner's slot."""
    cells = next(slot.cells for slot in engine._caches.slots if slot.owner == owner)
    return [cell for cell in cells[engine.count(talk) :] if isinstance(cell, int)]


def check_slots(engine: Engine) -> None:
    for slot in engine._caches.slots:
        assert len(slot.cells) == slot.kv.length
        assert all(tensor.shape()[2] == slot.kv.length for tensor in slot.kv.tensors)


def test_it_is_a_language_model(folder: Path) -> None:
    model = llm.load("onnx", {"model": str(folder), "slots": 3, "context": 100, "live_pictures": 1})
    able = llm.Capabilities(wants="embeddings", width=32, context=100, slots=3, ahead="pictures", continues="pictures")
    assert model.capabilities == able


def test_events_come_in_order_and_counts_are_exact(engine: Engine) -> None:
    talk = (Message("system", ("be brief",)), Message("user", (picture("a"), "what color is the ball")))
    total = engine.count(talk)
    events = list(engine.reply(talk, GREEDY))
    prefilled = [event for event in events if isinstance(event, Prefilled)]
    assert events[: len(prefilled)] == prefilled
    assert [event.done for event in prefilled] == [*range(5, total, 5), total]
    assert all(event.total == total for event in prefilled)
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert all(isinstance(event, Token) and event.text for event in events[len(prefilled) : -1])
    assert (ended.prompt_tokens, ended.cached_tokens, ended.completion_tokens) == (total, 0, 8)
    assert ended.reason == "length"
    assert ended.prefill_ms > 0
    assert ended.decode_ms > 0
    check_slots(engine)


def test_the_same_again_computes_one_token(engine: Engine) -> None:
    first, before = run(engine, HELLO)
    again, ended = run(engine, HELLO)
    assert again == first
    assert ended.cached_tokens == before.prompt_tokens - 1


def test_history_and_pictures_are_taken_from_the_cache(engine: Engine) -> None:
    talk = [Message("user", (picture("a"), "what is this"))]
    _, first = run(engine, talk)
    talk += [Message("assistant", ("a red ball",)), Message("user", ("and now",))]
    _, second = run(engine, talk)
    assert second.cached_tokens >= first.prompt_tokens
    talk[0] = Message("user", (picture("b"), "what is this"))
    _, third = run(engine, talk)
    assert third.cached_tokens == 1  # <|user|>; the picture behind it is another


def test_prefill_makes_the_reply_cheap(engine: Engine) -> None:
    talk = (Message("system", ("be brief",)), Message("user", (picture("a"),)))
    done = list(engine.prefill(talk))
    assert done[-1].done == done[-1].total == engine.count(talk) - 1  # no generation prompt
    question = (talk[0], Message("user", (picture("a"), "what color is the ball")))
    _, ended = run(engine, question)
    assert ended.cached_tokens == done[-1].total - 1  # all but <|end|>
    cells = list(engine._caches.slots[0].cells)
    assert list(engine.prefill(question)) == []
    assert engine._caches.slots[0].cells == cells  # nothing to compute: the longer cache stays
    check_slots(engine)


def test_an_end_token_stops_and_stands_in_the_cache(folder: Path, tmp_path: Path, engine: Engine) -> None:
    run(engine, HELLO)
    tokens = generated(engine, HELLO)
    end = next(token for at, token in enumerate(tokens) if at > 1 and token not in tokens[:at])
    ending = tiny.make(tmp_path / "ending")
    (ending / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, end]}))
    other = Engine(Options(model=str(ending)))
    text, ended = run(other, HELLO)
    assert ended.reason == "stop"
    assert ended.completion_tokens == tokens.index(end) + 1
    assert generated(other, HELLO) == tokens[: tokens.index(end) + 1]
    assert text == other._prompts.tokens.decode(tokens[: tokens.index(end)]).rstrip("\ufffd").lstrip()
    check_slots(other)


def test_a_template_may_open_a_thought(tmp_path: Path) -> None:
    """Nothing is answered before its end, which this model does not find; what it computed is counted."""
    thinking = tiny.make(tmp_path / "thinking")
    template = thinking / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|assistant|>{%- endif", "<|assistant|><think>\n{%- endif"))
    made = Engine(Options(model=str(thinking)))
    events = list(made.reply(HELLO, GREEDY))
    assert sum(isinstance(event, llm.Thought) for event in events) == 8
    text, ended = run(made, HELLO)
    assert (text, ended.completion_tokens, ended.reason) == ("", 8, "length")


def test_stop_strings_end_the_reply(engine: Engine) -> None:
    whole, _ = run(engine, HELLO, Sampling(max_tokens=40))
    stop = whole[9:12]
    text, ended = run(engine, HELLO, Sampling(max_tokens=40, stop=("never there", stop)))
    assert text == whole[: whole.index(stop)]
    assert ended.reason == "stop"
    check_slots(engine)


def test_the_first_character_of_a_reply_is_visible(engine: Engine) -> None:
    for start in range(40):
        text, _ = run(engine, (Message("user", (str(start),)),), Sampling(max_tokens=3, temperature=2.0, seed=start))
        assert text == text.lstrip()


def test_sampling_repeats_with_a_seed(engine: Engine) -> None:
    def drawn(seed: int | None) -> str:
        return run(engine, HELLO, Sampling(temperature=1.5, top_k=50, top_p=0.95, seed=seed, max_tokens=12))[0]

    assert drawn(4) == drawn(4)
    assert len({drawn(seed) for seed in range(4)}) == 4
    assert drawn(None) != drawn(None)


def test_the_repetition_penalty_counts_prompt_and_reply(engine: Engine) -> None:
    sampling = Sampling(repetition_penalty=1000.0, max_tokens=30)
    run(engine, HELLO, sampling)
    tokens = generated(engine, HELLO)
    assert len(set(tokens)) == len(tokens) == 30
    assert not set(tokens) & {cell for cell in engine._prompts.cells(HELLO, generate=True) if isinstance(cell, int)}


def test_a_full_context_ends_the_reply(folder: Path) -> None:
    tight = Engine(Options(model=str(folder), context=20))
    total = tight.count(HELLO)
    _, ended = run(tight, HELLO, Sampling(max_tokens=100))
    assert ended.reason == "context"
    assert total + ended.completion_tokens == 20
    check_slots(tight)
    _, ended = run(tight, HELLO, Sampling(max_tokens=20 - total))
    assert ended.reason == "length"


def test_a_prompt_that_leaves_no_room(folder: Path) -> None:
    talk = (Message("user", ("ball " * 300,)),)
    model = Engine(Options(model=str(folder)))
    with pytest.raises(PromptTooLong, match=rf"the prompt has {model.count(talk)} tokens.* context of 256"):
        model.reply(talk, GREEDY)
    with pytest.raises(PromptTooLong):
        model.prefill(talk)
    with pytest.raises(EngineError, match=r"context is 300, but .* allows 256 tokens at most"):
        Engine(Options(model=str(folder), context=300))


@pytest.mark.parametrize(
    ("pictures", "complaint"),
    [
        ([picture("a", width=40)], "rows are 40 wide, but the decoder of .* is 32 wide"),
        ([picture("a", rows=5)], "has 5 rows, but a grid of 0x0 tiles makes 4"),
        ([Picture("a")], "'a' comes without embedding rows"),
        ([picture("a"), picture("b"), picture("c")], "holds 3 pictures, but live_pictures is 2"),
    ],
)
def test_pictures_that_do_not_suit(engine: Engine, pictures: list[Picture], complaint: str) -> None:
    with pytest.raises(EngineError, match=complaint):
        engine.reply((Message("user", (*pictures, "what")),), GREEDY)


def test_a_conversation_of_nothing(engine: Engine) -> None:
    with pytest.raises(EngineError, match="makes nothing of this conversation"):
        engine.prefill(())
    assert run(engine, ())[1].prompt_tokens == 1  # <|assistant|>


def test_typed_control_words_are_text(engine: Engine) -> None:
    talk = (Message("user", (picture("a"), "<image><|end|>", "<|ass", "istant|>ball")),)
    cells = engine._prompts.cells(talk, generate=True)
    control = engine._prompts.tokens.control
    steering = [cell for cell in cells if cell in control.values()]
    assert steering == [control["<|user|>"], control["<|end|>"], control["<|assistant|>"]]
    assert [cell for cell in cells if not isinstance(cell, int)] == [("a", row) for row in range(4)]


def test_counting_is_remembered(engine: Engine) -> None:
    talk = (Message("user", (picture("a"), "what is this")),)
    assert engine.count(talk) == engine.count((Message("user", (Picture("a"), "what is this")),))
    assert engine._prompts.cells(talk, True) is engine._prompts.cells(list(talk), True)
    for number in range(100):
        engine.count((Message("user", (str(number),)),))
    assert len(engine._prompts._cells) <= 32


@pytest.mark.parametrize("stop_at", range(7))
def test_a_closed_run_leaves_a_valid_slot(folder: Path, stop_at: int) -> None:
    talk = (Message("user", (picture("a"), "what color is the ball")),)
    expected = run(Engine(Options(model=str(folder))), talk, Sampling(max_tokens=12))[0]
    engine = Engine(Options(model=str(folder), chunk=5))
    events = engine.reply(talk, Sampling(max_tokens=12))
    for _ in range(stop_at):
        next(events)
    events.close()
    check_slots(engine)
    assert run(engine, talk, Sampling(max_tokens=12))[0] == expected


def test_a_run_whose_slot_was_taken_says_so(engine: Engine) -> None:
    first = engine.reply(HELLO, GREEDY)
    next(first)
    expected = run(engine, HELLO)
    with pytest.raises(EngineError, match="another run"):
        list(first)
    assert run(engine, HELLO)[0] == expected[0]
    check_slots(engine)


def test_others_leave_the_live_slot_alone(engine: Engine) -> None:
    _, first = run(engine, HELLO)
    for number in range(4):
        run(engine, (Message("system", (str(number),)), *HELLO), owner=f"client {number}")
    _, again = run(engine, HELLO)
    assert again.cached_tokens == first.prompt_tokens - 1


def test_another_owner_copies_a_longer_prefix(engine: Engine) -> None:
    text, first = run(engine, HELLO)
    copied, second = run(engine, HELLO, owner="client")
    assert (copied, second.cached_tokens) == (text, first.prompt_tokens - 1)
    assert {slot.owner for slot in engine._caches.slots} == {"live", "client"}
    check_slots(engine)


VARIANTS: list[dict[str, Any]] = [{"kv": "float16"}, {"positions": False}, {"kv_heads": 4}, {"suffix": "_fp16"}]


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_exports(tmp_path: Path, folder: Path, variant: dict[str, Any]) -> None:
    made = tiny.make(tmp_path / "variant", **variant)
    talk = (Message("user", (picture("a"), "what color is the ball")),)
    follow_up = (*talk, Message("assistant", ("red",)), Message("user", ("and now",)))
    engine = Engine(Options(model=str(made), chunk=3))
    run(engine, talk)
    continued, ended = run(engine, follow_up)
    assert ended.cached_tokens > 0
    assert run(Engine(Options(model=str(made))), follow_up)[0] == continued
    if variant == {"positions": False}:
        assert run(Engine(Options(model=str(folder))), follow_up)[0] == continued
