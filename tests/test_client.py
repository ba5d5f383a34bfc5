"""A program's end of the daemon: a private one comes up, says why if not, and never outlives its program."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from assistant import client
from assistant.client import Client, Unavailable
from assistant.messages import Ask, Heartbeat, Message, PictureBound, ReplyEnded, Turn, TurnStarted
from assistant.wire import Received, Stamp
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


# --- how long it is waited for an answer: of a bus that plays back what came when ---


class Played:
    """In place of a client's bus: each message comes so many seconds after the one before."""

    def __init__(self, script: list[tuple[float, Message, str]]) -> None:
        self._script = list(script)
        self.now = 1000.0
        self.turn = Turn("", 0)

    def listen(self, *kinds: object) -> None: ...

    def close(self) -> None: ...

    def send(self, message: Message, payload: object = None) -> None:
        assert isinstance(message, Ask)
        self.turn = message.turn

    def receive(self, timeout_s: float) -> Received | None:
        if not timeout_s:
            return None  # nothing was there before the question
        if not self._script or self._script[0][0] > timeout_s:
            if self._script:
                after_s, message, sender = self._script[0]
                self._script[0] = (after_s - timeout_s, message, sender)
            self.now += timeout_s
            return None
        after_s, message, sender = self._script.pop(0)
        self.now += after_s
        if not isinstance(message, Heartbeat):
            message = msgspec.structs.replace(message, turn=self.turn)
        return Received(message, Stamp(1, sender, 0, 0, 0))


SOME = Turn("", 0)
BEGUN: tuple[float, Message, str] = (1.0, TurnStarted(turn=SOME, text="?", spoken=False, last_sample_at=0), "dialogue")
ENDED: tuple[float, Message, str] = (1.0, ReplyEnded(turn=SOME, reason="stop", text="", sentences=0), "dialogue")
ALIVE: tuple[float, Message, str] = (1.0, Heartbeat(state="ready"), "dialogue")
OTHER: tuple[float, Message, str] = (1.0, Heartbeat(state="ready"), "camera")


@pytest.mark.parametrize(
    ("script", "answered", "after_s"),
    [
        ([BEGUN, *[ALIVE] * 300, ENDED], True, 302),  # the daemon gives a model as long as it likes
        ([*[ALIVE] * 100, BEGUN, *[ALIVE] * 100, ENDED], True, 202),  # another conversation's answer came first
        ([BEGUN, *[OTHER] * 100, ENDED], False, 1 + client.QUIET_S),  # who should answer is no more
        ([*[ALIVE] * 1000], False, client.TURN_S + client.QUIET_S),  # the question was lost
        ([], False, client.QUIET_S),
    ],
)
def test_an_answer_is_waited_for_as_long_as_dialogue_lives(
    script: list[tuple[float, Message, str]],
    answered: bool,
    after_s: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played, opened = Played(script), Client(tmp_path, "test")
    opened.bus.close()
    monkeypatch.setattr(opened, "bus", played)
    monkeypatch.setattr("assistant.client.time.monotonic", lambda: played.now)
    outcome = contextlib.nullcontext() if answered else pytest.raises(Unavailable, match="no answer after")
    with outcome:
        assert [type(received.message) for received in opened.ask("what?")] == [TurnStarted, ReplyEnded]
    assert played.now - 1000.0 == pytest.approx(after_s, abs=1.5)
