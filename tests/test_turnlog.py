"""The records of the last turns on disk: a ring that outlives the process, and forgets when it is told to."""

import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from assistant.messages import Cleared, Heartbeat, Message, ReplyEnded, Turn, TurnStarted
from assistant.turnlog import FILE, TurnLog, read

MS = 1_000_000
DAY = 86_400.0
Make = Callable[..., TurnLog]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / FILE


def log(path: Path, keep: int = 3, wall: float = 100 * DAY) -> TurnLog:
    return TurnLog(path, 30.0, keep, lambda: wall)


def told(turns: TurnLog, start: int, text: str = "what is it", conversation: str = "live", revision: int = 0) -> None:
    """A turn that is answered without a sound."""
    turn = Turn(conversation, start, revision)
    messages: list[Message] = [
        TurnStarted(turn=turn, text=text, spoken=False, last_sample_at=start),
        ReplyEnded(turn=turn, reason="stop", text="Red.", sentences=0),
        Heartbeat(state="ready"),
    ]
    for number, message in enumerate(messages):
        turns.note(message, start + (number + 1) * 400 * MS)


def texts(path: Path) -> list[str]:
    return [entry.record.heard for entry in read(path)]


def test_the_last_turns_are_kept_and_no_more(path: Path) -> None:
    turns = log(path)
    for number in range(20):
        told(turns, number * 10_000 * MS, f"question {number}")
        assert len(path.read_bytes().splitlines()) <= 6
        assert texts(path)[-3:] == [f"question {n}" for n in range(max(0, number - 2), number + 1)]
    assert turns.trouble == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_process_goes_on_with_them(path: Path) -> None:
    told(log(path), 1, "first")
    again = log(path)
    told(again, 2, "second")
    assert texts(path) == ["first", "second"]
    entries = read(path)
    assert {entry.wall for entry in entries} == {100 * DAY}
    assert [entry.record.turn.start for entry in entries] == [1, 2]
    assert len({entry.boot for entry in entries}) == 1


def test_what_is_older_than_the_retention_is_dropped_at_the_start(path: Path) -> None:
    told(log(path), 1, "old")
    told(log(path, wall=129 * DAY), 2, "new")
    log(path, wall=131 * DAY)
    assert texts(path) == ["new"]


def test_a_later_revision_replaces_the_earlier_one_and_another_boot_does_not(path: Path) -> None:
    turns = log(path)
    told(turns, 1, "what is")
    told(turns, 1, "what is it", revision=1)
    assert texts(path) == ["what is it"]
    (entry,) = read(path)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(msgspec.structs.replace(entry, boot="another")) + b"\n")
    assert len(read(path)) == 2


def test_what_is_forgotten_is_gone_from_here_too(path: Path) -> None:
    turns = log(path)
    told(turns, 1, "secret")
    turns.note(Cleared(conversation="live", why="gap"), 2)  # it merely ended
    assert texts(path) == ["secret"]
    turns.note(Cleared(conversation="other", why="asked"), 3)
    assert texts(path) == ["secret"]
    turns.note(Cleared(conversation="live", why="asked"), 4)
    assert b"secret" not in path.read_bytes()
    told(turns, 5, "after")
    assert texts(path) == ["after"]


def test_of_other_conversations_only_the_figures_are_kept(path: Path) -> None:
    told(log(path), 1, "secret", conversation="client-7")
    (entry,) = read(path)
    assert (entry.record.turn.conversation, entry.record.heard, entry.record.answer) == ("client-7", "", "")
    assert entry.record.stages is not None
    assert b"secret" not in path.read_bytes()


def test_torn_and_foreign_lines_are_left_out(path: Path) -> None:
    told(log(path), 1, "whole")
    whole = path.read_bytes()
    path.write_bytes(b'{"boot": "x"}\n\xff\xfe\n' + whole + whole[:50])
    assert texts(path) == ["whole"]
    told(log(path), 2, "next")
    assert texts(path) == ["whole", "next"]


def test_a_disk_that_refuses_is_told_and_the_turns_go_on(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    turns = log(tmp_path / "state" / FILE)
    told(turns, 1)
    assert "cannot be written" in turns.trouble
    (tmp_path / "state").unlink()
    told(turns, 2)
    assert turns.trouble == ""
    assert len(read(tmp_path / "state" / FILE)) == 2
