"""What everything but the models costs: the figures of ``assistant bench overhead``."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from assistant.bus import Bus
from assistant.client import Client, Unavailable, private
from assistant.lock import holder
from assistant.messages import (
    LIVE,
    SERVICES,
    Ask,
    CameraState,
    Embedding,
    Frame,
    Message,
    Picture,
    PictureBound,
    ReplyEnded,
    ReplySentence,
    SpeakerIdle,
    Speaking,
    Turn,
)
from pipelines import image

Say = Callable[[str], None]

EMBEDDING_ROWS, EMBEDDING_WIDTH = 196, 8192  # Qwen3-VL-2B at 448 px: 6.4 MB, the largest that boards send
IDLE_S = 10.0
QUESTIONS = ("what do you see", "how many objects are there", "is the lamp on", "what does the gauge read", "hello")


def measure(profile: str, sets: Sequence[str], board: str, turns: int, say: Say) -> dict[str, Any]:
    """All figures. Times in ms unless the name says otherwise."""
    say("messages between two processes …")
    figures: dict[str, Any] = {
        "embedding_ms": _transit(Embedding, EMBEDDING_ROWS * EMBEDDING_WIDTH * 4, 60),
        "frame_ms": _transit(Frame, 1280 * 720 * 3, 60),
    }
    say("starting the daemon twice, the second time with warm caches …")
    with private(profile, sets, board):
        pass
    began = time.monotonic()
    with private(profile, sets, board) as runtime:
        figures["ready_s"] = round(time.monotonic() - began, 2)
        client = Client(runtime)
        try:
            _place(client, 0)
            say(f"{turns} typed turns …")
            figures |= _timed_turns(client, turns)
            figures["prompt_tokens"] = _tokens(client, pictures=1)
            figures["prompt_tokens_three_pictures"] = _tokens(client, pictures=3)
            say(f"{IDLE_S:g} s of rest …")
            figures["idle_cpu_percent"] = _idle_cpu(runtime)
            figures["pss_mb"] = _memory(runtime)
        finally:
            client.close()
    return figures


def _picture(number: int) -> bytes:
    """A 640x480 picture; what it shows does not matter, but different numbers must not look the same."""
    canvas = np.full((480, 640, 3), 90, np.uint8)
    canvas[100 + 60 * number : 160 + 60 * number, 200:400] = (220, 30 * number, 40)
    return image.encode_png(canvas)


def _place(client: Client, number: int) -> None:
    """Put a picture before the default camera."""
    label = f"bench-{time.monotonic_ns()}"
    client.bus.listen(CameraState)
    client.bus.send(Picture(label=label), _picture(number))
    if client.bus.wait_for(CameraState, 5.0, lambda state: state.label == label) is None:
        raise Unavailable("the camera does not show what it was sent")


# --- turns ---


def _timed_turns(client: Client, turns: int) -> dict[str, Any]:
    """From the question's arrival to the reply's first sample, less the engines' own time on that path."""
    client.bus.listen(PictureBound, ReplySentence, Speaking, Embedding, ReplyEnded, SpeakerIdle)
    overhead, ages = [], []
    for number in range(turns + 5):
        turn = Turn(LIVE, time.monotonic_ns())
        client.bus.send(Ask(turn=turn, text=QUESTIONS[number % len(QUESTIONS)]))
        engines, sentence, deadline = 0.0, 0.0, time.monotonic() + 20
        while time.monotonic() < deadline:
            received = client.bus.receive(1.0)
            message = received.message if received else None
            if getattr(message, "turn", None) != turn:
                continue
            if isinstance(message, Embedding):
                engines += message.engine_ms
            elif isinstance(message, PictureBound):
                ages.append(max(0.0, (turn.start - message.verified_at) / 1e6))
            elif isinstance(message, ReplySentence) and message.index == 0:
                sentence = message.engine_ms
            elif isinstance(message, Speaking):
                total = (message.first_sample_at - turn.start) / 1e6
                if number >= 5:  # the first ones warm up
                    overhead.append(total - engines - sentence - message.engine_ms)
                break
    return {"turns": len(overhead), "non_model_ms": _quantiles(overhead), "frame_age_ms": _quantiles(ages)}


