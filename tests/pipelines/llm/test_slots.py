"""Whatever happened before in whichever slot, a reply is the one that a fresh engine gives."""

from collections.abc import Generator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.llm import Ended, Event, Message, Picture, Prefilled, Sampling, Token
from pipelines.llm.onnx import Engine, Options
from tests.pipelines.modelfolder import tiny

SAMPLING = Sampling(max_tokens=5)
PICTURES = {
    name: Picture(name, np.random.default_rng(seed).standard_normal((4, 32)).astype(np.float32))
    for seed, name in enumerate("ab")
}
Described = tuple[tuple[str, ...], ...]  # what user and assistant say in turn


@cache
def folder() -> Path:
    return tiny.make(Path(mkdtemp(prefix="tiny-")))


@cache
def fresh(described: Described) -> str:
    """What an engine that has seen nothing else replies."""
    events = Engine(Options(model=str(folder()), slots=1)).reply(talk(described), SAMPLING)
    return "".join(event.text for event in events if isinstance(event, Token))


def talk(described: Described) -> list[Message]:
    return [
        Message("assistant" if turn % 2 else "user", tuple(PICTURES.get(part, part) for part in parts))
        for turn, parts in enumerate(described)
    ]


part = st.sampled_from(["a", "b", "ball", "red <image>", "the mugs"])
# At most one picture in a message, and two messages by the user: no more than may be live.
parts = (
    st.lists(part, min_size=1, max_size=2).filter(lambda chosen: sum(one in PICTURES for one in chosen) < 2).map(tuple)
)
text = st.tuples(st.sampled_from(["red", "the ball is red"]))
conversation = st.one_of(st.tuples(parts), st.tuples(parts, text, parts))
step = st.tuples(
    st.sampled_from(["reply", "reply", "prefill"]),
    conversation,
    st.sampled_from(["live", "live", "x", "y"]),
    st.one_of(st.none(), st.integers(0, 6)),  # after how many events the run is closed
)


@settings(max_examples=60, deadline=None)
@given(st.lists(step, min_size=2, max_size=6), st.integers(1, 3), st.integers(1, 9))
def test_replies_do_not_depend_on_what_is_cached(
    steps: list[tuple[str, Described, str, int | None]], slots: int, chunk: int
) -> None:
    engine = Engine(Options(model=str(folder()), slots=slots, chunk=chunk))
    for kind, described, owner, close_after in steps:
        messages = talk(described)
        run: Generator[Event, None, None] | Generator[Prefilled, None, None] = (
            engine.reply(messages, SAMPLING, owner) if kind == "reply" else engine.prefill(messages, owner)
        )
        events: list[Event] = []
        for event in run:
            events.append(event)
            if close_after is not None and len(events) > close_after:
                break
        run.close()
        if events and isinstance(events[-1], Ended):
            assert "".join(event.text for event in events if isinstance(event, Token)) == fresh(described)
        for slot in engine._caches.slots:
            assert len(slot.cells) == slot.kv.length
