"""The button's thread, on a pipe in place of an input device: presses come out, a lost device is found again."""

import os
import struct
import threading
from pathlib import Path

import pytest

from assistant.core.button import Change, Settings
from assistant.press import Presses
from pipelines.audio.backoff import Backoff
from pipelines.button import evdev

PATIENCE_S = 20.0


class Watched:
    """A button, and what it told; waits for it to tell more, never for time to pass."""

    def __init__(self, path: Path, **settings: float) -> None:
        self.news = threading.Event()
        self.changes: list[Change] = []
        self.presses = Presses(
            "evdev",
            {"device": str(path)},
            Settings(**{"bounce_ms": 0, **settings}),  # type: ignore[arg-type]
            self.news.set,
            Backoff(first_s=0.01, longest_s=0.02),
        )

    def until(self, count: int) -> list[Change]:
        while len(self.changes) < count:
            assert self.news.wait(PATIENCE_S), (self.changes, self.presses.lost)
            self.news.clear()
            self.changes += self.presses.fetch()
        return self.changes

    def until_lost(self, word: str) -> None:
        while word not in self.presses.lost or (not word and self.presses.lost):
            assert self.news.wait(PATIENCE_S), self.presses.lost
            self.news.clear()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "event0"
    os.mkfifo(path)
    return path


def opened(path: Path) -> int:
    """The other end. Open for reading too: a button that looks before anybody writes must not find it closed."""
    return os.open(path, os.O_RDWR)


def key(value: int) -> bytes:
    return struct.pack("@llHHi", 0, 0, evdev.KEY, evdev.code("F13"), value)


def test_presses_come_out(path: Path) -> None:
    writer = opened(path)
    watched = Watched(path)
    os.write(writer, key(1))
    watched.until(1)
    os.write(writer, key(0))
    changes = watched.until(2)
    assert [change.pressed for change in changes] == [True, False]
    assert changes[0].at < changes[1].at
    assert watched.presses.lost == ""
    watched.presses.close()
    os.close(writer)


def test_one_that_is_unplugged_while_it_is_held_is_let_go_and_found_again(path: Path) -> None:
    writer = opened(path)
    watched = Watched(path)
    os.write(writer, key(1))
    watched.until(1)
    away = path.with_suffix(".away")
    path.rename(away)  # unplugged: gone, and nothing more comes of it
    os.close(writer)
    assert watched.until(2)[1].why == "the button is gone"
    watched.until_lost("is it plugged in")
    away.rename(path)
    watched.until_lost("")
    writer = os.open(path, os.O_WRONLY)
    os.write(writer, key(1))
    assert [change.pressed for change in watched.until(3)] == [True, False, True]
    watched.presses.close()
    os.close(writer)


def test_one_that_is_stuck_is_let_go(path: Path) -> None:
    writer = opened(path)
    watched = Watched(path, longest_s=0.05)
    os.write(writer, key(1))
    changes = watched.until(2)
    assert changes[1].why == "the button is stuck: held for 0.05 s"
    watched.presses.close()
    os.close(writer)
