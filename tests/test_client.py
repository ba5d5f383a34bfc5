"""A program's end of the daemon: a private one comes up, says why if not, and never outlives its program."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from assistant import client
from assistant.client import Client, Unavailable
from assistant.messages import PictureBound, ReplyEnded, TurnStarted
from tests.processes import PATIENCE_S, await_end, of

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "config" / "demo" / "table-1.png"
QUIET = ["log.level=warning"]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Path]:
    with client.private("demo", QUIET) as runtime:
        yield runtime


@pytest.fixture
def one(daemon: Path) -> Iterator[Client]:
    opened = Client(daemon, f"test-{time.monotonic_ns()}")
    opened.await_ready()
    yield opened
    opened.close()


def test_a_private_daemon_is_found_and_leaves_nothing() -> None:
    with client.private("demo", QUIET) as runtime:
        assert client.running(runtime)
        with client.found(runtime, "no such profile") as same:
            assert same == runtime
        living = of(runtime)
        assert len(living) == 6  # the supervisor and five services
    await_end(living)
    assert not runtime.exists()


@pytest.mark.parametrize(
    ("sets", "code", "says"),
    [
        (["dialogue.llm.engine=none-such"], 78, "there is no llm engine 'none-such'"),
        (["dialogue.llm.onnx.model=/nowhere"], 78, "/nowhere"),
        (["supervisor.services=['ear']"], 78, "there is no service 'ear'"),
    ],
)
def test_a_daemon_that_cannot_start_says_why(sets: list[str], code: int, says: str) -> None:
    with pytest.raises(Unavailable, match="the daemon did not start") as error, client.private("demo", sets):
        pass
    assert says in str(error.value)
    assert error.value.code == code


def test_one_question_with_a_picture_of_its_own(one: Client) -> None:
    camera = one.show(TABLE.read_bytes())
    messages = [received.message for received in one.ask("what do you see", camera)]
    kinds = [type(message) for message in messages]
    assert kinds[0] is TurnStarted
    assert kinds[-1] is ReplyEnded
    bound = next(message for message in messages if isinstance(message, PictureBound))
    assert bound.camera == camera


def test_an_unreadable_picture_is_refused(one: Client) -> None:
    with pytest.raises(Unavailable, match="the picture cannot be shown"):
        one.show(b"this is no picture")


def test_a_conversation_can_be_cleared(one: Client) -> None:
    assert one.clear()


def test_who_is_not_ready_is_named(one: Client) -> None:
    with pytest.raises(Unavailable, match="not ready within 3 s: gateway"):
        one.await_ready(("camera", "gateway"), 3.0)


def test_killing_the_program_leaves_no_process_and_no_file() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ea-", dir="/tmp"))
    try:
        program = subprocess.Popen(
            [sys.executable, "-m", "assistant", "chat", "--profile", "demo", "--runtime", str(folder / "none")],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert program.stdout is not None
        assert "ask that preset question" in program.stdout.readline()
        family = psutil.Process(program.pid).children(recursive=True)
        assert len(family) == 6  # the supervisor and five services
        program.send_signal(signal.SIGKILL)
        program.communicate(timeout=PATIENCE_S)
        await_end(family)
        assert [path for path in folder.iterdir() if path.name != ".ses"] == []  # that one is onnxruntime's
    finally:
        shutil.rmtree(folder)
