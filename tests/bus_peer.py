"""``python -m tests.bus_peer RUNTIME ROLE``: another process on the bus.

camera: publishes CameraState "live" with its process id, again and again. vision: tells the number of each Frame that
it receives, as the start of an Unseen's turn.
"""

import os
import sys
from pathlib import Path

from assistant.bus import Bus
from assistant.messages import LIVE, CameraState, Frame, Turn, Unseen


def main(runtime: str, role: str) -> None:
    bus = Bus(Path(runtime), role)
    if role == "camera":
        while True:
            bus.receive(0.01)
            bus.publish(CameraState(camera="main", state="live", detail=str(os.getpid())))
    bus.listen(Frame)
    while True:
        received = bus.receive(None)
        if received is not None and isinstance(received.message, Frame):
            bus.publish(Unseen(turn=Turn(LIVE, received.message.seq), why="none"))


if __name__ == "__main__":
    main(*sys.argv[1:])
