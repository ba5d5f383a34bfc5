"""One NPU: never two at once, the better rank first, and nobody waits for the dead."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.engine import EngineError
from pipelines.npu import lock
from pipelines.npu.lock import Npu, NpuBusy, Rank

HOLDER = """
import sys, time
from pathlib import Path
from pipelines.npu.lock import Npu, Rank
npu = Npu(sys.argv[2], Path(sys.argv[1]))
claim = npu.claim(Rank(int(sys.argv[3])))
if sys.argv[4] == "wait":
    print("waiting", flush=True)
while not claim.take():
    time.sleep(0.005)
print("holding", flush=True)
time.sleep(60)
"""
WORKER = """
import os, random, sys, time
from pathlib import Path
from pipelines.npu.lock import Npu, Rank
folder, name = Path(sys.argv[1]), sys.argv[2]
npu, inside = Npu(name, folder), folder / "inside"
for _ in range(25):
    with npu.hold(random.choice(list(Rank)), 30):
        inside.touch(exist_ok=False)  # fails where another one is inside
        time.sleep(random.random() * 0.004)
        inside.unlink()
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()})


def says(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_the_better_rank_goes_first(tmp_path: Path) -> None:
    npu = Npu("dialogue", tmp_path)
    with npu.hold(Rank.IDLE):
        idle, speaking, waiting = (npu.claim(rank) for rank in (Rank.IDLE, Rank.USER_SPEAKS, Rank.USER_WAITS))
        assert [claim.take() for claim in (idle, speaking, waiting)] == [False] * 3
    assert not idle.take()
    assert not speaking.take()
    assert waiting.take()
    waiting.release()
    assert not idle.take()
    assert speaking.take()
    assert speaking.take()
    speaking.release()
    assert idle.take()
    idle.release()
    idle.release()
    assert lock.holder(tmp_path) is None


def test_who_gives_up_waiting_stands_in_nobodys_way(tmp_path: Path) -> None:
    npu = Npu("dialogue", tmp_path)
    first = npu.claim(Rank.USER_WAITS)
    assert first.take()
    better, worse = npu.claim(Rank.USER_SPEAKS), npu.claim(Rank.IDLE)
    assert [claim.take() for claim in (better, worse)] == [False] * 2
    better.release()
    first.release()
    assert worse.take()
    worse.release()


def test_a_long_wait_is_reported_with_the_holders_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "REPORT_S", 0.05)
    vision, dialogue = Npu("vision", tmp_path), Npu("dialogue", tmp_path)
    why = rf"dialogue waited 0.2 s for the NPU; it is held by vision \(process {os.getpid()}\)"
    with vision.hold(Rank.IDLE), pytest.raises(NpuBusy, match=why), dialogue.hold(Rank.USER_WAITS, 0.2):
        pass
    assert caplog.text.count("dialogue waits for the NPU since 0.1 s; it is held by vision") == 1


def test_what_it_cost_is_told(tmp_path: Path) -> None:
    vision, dialogue = Npu("vision", tmp_path), Npu("dialogue", tmp_path)
    with vision.hold(Rank.IDLE) as first:
        claim = dialogue.claim(Rank.USER_WAITS)
        assert not claim.take()
        time.sleep(0.03)
    assert first.figures.hold_ms >= 30
    assert first.figures.behind == ""
    assert claim.take()
    claim.release()
    assert claim.figures.wait_ms >= 30
    assert claim.figures.behind == "vision"


def test_a_killed_holder_lets_go_within_a_second(tmp_path: Path) -> None:
    process = start(HOLDER, tmp_path, "vision", 0, "hold")
    says(process, "holding")
    assert lock.holder(tmp_path) == lock.Holder("vision", process.pid)
    kill(process)
    began = time.monotonic()
    with Npu("dialogue", tmp_path).hold(Rank.IDLE, 5):
        assert time.monotonic() - began < 1


def test_a_killed_waiter_is_not_waited_for(tmp_path: Path) -> None:
    npu = Npu("dialogue", tmp_path)
    with npu.hold(Rank.USER_WAITS):
        process = start(HOLDER, tmp_path, "vision", 0, "wait")
        says(process, "waiting")
        mine = npu.claim(Rank.IDLE)
        kill(process)
    began = time.monotonic()
    while not mine.take():
        assert time.monotonic() - began < 1
    mine.release()


def test_never_two_at_once_among_many_that_are_killed_too(tmp_path: Path) -> None:
    victims = [start(HOLDER, tmp_path, f"victim-{n}", 0, "hold") for n in range(2)]
    workers = [start(WORKER, tmp_path, f"worker-{n}") for n in range(3)]
    for victim in victims:
        time.sleep(0.3)
        kill(victim)
    for worker in workers:
        assert worker.wait(60) == 0
        assert worker.stdout is not None
        worker.stdout.close()


def test_a_folder_that_cannot_be_made_and_one_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match=r"the NPU's lock cannot be kept in .*; set ASSISTANT_NPU"):
        Npu("vision", tmp_path / "file" / "x")
    monkeypatch.setenv("ASSISTANT_NPU", str(tmp_path / "here"))
    with Npu("vision").hold(Rank.IDLE):
        assert json.loads((tmp_path / "here" / "npu").read_text())["name"] == "vision"