def _tokens(client: Client, pictures: int, turns: int = 10) -> dict[str, int]:
    """Prompt tokens of a conversation over one or more pictures: how many there were, how many were computed."""
    client.clear()
    client.bus.listen(SpeakerIdle)
    computed = total = 0
    for number in range(turns):
        if number * pictures % turns < pictures:
            _place(client, number * pictures // turns)
        for received in client.ask(QUESTIONS[number % 4]):
            if isinstance(received.message, ReplyEnded):
                ended = received.message
        usage = ended.usage
        total += usage.prompt_tokens
        computed += usage.prompt_tokens - usage.cached_tokens
        # The next question would interrupt what is being spoken, and the history would hold only the words heard.
        client.bus.wait_for(SpeakerIdle, 15.0)
    return {"computed": computed, "total": total}


# --- the machine ---


def _idle_cpu(runtime: Path) -> float:
    """Percent of one core that all services together use when nobody asks anything (5 pictures of 640x480 a second)."""
    before, began = sum(_cpu_s(pid) for pid in _pids(runtime).values()), time.monotonic()
    time.sleep(IDLE_S)
    spent = sum(_cpu_s(pid) for pid in _pids(runtime).values()) - before
    return round(100 * spent / (time.monotonic() - began), 1)


def _memory(runtime: Path) -> dict[str, Any]:
    """Proportional set size of each process, MB (shared pages count once over all)."""
    sizes = {name: _pss_mb(pid) for name, pid in _pids(runtime).items()}
    return {"total": round(sum(sizes.values()), 1), "by_service": sizes}


def _pids(runtime: Path) -> dict[str, int]:
    found = {name: holder(runtime / f"{name}.lock") for name in (*SERVICES, "supervisor")}
    return {name: pid for name, pid in found.items() if pid is not None}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


# --- transit ---


def _transit(kind: type[Message], size: int, count: int) -> dict[str, float]:
    """From publish to received in another process, of messages with a payload of ``size`` bytes, 30 a second."""
    with tempfile.TemporaryDirectory(prefix="bus-") as home:
        publisher = "vision" if kind is Embedding else "camera"
        bus = Bus(Path(home), publisher)
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        reader = multiprocessing.get_context("spawn").Process(target=_read, args=(home, kind.__name__, count, theirs))
        reader.start()
        try:
            while not bus.wanted(kind):
                bus.receive(0.05)
            payload = bytes(size)
            began = time.monotonic()
            for number in range(1, count + 1):
                bus.publish(_sample(kind), payload)
                bus.receive(max(0.0, began + number / 30 - time.monotonic()))
            return _quantiles(ours.recv() if ours.poll(20) else [])
        finally:
            bus.close()
            reader.join(5)


def _read(home: str, name: str, count: int, pipe: Connection) -> None:
    kind = next(kind for kind in (Embedding, Frame) if kind.__name__ == name)
    bus = Bus(Path(home))
    bus.listen(kind)
    delays: list[float] = []
    deadline = time.monotonic() + 15
    while len(delays) < count and time.monotonic() < deadline:
        received = bus.receive(0.5)
        if received is not None and received.payload:
            delays.append((time.monotonic_ns() - received.stamp.sent_at) / 1e6)
        elif delays and received is None:
            break
    pipe.send(delays)
    bus.close()


def _sample(kind: type[Message]) -> Message:
    if kind is Frame:
        return Frame(camera="main", seq=0, captured_at=0, width=1280, height=720, signature=b"")
    return Embedding(
        turn=Turn(LIVE, 0),
        identity="",
        camera="",
        frame_seq=0,
        captured_at=0,
        verified_at=0,
        signature=b"",
        form="rows",
        tokens=EMBEDDING_ROWS,
        width=EMBEDDING_WIDTH,
    )


def _quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}
