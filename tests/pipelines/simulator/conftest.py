"""The simulated board, built once for all tests, and nothing of it left in the environment."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import simulator
from pipelines.llm.librkllm import Init, Library, Session
from pipelines.simulator import build
from tests.pipelines.simulator.talking import QWEN, WIDTH, Open


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where simulated libraries are built for this run of the tests."""
    return tmp_path_factory.mktemp("simulator")


@pytest.fixture(autouse=True)
def _a_fast_faultless_board(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RKLLM_"):
            monkeypatch.delenv(name)


@pytest.fixture
def start(built: Path, tmp_path: Path) -> Iterator[Open]:
    """Loads a simulated model in a release: ``start("1.3.0", max_new_tokens=9)``; closed at the end."""
    opened: list[Session] = []
    model = simulator.write_model(tmp_path / "m.rkllm", width=WIDTH, context_limit=2048, system="Be brief.")

    def one(version: str, **wanted: Any) -> Session:
        given = {"max_context_len": 2048, "max_new_tokens": 1000, "row_width": WIDTH, "tags": QWEN, "model": str(model)}
        opened.append(Session(Library(str(build.library(version, built))), Init(**{**given, **wanted})))
        return opened[-1]

    yield one
    for session in opened:
        session.close()
