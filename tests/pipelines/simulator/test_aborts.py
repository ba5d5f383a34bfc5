"""Aborts at every moment of a run, from every place: it ends soon, and the next one is whole."""

import threading
import time
from typing import Any

import pytest

from pipelines.llm.librkllm import Busy, Text
from pipelines.simulator import build
from tests.pipelines.simulator.talking import Open, ask, report

RELEASES = tuple(build.FAMILIES)


@pytest.mark.parametrize("version", RELEASES)
class TestAbort:
    def test_before_a_run_it_touches_nothing(self, version: str, start: Open) -> None:
        session = start(version)
        assert session.abort() is False
        assert report(session, "x")["role"] == "user"

    @pytest.mark.parametrize("where", ["RKLLM_SIM_PREFILL_MS", "RKLLM_SIM_DECODE_MS"])
    def test_during_a_run_it_ends_it(
        self, version: str, start: Open, where: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(where, "20")
        monkeypatch.setenv("RKLLM_SIM_REPLY", "word " * 300)
        session = start(version)
        timer = threading.Timer(0.1, session.abort)
        timer.start()
        began = time.monotonic()
        outcome = session.run(Text("word " * 100), lambda *_: None)
        timer.join()
        assert outcome.state == "aborted"
        assert time.monotonic() - began < 1.5
        assert session.abort() is False
        monkeypatch.delenv("RKLLM_SIM_REPLY")
        monkeypatch.delenv(where)
        assert report(session, "after")["role"] == "user"

    def test_by_the_sink_itself(self, version: str, start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RKLLM_SIM_REPLY", "word " * 300)
        monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "5")
        session = start(version)
        pieces: list[str] = []

        def sink(text: str, _token: int) -> None:
            pieces.append(text)
            if len(pieces) == 3:
                session.abort()

        assert session.run(Text("x"), sink).state == "aborted"
        assert len(pieces) == 3

    def test_one_that_came_too_early_for_the_runtime_is_said_again(
        self, version: str, start: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RKLLM_SIM_REPLY", "word " * 300)
        monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "5")
        session = start(version)
        run = session.library.rkllm_run

        def late(*arguments: Any) -> Any:  # an abort between our door and the runtime's: it forgets it at its own start
            session.abort()
            return run(*arguments)

        monkeypatch.setattr(session.library, "rkllm_run", late, raising=False)
        began = time.monotonic()
        assert session.run(Text("x"), lambda *_: None).state == "aborted"
        assert time.monotonic() - began < 1.0

    def test_nothing_else_is_done_meanwhile_and_closing_waits(
        self, version: str, start: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "20")
        session, begun = start(version), threading.Event()
        states: list[str] = []
        thread = threading.Thread(target=lambda: states.append(session.run(Text("x"), lambda *_: begun.set()).state))
        thread.start()
        assert begun.wait(5)
        with pytest.raises(Busy, match="a run is under way"):
            ask(session, "y")
        with pytest.raises(Busy):
            session.release_prompt_cache()
        session.close()
        thread.join()
        assert states == ["aborted"]
