"""Children that tell how they are, and never outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from assistant.nursery import Child, Nursery
from tests.processes import PATIENCE_S, ROOT, await_end

TALKS = """
from assistant.notify import Notifier
Notifier().tell(STATUS="one")
Notifier().tell(STATUS="two", READY=1)
"""
ENDS_WITH_ITS_PARENT = "import os; from assistant.notify import lifeline; os.read(lifeline(), 1)"
PARENT = f"""
import sys, time
from assistant.nursery import Nursery
print(Nursery().start("child", [sys.executable, "-c", {ENDS_WITH_ITS_PARENT!r}]).process.pid, flush=True)
time.sleep(600)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


def hear(nursery: Nursery, child: Child, name: str) -> dict[str, str]:
    deadline = time.monotonic() + PATIENCE_S
    heard: dict[str, str] = {}
    while name not in heard:
        assert time.monotonic() < deadline
        for teller, fields in nursery.wait(1.0):
            assert teller is child
            heard.update(fields)
    return heard


def test_the_newest_of_what_a_child_says_is_known(nursery: Nursery) -> None:
    child = nursery.start("camera", python(TALKS))
    assert hear(nursery, child, "READY")["READY"] == "1"
    assert child.status == "two"
    assert child.process.wait(PATIENCE_S) == 0


def test_what_a_child_said_last_is_there_after_its_death(nursery: Nursery) -> None:
    child = nursery.start("camera", python(TALKS))
    child.process.wait(PATIENCE_S)
    child.news()
    assert child.status == "two"


def test_a_child_that_does_not_stop_is_killed(nursery: Nursery) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    code += "from assistant.notify import Notifier; Notifier().tell(READY=1); time.sleep(600)"
    child = nursery.start("camera", python(code))
    hear(nursery, child, "READY")
    nursery.stop("camera", 0.05)
    assert child.process.returncode == -signal.SIGKILL
    assert nursery.children == {}
    nursery.stop("camera", 0.05)  # twice is as good as once


def test_a_watched_descriptor_ends_the_wait(nursery: Nursery) -> None:
    reading, writing = os.pipe()
    nursery.watch(reading)
    os.write(writing, b"\0")
    assert nursery.wait(PATIENCE_S) == []
    os.close(reading)
    os.close(writing)


def test_the_same_name_again_is_a_new_child(nursery: Nursery) -> None:
    first = nursery.start("camera", python("pass"))
    first.process.wait(PATIENCE_S)
    second = nursery.start("camera", python(TALKS))
    hear(nursery, second, "READY")
    assert nursery.children == {"camera": second}
    second.process.wait(PATIENCE_S)


def test_a_command_that_cannot_run_leaves_nothing_open(nursery: Nursery) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            nursery.start("camera", ["/no/such/program"])
    assert len(os.listdir("/proc/self/fd")) == before
    assert nursery.children == {}


def test_children_end_when_their_parent_is_killed() -> None:
    with subprocess.Popen(python(PARENT), cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    await_end([child])
