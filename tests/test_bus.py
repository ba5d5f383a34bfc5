"""The bus over real sockets, within one process; test_inboxes.py and test_bus_processes.py have the rest."""

import os
import stat
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from assistant.bus import PATH_LIMIT, SIDES, Bus, endpoint
from assistant.lock import Held
from assistant.messages import (
    CameraState,
    Embedding,
    Frame,
    Heard,
    Heartbeat,
    Interrupt,
)
from assistant.wire import BusError
from tests.ends import ASK, PATIENCE_S, TURN, Join, received, show, until_wanted


def heard(text: str) -> Heard:
    return Heard(turn=TURN, stream="main", text=text, last_sample_at=1)


def frame(seq: int, camera: str = "main") -> Frame:
    return Frame(camera=camera, seq=seq, captured_at=seq, width=2, height=1, signature=b"")


# --- binding and connecting ---


def test_connect_before_bind(join: Join) -> None:
    client = join()
    client.listen(Heard)
    microphone = join("microphone")
    until_wanted(microphone, Heard)
    microphone.publish(heard("hello"))
    assert received(client).message == heard("hello")


def test_send_before_bind(join: Join) -> None:
    client = join()
    sending = threading.Thread(target=client.send, args=(ASK, None, PATIENCE_S))
    sending.start()
    dialogue = join("dialogue")
    assert received(dialogue).message == ASK
    sending.join()


def test_a_second_binder_is_refused_and_the_first_keeps_its_endpoint(join: Join, runtime: Path) -> None:
    camera = join("camera")
    before = {path.name: path.stat().st_ino for path in runtime.iterdir()}
    with pytest.raises(Held, match=rf"camera already runs in {runtime} \(process {os.getpid()}\)"):
        join("camera")
    assert {path.name: path.stat().st_ino for path in runtime.iterdir()} == before
    client = join()
    client.listen(CameraState)
    until_wanted(camera, CameraState)
    camera.publish(CameraState(camera="main", state="live"))
    assert isinstance(received(client).message, CameraState)


def test_nothing_is_left_when_it_is_closed(runtime: Path) -> None:
    bus = Bus(runtime / "new", "camera")
    assert stat.S_IMODE((runtime / "new").stat().st_mode) == 0o700
    assert {path.name for path in (runtime / "new").iterdir()} == {f"camera.{s}" for s in (*SIDES, "lock")}
    bus.close()
    assert list((runtime / "new").iterdir()) == []


def test_too_long_a_path_is_refused_with_the_mend_and_leaves_nothing(runtime: Path) -> None:
    room = PATH_LIMIT - len(os.fsencode(runtime)) - len("//camera.pub")
    fits, too_long = runtime / ("x" * room), runtime / ("x" * (room + 1))
    Bus(fits, "camera").close()
    with pytest.raises(BusError, match=r"too long for a socket .* use a shorter one \(--runtime\)"):
        Bus(too_long, "camera")
    assert list(too_long.iterdir()) == []
    assert endpoint(fits, "camera", "pub") == f"ipc://{fits}/camera.pub"


# --- publishing ---


def test_only_what_topics_allows_is_published(join: Join) -> None:
    with pytest.raises(BusError, match="camera does not publish Heard"):
        join("camera").publish(heard("x"))
    with pytest.raises(BusError, match="a client does not publish Heard"):
        join().publish(heard("x"))


def test_a_burst_arrives_whole_and_in_order(join: Join) -> None:
    """The microphone also publishes what counts only when it is the newest: the short queue of that is not this one."""
    microphone, client = join("microphone"), join()
    client.listen(Heard)
    until_wanted(microphone, Heard)
    for number in range(2000):
        microphone.publish(heard(str(number)))
    assert [received(client).message for _ in range(2000)] == [heard(str(number)) for number in range(2000)]
    assert client.wire.gaps == 0


