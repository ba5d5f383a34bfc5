"""The NPU is never lost with the process that has it: vision or dialogue is killed with -9 while it works on the
simulated board, or hangs there, and the other goes on, and the conversation is told again to the new process."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from assistant.client import Client, private
from assistant.messages import LIVE, Ask, CameraState, Picture, ReplyEnded, SpeakerIdle, Turn
from pipelines import image, simulator
from pipelines.npu.lock import Npu, Rank, holder
from pipelines.simulator import build
from tests.processes import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = {"dialogue": "llm", "vision": "vision"}  # under which a service holds the NPU
SOON_S = 1.0  # in which the NPU can be had again


@contextmanager
def daemon(home: Path, *sets: str, **environment: str) -> Iterator[Client]:
    """The real processes on a simulated board whose replies are read from ``home/reply`` at each run."""
    model = simulator.write_model(home / "m.rkllm", width=64)
    encoder = simulator.write_encoder(home / "m.rknn", size=448, tokens=16, width=16, outputs=4)
    settings = [
        "supervisor.restarts=100",
        "vision.encoder.engine=rknn",
        f"vision.encoder.rknn.model={encoder}",
        "vision.encoder.rknn.size=448",
        "dialogue.llm.engine=rkllm",
        f"dialogue.llm.rkllm.model={model}",
        f"dialogue.llm.rkllm.library={build.library('1.3.0', home)}",
        "dialogue.llm.rkllm.row_width=64",
        *sets,
    ]
    board = {
        "PYTHONPATH": f"{ROOT}:{simulator.STAND_IN}",
        "ASSISTANT_NPU": str(home / "npu"),
        "RKLLM_SIM_NPU": str(home / "board"),
        "RKLLM_SIM_REPLY": f"@{home / 'reply'}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**board, **environment}.items():
            patch.setenv(name, value)
        with private("demo", settings) as runtime:
            client = Client(runtime)
            try:
                yield client
            finally:
                client.close()


def answer(client: Client, question: str) -> ReplyEnded:
    return next(r.message for r in client.ask(question) if isinstance(r.message, ReplyEnded))


def show(client: Client, shade: int) -> None:
    canvas = np.full((480, 640, 3), 90, np.uint8)
    canvas[100:300, 200:400] = (220, shade, 40)
    client.bus.listen(CameraState)
    client.bus.send(Picture(label=f"shade {shade}"), image.encode_png(canvas))
    assert client.bus.wait_for(CameraState, PATIENCE_S, lambda state: state.label == f"shade {shade}") is not None


def kill_at_work(client: Client, service: str, npu: Path) -> None:
    """Shows something, asks, and kills the service with -9 while it has the NPU; back when the process is gone. Asks
    again about something else where the answer came first: the frame of a moment before may have been good enough."""
    pid = client.pid(service)
    assert pid is not None
    process, deadline, shade, over = psutil.Process(pid), time.monotonic() + PATIENCE_S, 0, True
    while (found := holder(npu)) is None or (found.name, found.pid) != (NAMES[service], pid):
        assert time.monotonic() < deadline, f"{service} never had the NPU"
        if over:
            shade = (shade + 110) % 256
            show(client, shade)
            client.bus.send(Ask(turn=Turn(LIVE, time.monotonic_ns()), text="what do you see"))
        received = client.bus.receive(0.005)
        over = received is not None and isinstance(received.message, ReplyEnded)
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([process], timeout=PATIENCE_S)


def wait_until_reborn(client: Client, service: str, old: int | None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while client.pid(service) in (None, old):
        assert time.monotonic() < deadline
        client.bus.receive(0.05)
    client.await_ready([service])


@pytest.mark.parametrize("service", ["dialogue", "vision"])
def test_who_is_killed_with_the_npu_in_hand_takes_it_from_nobody(service: str, tmp_path: Path) -> None:
    npu, reply = tmp_path / "npu", tmp_path / "reply"
    reply.write_text("The ball is red.")
    with daemon(tmp_path, RKLLM_SIM_ENCODE_MS="300", RKLLM_SIM_DECODE_MS="4") as client:
        show(client, 0)
        assert answer(client, "what is on the table").text == "The ball is red."
        assert client.bus.wait_for(SpeakerIdle, PATIENCE_S) is not None  # else only what was heard is known
        reply.write_text("word " * 800)
        old = client.pid(service)
        kill_at_work(client, service, npu)
        with Npu("somebody else", npu).hold(Rank.USER_WAITS, SOON_S):
            reply.write_text("I know: {context}")
        wait_until_reborn(client, service, old)
        after = answer(client, "what is left of the ball")
        assert after.reason == "stop", after
        for words in ("what is on the table", "The ball is red.", "what is left of the ball", "*16]"):
            assert words in after.text
        assert not (tmp_path / "board.overlaps").exists()


def test_a_hanging_npu_costs_one_answer_and_one_process(tmp_path: Path) -> None:
    (tmp_path / "reply").write_text("never said")
    with daemon(tmp_path, "dialogue.llm.rkllm.stall_s=0.3", RKLLM_SIM_FAULTS="hang") as client:
        show(client, 0)
        old = client.pid("dialogue")
        ended = answer(client, "what is on the table")
        assert ended.reason == "error"
        assert "gave nothing for" in ended.detail
        wait_until_reborn(client, "dialogue", old)
        with Npu("somebody else", tmp_path / "npu").hold(Rank.USER_WAITS, SOON_S):
            pass
