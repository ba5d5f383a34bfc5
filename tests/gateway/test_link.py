"""The link between the bus and the web server's loop, over a real bus."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from assistant.bus import Bus
from assistant.gateway.link import Closed, Link, Overrun, Unreachable
from assistant.messages import (
    LIVE,
    Clear,
    Frame,
    Heartbeat,
    Interrupt,
    Picture,
    ReplyToken,
    SpeakerState,
    SpeechStarted,
    Turn,
)
from assistant.notify import Notifier
from assistant.service import Service

Join = Callable[..., Bus]
Run = Callable[[Callable[[Link], Awaitable[None]]], None]
PATIENCE_S = 20.0


@pytest.fixture
def run(join: Join, tmp_path: Path) -> Iterator[Run]:
    """Runs a coroutine in a loop of its own, while this thread's counterpart pumps."""
    service = Service(join("gateway"), Notifier(), tmp_path)
    link = Link(service, ("dialogue", "speaker"), "1.0")

    def pump() -> None:
        while service.running:
            link.pump()

    thread = threading.Thread(target=pump)

    def once(work: Callable[[Link], Awaitable[None]]) -> None:
        async def inside() -> None:
            link.connect(asyncio.get_running_loop())
            thread.start()
            await asyncio.wait_for(work(link), PATIENCE_S)

        asyncio.run(inside())

    yield once
    service.stop()
    if thread.ident is not None:
        thread.join(PATIENCE_S)


def until_wanted(bus: Bus, kind: type) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not bus.wanted(kind):
        assert time.monotonic() < deadline, f"nobody wants {kind.__name__}"
        bus.receive(0.02)


def token(index: int) -> ReplyToken:
    return ReplyToken(turn=Turn(LIVE, 1), text=str(index), index=index)


def test_what_is_followed_arrives_in_order_and_nothing_else(run: Run, join: Join) -> None:
    dialogue = join("dialogue")

    async def work(link: Link) -> None:
        await asyncio.to_thread(until_wanted, dialogue, ReplyToken)
        with link.follow(ReplyToken, where=lambda received: received.message.turn.start == 1) as inbox:  # type: ignore[attr-defined]
            for index in range(50):
                dialogue.publish(token(index))
                dialogue.publish(ReplyToken(turn=Turn(LIVE, 2), text="other", index=index))
            told = [await inbox.get(PATIENCE_S) for _ in range(50)]
            assert [one and one.message for one in told] == [token(index) for index in range(50)]
            assert await inbox.get(0.05) is None

    run(work)


def test_who_reads_too_slowly_is_told_and_nobody_waits(run: Run, join: Join) -> None:
    dialogue = join("dialogue")

    async def work(link: Link) -> None:
        await asyncio.to_thread(until_wanted, dialogue, ReplyToken)
        with link.follow(ReplyToken, limit=3) as slow, link.follow(ReplyToken) as quick:
            for index in range(10):
                dialogue.publish(token(index))
            assert [one.message.index for one in [await quick.get(PATIENCE_S) for _ in range(10)] if one] == list(  # type: ignore[attr-defined]
                range(10)
            )
            with pytest.raises(Overrun):
                await slow.get(PATIENCE_S)

    run(work)


def test_a_message_is_sent_once_its_service_is_there(run: Run, join: Join) -> None:
    async def work(link: Link) -> None:
        sent = asyncio.ensure_future(link.send(Clear()))
        done, _ = await asyncio.wait({sent}, timeout=0.2)
        assert not done
        dialogue = join("dialogue")

        def taken() -> object:
            received = dialogue.receive(PATIENCE_S)
            return received and received.message

        assert await asyncio.to_thread(taken) == Clear()
        await sent

    run(work)


def test_a_service_that_is_not_there_is_named_and_the_others_are_reached(
    run: Run, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.gateway.link.SEND_S", 0.5)
    dialogue = join("dialogue")

    def taken() -> object:
        received = dialogue.receive(PATIENCE_S)
        return received and received.message

    async def work(link: Link) -> None:
        nobody = asyncio.ensure_future(link.send(Interrupt(before=1)))  # for speaker and dialogue
        reached = asyncio.ensure_future(link.send(Clear()))
        assert await asyncio.to_thread(taken) == Interrupt(before=1)
        assert await asyncio.to_thread(taken) == Clear()
        await reached
        with pytest.raises(Unreachable, match="speaker does not take messages"):
            await nobody

    run(work)


def test_what_this_daemon_does_not_run_is_not_waited_for(run: Run, join: Join) -> None:
    async def work(link: Link) -> None:
        with pytest.raises(Unreachable, match=r"runs without camera \(supervisor.services\)"):
            await link.send(Picture())

    run(work)


def test_pixels_are_subscribed_only_while_somebody_looks(run: Run, join: Join) -> None:
    camera = join("camera")

    def frame(seq: int) -> None:
        camera.publish(
            Frame(camera="main", seq=seq, captured_at=seq, width=1, height=1, signature=b""), bytes([seq, 0, 0])
        )

    def unwanted() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while camera.wanted(Frame):
            assert time.monotonic() < deadline
            camera.receive(0.02)

    async def work(link: Link) -> None:
        assert not camera.wanted(Frame)
        for seq in (1, 2):  # and again after that
            with link.follow(Frame) as looking:
                await asyncio.to_thread(until_wanted, camera, Frame)
                frame(seq)
                received = await looking.get(PATIENCE_S)
                assert received is not None
                assert bytes(received.payload) == bytes([seq, 0, 0])
            await asyncio.to_thread(unwanted)

    run(work)


def test_the_snapshot_is_what_was_delivered(run: Run, join: Join) -> None:
    speaker, microphone, dialogue = join("speaker"), join("microphone"), join("dialogue")

    async def work(link: Link) -> None:
        for bus, kind in ((speaker, SpeakerState), (microphone, SpeechStarted), (dialogue, Heartbeat)):
            await asyncio.to_thread(until_wanted, bus, kind)
        with link.follow(SpeakerState, SpeechStarted, Heartbeat) as inbox:
            dialogue.publish(Heartbeat(state="ready", detail="onnx"))
            speaker.publish(SpeakerState(volume=0.5, muted=False))
            microphone.publish(SpeechStarted(turn=Turn(LIVE, 5), stream=""))
            for _ in range(3):
                await inbox.get(PATIENCE_S)
        now = link.state
        assert (now.phase, now.speaker.volume, now.services["dialogue"].detail) == ("listening", 0.5, "onnx")
        assert now.services["speaker"].state == "absent"
        assert now.services["gateway"].state == "starting"  # its own: it has not said that it is ready

    run(work)


def test_who_waits_is_told_when_the_gateway_ends(run: Run) -> None:
    async def work(link: Link) -> None:
        with link.follow(ReplyToken) as inbox:
            waiting = asyncio.ensure_future(inbox.get())
            await asyncio.sleep(0)
            link.close()
            with pytest.raises(Closed):
                await waiting

    run(work)
