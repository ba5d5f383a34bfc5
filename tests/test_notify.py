"""sd_notify as systemd reads it, and the lifeline."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.notify import LIFELINE, Notifier, cut, lifeline, parse


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, runtime: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(runtime / "notify") if request.param == "path" else f"\0ea-test-{os.getpid()}")
        listening.settimeout(10.0)
        yield listening


def notifier(listener: socket.socket) -> Notifier:
    address = listener.getsockname()
    return Notifier({"NOTIFY_SOCKET": "@" + address[1:].decode() if isinstance(address, bytes) else address})


def test_fields_arrive_in_one_datagram(listener: socket.socket) -> None:
    notifier(listener).tell(READY=1, STATUS="ready, 3 s")
    assert listener.recv(4096) == b"READY=1\nSTATUS=ready, 3 s"


def test_a_text_of_several_lines_is_no_more_than_a_text(listener: socket.socket) -> None:
    notifier(listener).tell(STATUS="failed: no such file\nREADY=1\r\nSTATUS=ready")
    assert parse(listener.recv(4096)) == {"STATUS": "failed: no such file READY=1 STATUS=ready"}


def test_nobody_who_reads_blocks_nobody(listener: socket.socket) -> None:
    talking = notifier(listener)
    for _ in range(5000):  # more than the socket's queue holds
        talking.tell(WATCHDOG=1)
    listener.close()
    talking.tell(WATCHDOG=1)


def test_a_watchdog_is_given_patience_for_one_long_call(listener: socket.socket) -> None:
    """systemd hears EXTEND_TIMEOUT_USEC only while it starts or stops a service; its watchdog runs by itself."""
    address = listener.getsockname()
    named = "@" + address[1:].decode() if isinstance(address, bytes) else address
    watched = Notifier({"NOTIFY_SOCKET": named, "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())})
    watched.busy("loading", 60.0)
    watched.alive()
    watched.alive()
    said = [parse(listener.recv(4096)) for _ in range(3)]
    assert [fields["WATCHDOG"] for fields in said] == ["1", "1", "1"]
    assert said[0]["EXTEND_TIMEOUT_USEC"] == "60000000"
    assert [fields.get("WATCHDOG_USEC") for fields in said] == ["80000000", "20000000", None]


@pytest.mark.parametrize(
    "environ", [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}], ids=str
)
def test_no_watchdog_is_lengthened_where_none_is_ours(listener: socket.socket, environ: dict[str, str]) -> None:
    address = listener.getsockname()
    named = "@" + address[1:].decode() if isinstance(address, bytes) else address
    Notifier({"NOTIFY_SOCKET": named, **environ}).busy("loading", 60.0)
    assert "WATCHDOG_USEC" not in parse(listener.recv(4096))


def test_silent_without_a_socket() -> None:
    Notifier({}).tell(READY=1)
    Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).tell(READY=1)


@given(st.binary(max_size=200))
def test_any_datagram_can_be_read(datagram: bytes) -> None:
    assert all("\n" not in name + value for name, value in parse(datagram).items())


@given(st.dictionaries(st.from_regex(r"[A-Z]{1,8}", fullmatch=True), st.text("abc =,é", min_size=1)))
def test_what_is_told_is_what_is_read(fields: dict[str, str]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # the kernel picks an abstract name
        notifier(listening).tell(**fields)
        assert parse(listening.recv(65536)) == fields


def test_the_lifeline_is_cut_when_the_other_end_closes() -> None:
    reading, writing = os.pipe()
    assert lifeline({LIFELINE: str(reading)}) == reading
    assert not cut(reading)
    os.close(writing)
    assert cut(reading)
    os.close(reading)


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "99999"])
def test_no_lifeline_where_none_was_given(value: str) -> None:
    assert lifeline({LIFELINE: value}) is None
    assert lifeline({}) is None


def test_the_lifeline_of_a_parent_is_not_taken_for_ours(tmp_path: Path) -> None:
    """A grandchild inherits the variable but not the pipe; the number may be some other file of its own."""
    with open(tmp_path / "file", "w") as other:
        assert lifeline({LIFELINE: str(other.fileno())}) is None
