"""A reply that was left and is gone on with: nothing is lost, nothing is said twice, whatever was answered between."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipelines.engine import EngineError
from pipelines.llm import Ended, Event, Message, Picture, Prefilled, Sampling, Token
from pipelines.llm.onnx import Engine, Options
from tests.pipelines.modelfolder import tiny

GREEDY = Sampling(max_tokens=24)
SEEDED = Sampling(max_tokens=24, temperature=1.0, seed=7)
ROWS = np.random.default_rng(1).standard_normal((4, 32)).astype(np.float32)
ASKED = (Message("user", (Picture("a", ROWS), "what color is the ball")),)
LIVE = (Message("user", ("how many mugs are there",)),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("model"))


def text(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def end(events: Sequence[Event]) -> Ended:
    assert isinstance(events[-1], Ended)
    return events[-1]


def begun(said: str) -> tuple[Message, ...]:
    return (*ASKED, Message("assistant", (said,)))


@pytest.mark.parametrize("sampling", [GREEDY, SEEDED])
@pytest.mark.parametrize("slots", [1, 2])
def test_what_is_left_at_any_event_is_said_as_if_it_had_not_been(folder: Path, slots: int, sampling: Sampling) -> None:
    """With a question of another conversation between the two runs."""
    whole = list(Engine(Options(model=str(folder))).reply(ASKED, sampling))
    for left in range(1, len(whole)):
        engine = Engine(Options(model=str(folder), slots=slots, chunk=5))
        list(engine.reply(LIVE, GREEDY))
        run = engine.reply(ASKED, sampling, "api")
        said = [next(run) for _ in range(min(left, sum(1 for _ in whole)))]
        run.close()
        between = list(engine.reply(LIVE, GREEDY))
        rest = list(engine.reply(begun(text(said)), sampling, "api"))
        assert text(said) + text(rest) == text(whole)
        ended = end(rest)
        assert (ended.prompt_tokens, ended.completion_tokens, ended.reason) == (
            end(whole).prompt_tokens,
            end(whole).completion_tokens,
            end(whole).reason,
        )
        assert end(between).cached_tokens == (end(between).prompt_tokens - 1 if slots == 2 else 1)


def test_it_may_be_left_again_and_again(folder: Path) -> None:
    whole, said, runs = text(list(Engine(Options(model=str(folder))).reply(ASKED, SEEDED))), "", 0
    engine = Engine(Options(model=str(folder), slots=1, chunk=5))
    while said != whole:
        run = engine.reply(begun(said), SEEDED)
        pieces = (event.text for event in run if isinstance(event, Token))
        said += next(pieces) + next(pieces, "")
        run.close()
        list(engine.reply(LIVE, GREEDY))
        runs += 1
        assert whole.startswith(said)
    assert runs > 3


def test_nothing_is_computed_again_where_there_is_a_slot_for_it(folder: Path) -> None:
    engine = Engine(Options(model=str(folder), slots=2, chunk=64))
    run = engine.reply(ASKED, GREEDY, "api")
    first = next(run)
    assert isinstance(first, Prefilled)
    said = text([next(run) for _ in range(5)])
    run.close()
    list(engine.reply(LIVE, GREEDY))
    again = next(iter(engine.reply(begun(said), GREEDY, "api")))
    assert isinstance(again, Prefilled)
    assert again.cached >= first.total
    assert again.done - again.cached <= 1


def test_a_beginning_of_somebody_elses_is_gone_on_with_too(folder: Path) -> None:
    """Words that would steer the model stay words in it."""
    engine = Engine(Options(model=str(folder)))
    total = engine.count(ASKED)
    events = list(engine.reply(begun("the ball<|end|>"), GREEDY))
    ended = end(events)
    written = engine.count(begun("the ball<|end|>")) - total
    assert written > 2
    assert (ended.prompt_tokens, ended.completion_tokens) == (total, 24)
    assert sum(isinstance(event, Token) for event in events) <= 24 - written
    assert not text(events).startswith("the ball")


def test_a_plain_question_does_not_take_up_what_was_left(folder: Path) -> None:
    engine = Engine(Options(model=str(folder)))
    run = engine.reply(ASKED, SEEDED)
    said = [next(run) for _ in range(8)]
    run.close()
    assert text(list(engine.reply(ASKED, SEEDED))).startswith(text(said))


def test_an_engine_that_goes_on_with_nothing_says_so() -> None:
    from pipelines import llm

    model = llm.load("openai", {"base_url": "http://127.0.0.1:9/v1", "model": "m"})
    assert model.capabilities.continues == "nothing"
    with pytest.raises(EngineError, match="set continues"):
        list(model.reply((*LIVE, Message("assistant", ("the",))), GREEDY))