def test_newest_skips_to_the_last(join: Join) -> None:
    camera, client = join("camera"), join()
    client.listen(Frame)
    until_wanted(camera, Frame)
    skipped = 0
    for last in range(2, 3000, 3):
        for seq in (last - 2, last - 1, last):
            show(camera, frame(seq))
        came = [received(client).message]
        while came[-1] != frame(last):
            came.append(received(client).message)
        assert came == sorted(came, key=lambda picture: getattr(picture, "seq", -1))
        skipped += 3 - len(came)
        if skipped > 5:  # how many wait at once is up to the machine
            return
    pytest.fail("nothing was ever skipped")


def test_the_newest_of_one_camera_does_not_push_out_that_of_another(join: Join) -> None:
    camera, client = join("camera"), join()
    client.listen(Frame)
    until_wanted(camera, Frame)
    for seq in range(100):
        pair = [frame(seq, "upload"), frame(seq, "main")]
        for picture in pair:
            show(camera, picture)
        assert [received(client).message for _ in pair] == pair


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_537, 6_400_000])
def test_a_payload_arrives_as_it_was(join: Join, size: int) -> None:
    vision, client = join("vision"), join()
    client.listen(Embedding)
    until_wanted(vision, Embedding)
    message = Embedding(
        turn=TURN,
        identity="main@1",
        camera="main",
        frame_seq=1,
        captured_at=1,
        verified_at=1,
        signature=b"",
        form="rows",
    )
    payload = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    vision.publish(message, payload)
    found = received(client)
    assert found.message == message
    assert np.array_equal(np.frombuffer(found.payload, np.uint8), payload)


def test_a_late_subscriber_is_told_the_state_of_each_camera(join: Join) -> None:
    camera = join("camera")
    for name, state in (("main", "live"), ("side", "lost"), ("main", "muted")):
        camera.publish(msgspec.convert({"camera": name, "state": state}, CameraState))
    client = join()
    client.listen(CameraState)
    until_wanted(camera, CameraState)
    assert [received(client).message for _ in range(2)] == [
        CameraState(camera="main", state="muted"),
        CameraState(camera="side", state="lost"),
    ]
    assert client.receive(0.0) is None


def test_what_answers_one_listener_is_told_to_no_later_one(join: Join) -> None:
    camera, client, answer = join("camera"), join(), CameraState(camera="upload-1", state="live", label="x")
    client.listen(CameraState)
    until_wanted(camera, CameraState)
    camera.publish(answer, once=True)
    assert received(client).message == answer
    client.close()
    later = join()
    later.listen(CameraState, Frame)
    until_wanted(camera, Frame)
    camera.publish(frame(1), b"rgbrgb")
    assert received(later).message == frame(1)
    assert later.receive(0.0) is None


def test_wanted_ends_when_the_subscriber_goes(join: Join) -> None:
    camera, client = join("camera"), join()
    assert not camera.wanted(Frame)
    client.listen(Frame)
    until_wanted(camera, Frame)
    client.close()
    deadline = time.monotonic() + PATIENCE_S
    while camera.wanted(Frame):
        assert time.monotonic() < deadline
        camera.receive(0.05)


# --- waiting ---


def test_wait_for_drops_the_rest_and_gives_up_in_time(join: Join) -> None:
    microphone, client = join("microphone"), join()
    client.listen(Heard, Interrupt)
    until_wanted(microphone, Heard, Interrupt)
    microphone.publish(heard("no"))
    microphone.publish(Interrupt(before=5))
    microphone.publish(heard("yes"))
    assert client.wait_for(Heard, PATIENCE_S, lambda message: message.text == "yes") == heard("yes")
    assert client.wait_for(Heartbeat, 0.01) is None


def test_a_watched_descriptor_ends_the_wait(join: Join) -> None:
    camera = join("camera")
    reading, writing = os.pipe()
    camera.watch(reading)
    os.write(writing, b"\0")
    assert camera.receive(None) is None
    os.close(writing)
    os.close(reading)
