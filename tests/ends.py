"""Both ends of a bus in one test: what is published, and what came."""

import time
from collections.abc import Callable, Sequence

from assistant.bus import Bus
from assistant.messages import LIVE, Ask, Frame, Message, Turn
from assistant.wire import Received

PATIENCE_S = 20.0
TURN = Turn(LIVE, 1)
ASK = Ask(turn=TURN, text="what is there?")
Join = Callable[..., Bus]


def show(camera: Bus, picture: Frame) -> None:
    """As a service does: it looks at its bus between frames, and so learns that there is room in the short queue."""
    camera.receive(0.0)
    camera.publish(picture, b"rgbrgb")


def until_wanted(publisher: Bus, *kinds: type[Message]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not all(publisher.wanted(kind) for kind in kinds):
        assert time.monotonic() < deadline, f"nobody subscribed to {kinds}"
        publisher.receive(0.05)


def received(bus: Bus) -> Received:
    found = bus.receive(PATIENCE_S)
    assert found is not None, "nothing came"
    return found


def look_at_all(buses: Sequence[Bus], until: Callable[[dict[str, list[Message]]], bool]) -> dict[str, list[Message]]:
    """What comes to each, until that is enough."""
    came: dict[str, list[Message]] = {bus.name: [] for bus in buses}
    deadline = time.monotonic() + PATIENCE_S
    while not until(came):
        assert time.monotonic() < deadline, came
        for bus in buses:
            if found := bus.receive(0.01):
                came[bus.name].append(found.message)
    return came
