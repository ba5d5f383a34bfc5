"""``chat --simulate`` does what the vendor's console demo does, and more: driven by the keyboard, as people do."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from assistant.client import Client
from assistant.core.personas import PRESETS
from assistant.messages import ReplyToken
from tests import processes

ROOT = Path(__file__).resolve().parent.parent.parent
FIGURES = re.compile(
    r"(no picture|picture \d+ ms old) · (\d+) tokens computed, (\d+) from cache, (\d+) generated · \d+ ms"
    r" · prompt \d+ ms, first token after \d+ ms, then \d+\.\d tokens/s · \d+ MB · NPU: .+"
)
PICTURE_TOKENS = 196  # of qwen3-vl-2b, at the size that it is used with


class Keyboard:
    """A chat with its ends in hand; ``folder`` is where its daemon lies."""

    def __init__(self, folder: Path, **more: str) -> None:
        """``more``: of the environment, beside the board's."""
        self.folder, self.lives = folder, folder / "lives"
        environment = {"TMPDIR": str(folder), "RKLLM_SIM_LIVES": str(self.lives), "RKLLM_SIM_NPU": str(folder / "npu")}
        environment |= {"RKLLM_LOG_LEVEL": "0"}  # what its library prints is no word of ours
        command = [sys.executable, "-m", "assistant", "chat", "--profile", "demo"]
        command += ["--simulate", "rk3588:qwen3-vl-2b", "--speedup", "4"]
        # A question that comes while the answer before is still spoken would cut that short.
        command += ["--set", 'supervisor.services=["camera", "vision", "dialogue"]']
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environment | more,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._rest = ""

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def read(self, until: str) -> list[str]:
        """What is printed up to the end of a line in which this is found, in the pieces in which it came."""
        assert self.process.stdout is not None
        pieces = [self._rest]
        while not (found := re.search(until + r".*\n", "".join(pieces))):
            piece = os.read(self.process.stdout.fileno(), 65536).decode(errors="replace")
            assert piece, f"{until!r} was never said; but: {''.join(pieces)}"
            pieces.append(piece)
        self._rest = "".join(pieces)[found.end() :]
        pieces[-1] = pieces[-1].removesuffix(self._rest)
        return pieces

    def ask(self, line: str) -> tuple[str, "re.Match[str]"]:
        """The answer, and its figures."""
        self.type(line)
        *said, figures = "".join(self.read(" generated · ")).splitlines()
        found = FIGURES.fullmatch(figures)
        assert found, figures
        return "\n".join(said), found

    def client(self) -> Client:
        (runtime,) = self.folder.glob("assistant-*")
        return Client(runtime)

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=processes.PATIENCE_S)
        return self.process.returncode, said.decode()


@pytest.fixture
def keyboard(runtime: Path, request: pytest.FixtureRequest) -> Iterator[Keyboard]:
    one = Keyboard(runtime, **request.param)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize("keyboard", [{}], indirect=True)
def test_what_the_vendors_demo_does_and_more(keyboard: Keyboard) -> None:
    shown = "".join(keyboard.read(re.escape(PRESETS[-1])))
    assert all(f"{number:3}  {preset}" in shown for number, preset in enumerate(PRESETS, 1))  # numbered presets

    said, figures = keyboard.ask("hello")  # a picture only where one is needed
    assert said == 'Simulated answer to "hello": I was given no picture.'
    assert figures[1] == "no picture"
    assert int(figures[2]) < PICTURE_TOKENS

    keyboard.type("1")
    pieces = keyboard.read(" generated · ")
    said, line = "".join(pieces).splitlines()
    assert len([piece for piece in pieces if piece and piece in said]) > 2  # it comes as it is written
    first = re.fullmatch(r'Simulated answer to "What do you see\?": I was given (picture [0-9a-f]{4})\.', said)
    assert first
    figures = FIGURES.fullmatch(line) or pytest.fail(line)
    assert figures[1] != "no picture"
    assert int(figures[2]) > PICTURE_TOKENS

    said, figures = keyboard.ask("how many objects are there")  # the conversation goes on with the same picture
    assert first[1] in said
    assert int(figures[2]) < PICTURE_TOKENS < int(figures[3])

    said, _ = keyboard.ask(str(1 + PRESETS.index("你看到了什么？")))
    assert said == f"模拟回答“你看到了什么？”：我收到的照片是 {first[1][-4:]}。"

    keyboard.type(f"/image {ROOT}/config/demo/table-3.png")
    keyboard.read("looking at")
    said, _ = keyboard.ask("what do you see")
    other = re.search(r"picture [0-9a-f]{4}", said)
    assert other
    assert other[0] != first[1]

    keyboard.type("/camera")
    keyboard.type("clear")
    keyboard.read("forgotten")
    said, _ = keyboard.ask("thank you")
    assert said == 'Simulated answer to "thank you": I was given no picture.'

    keyboard.type("exit")
    code, said = keyboard.end()
    assert code == 0
    assert said.count("\n") == 2, said  # what is simulated, in English and in Chinese; nothing else went wrong
    assert said.startswith("Simulated board: rk3588, qwen3-vl-2b, RKLLM 1.3.0, 4 times as fast as it is (load 2.6 s")
    released(keyboard, loaded=1, destroyed=1)


@pytest.mark.parametrize("keyboard", [{"RKLLM_SIM_DECODE_MS": "150"}], indirect=True)  # there is time to kill it
def test_a_model_that_is_killed_in_mid_answer_is_released(keyboard: Keyboard) -> None:
    keyboard.read(re.escape(PRESETS[-1]))
    said, _ = keyboard.ask("what do you see")
    shown = re.search(r"picture [0-9a-f]{4}", said)
    assert shown
    client = keyboard.client()
    client.bus.listen(ReplyToken)
    client.await_ready(("dialogue",))
    pid = client.pid("dialogue")
    assert pid is not None
    keyboard.type("how many objects are there")
    assert client.bus.wait_for(ReplyToken, processes.PATIENCE_S)
    os.kill(pid, signal.SIGKILL)  # it holds the NPU
    client.close()
    keyboard.read("dialogue died over this question and was started again; ask once more")
    said, figures = keyboard.ask("what do you see")
    assert shown[0] in said
    assert int(figures[2]) > PICTURE_TOKENS  # its cache was lost; the conversation was not
    assert not psutil.pid_exists(pid)
    keyboard.type("exit")
    assert keyboard.end()[0] == 0
    released(keyboard, loaded=2, destroyed=1)


def released(keyboard: Keyboard, loaded: int, destroyed: int) -> None:
    """Nothing is left: the model was destroyed, no process, no directory; and the NPU's jobs never met."""
    lives = keyboard.lives.read_text().split()
    assert (lives.count("init"), lives.count("destroy")) == (loaded, destroyed)
    assert processes.of(keyboard.folder) == []
    assert sorted(path.name for path in keyboard.folder.iterdir()) == ["lives", "npu"]
