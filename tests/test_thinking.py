"""Runs of a model in the background: one after the other, left between two events, errors handed on."""

import threading
from collections.abc import Generator

import pytest

from assistant.loading import Loading
from assistant.thinking import Happened, Run, Thinker
from pipelines.engine import EngineError
from pipelines.llm import Event, Prefilled, Token

PATIENCE_S = 20.0


class Woken:
    """Waits for what a thread tells."""

    def __init__(self) -> None:
        self._told = threading.Semaphore(0)

    def __call__(self) -> None:
        self._told.release()

    def all_of(self, run: Run) -> list[Happened]:
        happened = []
        while not run.over:
            assert self._told.acquire(timeout=PATIENCE_S)
            while (one := run.take()) is not None:
                happened.append(one)
        return happened


def tokens(*texts: str, error: Exception | None = None) -> Generator[Event, None, None]:
    yield from map(Token, texts)
    if error is not None:
        raise error


def test_runs_come_one_after_the_other() -> None:
    woken = Woken()
    thinker = Thinker(woken)
    runs = [thinker.begin(tokens("a", "b")), thinker.begin(tokens("c"))]
    happened = [woken.all_of(run) for run in runs]
    assert [[one.event for one in each] for each in happened] == [[Token("a"), Token("b"), None], [Token("c"), None]]
    assert happened[0][-1].at <= happened[1][0].at


def test_it_ends_when_what_was_begun_has() -> None:
    woken = Woken()
    thinker = Thinker(woken)
    run = thinker.begin(tokens("a"))
    thinker.close(PATIENCE_S)
    assert run.waiting
    assert [one.event for one in woken.all_of(run)] == [Token("a"), None]


def test_an_error_is_the_last_that_happens() -> None:
    woken = Woken()
    last = woken.all_of(Thinker(woken).begin(tokens("a", error=EngineError("broken"))))[-1]
    assert (last.event, str(last.error)) == (None, "broken")


def test_a_run_that_is_closed_ends_and_makes_room() -> None:
    woken, began, go, ended = Woken(), threading.Event(), threading.Event(), threading.Event()

    def slow() -> Generator[Event, None, None]:
        try:
            began.set()
            go.wait(PATIENCE_S)
            yield Token("a")
            raise AssertionError("it was not left")
        finally:
            ended.set()

    thinker = Thinker(woken)
    run = thinker.begin(slow())
    assert began.wait(PATIENCE_S)
    run.close()
    following = thinker.begin(tokens("b"))
    assert not following.waiting
    go.set()
    assert [one.event for one in woken.all_of(following)] == [Token("b"), None]
    assert ended.is_set()
    assert run.take() is None


def test_the_same_again_is_no_progress() -> None:
    woken = Woken()
    run = Thinker(woken).begin(iter([Prefilled(0, 9), Prefilled(0, 9), Prefilled(9, 9)]))  # type: ignore[arg-type]
    seen: list[tuple[int, int]] = []
    while len(seen) < 3:
        assert woken._told.acquire(timeout=PATIENCE_S)
        if (one := run.take()) is not None:
            seen.append((one.at, run.progress_at))
    assert seen[1][1] == seen[0][0]
    assert seen[2][1] == seen[2][0]


def test_what_is_loaded_is_had_when_it_is_done() -> None:
    woken, go = threading.Event(), threading.Event()
    loading = Loading(lambda: go.wait(PATIENCE_S) and "model", woken.set, PATIENCE_S)
    assert not loading.done
    go.set()
    assert woken.wait(PATIENCE_S)
    assert loading.result() == "model"
    assert loading.done


def test_what_cannot_be_loaded_says_why() -> None:
    def load() -> str:
        raise EngineError("no such file")

    loading = Loading(load, lambda: None, PATIENCE_S)
    with pytest.raises(EngineError, match="no such file"):
        loading.result()


def test_what_loads_for_ever_is_given_up() -> None:
    go = threading.Event()
    loading = Loading(lambda: go.wait(PATIENCE_S), lambda: None, 0.0)
    with pytest.raises(TimeoutError, match="still loading after 0 s"):
        _ = loading.done
    go.set()
