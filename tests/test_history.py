"""The conversation on disk: kept, ordered, cleared, and never in the way of an answer."""

import resource
import sqlite3
from pathlib import Path

import pytest

from assistant.history import History


def test_turns_come_back_in_order_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history.db"
    now = [1000.0]
    history = History(path, keep_days=30, wall=lambda: now[0])
    for start in (5, 6):
        history.put("live", start, f"turn {start}".encode())
        now[0] += 1
    history.put("other", 7, b"not ours")
    history.put("live", 6, b"turn 6, cut short")  # written again with what became of it
    history.close()
    again = History(path, keep_days=30, wall=lambda: now[0])
    assert again.load("live") == [b"turn 5", b"turn 6, cut short"]
    again.clear("live")
    assert again.load("live") == []
    assert again.load("other") == [b"not ours"]
    again.close()


def test_what_is_older_than_the_retention_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    history = History(path, keep_days=1, wall=lambda: 0.0)
    history.put("live", 1, b"old")
    history.close()
    again = History(path, keep_days=1, wall=lambda: 2 * 86_400.0)
    assert again.load("live") == []
    again.close()


def test_nothing_is_written_when_retention_is_off(tmp_path: Path) -> None:
    history = History(None, keep_days=0)
    history.put("live", 1, b"x")
    assert history.load("live") == []
    assert history.trouble == ""
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_file_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(b"this is no database" * 100)
    history = History(path, keep_days=30, wall=lambda: 7.0)
    assert "history.db.bad-7" in history.trouble
    history.put("live", 1, b"goes on")
    assert history.load("live") == [b"goes on"]
    history.close()
    assert (tmp_path / "history.db.bad-7").read_bytes().startswith(b"this is no database")


def test_a_locked_database_is_reported_and_not_moved(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    History(path, keep_days=30).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    history = History(path, keep_days=30)
    history.put("live", 1, b"x")
    assert "locked" in history.trouble
    holder.close()
    assert [p.name for p in tmp_path.glob("*.bad-*")] == []
    history.close()


def test_a_path_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    history = History(tmp_path / "file" / "history.db", keep_days=30)
    history.put("live", 1, b"x")
    assert history.trouble
    history.close()


def test_a_wall_clock_that_is_set_back_changes_no_order(tmp_path: Path) -> None:
    now = [10_000.0]
    history = History(tmp_path / "history.db", keep_days=30, wall=lambda: now[0])
    history.put("live", 1, b"first")
    now[0] -= 3600
    history.put("live", 2, b"second")
    history.put("live", 1, b"first, cut short")
    assert history.load("live") == [b"first, cut short", b"second"]
    history.close()


def test_a_full_disk_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db", keep_days=30)
    history.put("live", 1, b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, limits[1]))
    try:
        for start in range(2, 40):
            history.put("live", start, b"x" * 4_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot be written" in history.trouble
    history.put("live", 50, b"there is room again")
    assert history.trouble == ""
    assert history.load("live")[0] == b"before"
    history.close()


@pytest.mark.parametrize("record", [b"", b"\x00\xff", b"x" * 1_000_000])
def test_any_record_comes_back_as_it_was(tmp_path: Path, record: bytes) -> None:
    history = History(tmp_path / "history.db", keep_days=30)
    history.put("live", 1, record)
    assert history.load("live") == [record]
    history.close()
