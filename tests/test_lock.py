"""One holder at a time, in this process and in others; a dead one holds nothing."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from assistant.lock import Held, Lock, holder

HOLD = "import sys; from pathlib import Path; from assistant.lock import Lock\n" + (
    "lock = Lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read(); lock.release()"
)


def start_holder(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_one_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "camera.lock")
    with pytest.raises(Held, match=rf"camera already runs in .* \(process {os.getpid()}\)"):
        Lock(tmp_path / "camera.lock")
    assert holder(tmp_path / "camera.lock") == os.getpid()
    lock.release()
    assert holder(tmp_path / "camera.lock") is None
    assert list(tmp_path.iterdir()) == []
    Lock(tmp_path / "camera.lock").release()


def test_one_of_another_process_is_refused_until_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "camera.lock"
    with start_holder(path) as process:
        with pytest.raises(Held, match=str(process.pid)):
            Lock(path)
        assert holder(path) == process.pid
        process.send_signal(signal.SIGKILL)
    assert path.exists()
    assert holder(path) is None  # though its process id still stands there
    lock = Lock(path)
    assert holder(path) == os.getpid()
    lock.release()


def test_patience_waits_for_one_that_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.lock"
    with start_holder(path) as process:
        assert process.stdin is not None
        process.stdin.close()
        lock = Lock(path, patience_s=10.0)
    lock.release()


ASK = "import sys; from pathlib import Path; from assistant.lock import holder\n" + (
    "print('asking', flush=True)\nwhile True: holder(Path(sys.argv[1]))"
)


def test_to_ask_who_holds_it_never_turns_anyone_away(tmp_path: Path) -> None:
    path = tmp_path / "camera.lock"
    path.touch()
    with subprocess.Popen([sys.executable, "-c", ASK, str(path)], stdout=subprocess.PIPE, text=True) as asking:
        try:
            assert asking.stdout is not None
            assert asking.stdout.readline() == "asking\n"
            for _ in range(1000):
                Lock(path).release()
                path.touch()
        finally:
            asking.kill()


def test_of_many_that_try_at_once_exactly_one_holds_it(tmp_path: Path) -> None:
    """Also while holders remove the file between another's open and its lock."""
    path, inside, most = tmp_path / "x.lock", [0], [0]
    guard = threading.Lock()

    def work() -> None:
        for _ in range(100):
            lock = Lock(path, patience_s=30.0)
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with guard:
                inside[0] -= 1
            lock.release()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert most == [1]
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "x", "99999999999999999999999999999999999999"])
def test_what_is_written_there_is_not_trusted(tmp_path: Path, text: str) -> None:
    lock = Lock(tmp_path / "camera.lock")
    (tmp_path / "camera.lock").write_text(text)
    assert holder(tmp_path / "camera.lock") is None or text.isdigit()
    lock.release()
    assert holder(tmp_path / "nothing.lock") is None
