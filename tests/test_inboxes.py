"""Sending to inboxes over real sockets, and what a stranger may send there."""

import logging
import os
import threading
import time
from pathlib import Path

import msgspec
import pytest
import zmq

from assistant.bus import Bus, endpoint
from assistant.messages import VERSION, Heard, Mute
from assistant.wire import BusError, Stamp
from tests.ends import ASK, PATIENCE_S, TURN, Join, look_at_all, received

# --- inboxes ---


def test_an_inbox_that_is_not_there_is_named_with_the_mend(join: Join, runtime: Path) -> None:
    client = join()
    with pytest.raises(BusError, match=rf"dialogue does not take messages in {runtime}: is the daemon running\?"):
        client.send(ASK, timeout_s=0.05)


def test_one_that_is_there_but_does_not_look_is_told_from_one_that_is_not(join: Join) -> None:
    join("dialogue")
    with pytest.raises(BusError, match=rf"dialogue does not take .*: process {os.getpid()} is busy"):
        join().send(ASK, timeout_s=0.05)


def test_a_message_for_several_inboxes_goes_to_all_or_none(join: Join) -> None:
    camera, client = join("camera"), join()
    mutes = [Mute(device="camera", muted=muted) for muted in (True, False, True)]
    with pytest.raises(BusError, match="microphone does not take"):
        client.send(mutes[0], timeout_s=0.2)
    services = camera, join("microphone"), join("speaker")

    def send_all() -> None:
        for mute in mutes:
            client.send(mute, timeout_s=PATIENCE_S)

    sending = threading.Thread(target=send_all)
    sending.start()
    came = look_at_all(services, until=lambda came: all(len(messages) == 3 for messages in came.values()))
    sending.join()
    assert list(came.values()) == [mutes] * 3
    assert [service.wire.gaps for service in services] == [0, 0, 0]


def test_what_no_inbox_takes_cannot_be_sent(join: Join) -> None:
    with pytest.raises(BusError, match="no service takes Heard"):
        join().send(Heard(turn=TURN, stream="main", text="x", last_sample_at=1))


def test_an_inbox_is_found_again_after_its_service_was_restarted(join: Join) -> None:
    """What is sent before the loss is noticed is lost: hence a command is confirmed by the event that it causes."""
    done = threading.Event()

    def keep_asking(client: Bus) -> None:
        while not done.is_set():
            client.send(ASK, timeout_s=PATIENCE_S)

    asking = threading.Thread(target=keep_asking, args=(join(),))
    asking.start()
    try:
        for _ in range(3):
            dialogue = join("dialogue")
            assert received(dialogue).message == ASK
            dialogue.close()
        last = join("dialogue")
        assert received(last).message == ASK
    finally:
        done.set()
        asking.join()


# --- bad messages ---


def test_bad_messages_are_dropped_and_the_service_goes_on(runtime: Path, caplog: pytest.LogCaptureFixture) -> None:
    dialogue = Bus(runtime, "dialogue")
    encode = msgspec.msgpack.encode
    good = [b"Ask|", encode(Stamp(VERSION, "stranger", 1, 0, 1)), encode(ASK)]
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket, caplog.at_level(logging.WARNING):
        socket.connect(endpoint(runtime, "dialogue", "in"))
        deadline = time.monotonic() + PATIENCE_S
        while not socket.poll(10) or socket.recv() != b"\x01Ask|":
            assert time.monotonic() < deadline
            dialogue.receive(0.0)
        for _ in range(2):
            socket.send(b"Ask|")
            socket.send_multipart([b"Ask|?", *good[1:]])
            socket.send_multipart([*good[:2], b"\xc1"])
            socket.send_multipart([good[0], encode(Stamp(VERSION + 1, "stranger", 1, 0, 1)), good[2]])
            socket.send_multipart([*good[:2], bytes(2 << 20)])
        socket.send_multipart(good)
        assert received(dialogue).message == ASK
    assert dict(dialogue.wire.refused) == {"malformed": 4, "unknown": 2, "version": 2, "oversized": 2}
    assert len(caplog.records) == 4
    dialogue.close()
