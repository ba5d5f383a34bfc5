"""A service for tests that does as its settings and its inbox say. It poses as a real one: TOPICS knows only those.

A Picture's label is a command to it: "hang", "crash", "busy" (a long call, announced), "babble" (to its starter) or any
other word; it confirms with a CameraState.
"""

import signal
import time
from typing import Literal

from assistant import config
from assistant.lock import holder
from assistant.messages import CameraState, Picture
from assistant.notify import Notifier
from assistant.service import Service, Unfit

HANG_S = 600.0  # longer than any test waits
BUSY_S = 3.0


class Settings(config.Settings, frozen=True, kw_only=True):
    act: Literal["well", "unfit", "crashing", "stubborn", "stuck at start", "quits"] = "well"
    together: tuple[str, ...] = ()  # ready only once all of these have started


def run(service: Service, settings: Settings) -> None:
    match settings.act:
        case "unfit":
            raise Unfit("the model is missing;\nREADY=1 run make pico")
        case "crashing":
            raise RuntimeError("something broke")
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            service.ready()
            time.sleep(HANG_S)
        case "stuck at start":
            service.busy("loading", 60.0)
            time.sleep(HANG_S)
        case "quits":
            return
    for name in settings.together:
        while holder(service.bus.runtime / f"{name}.lock") is None:
            service.receive(0.01)
    service.ready()
    for received in service.messages():
        if received is not None and isinstance(received.message, Picture):
            obey(service, received.message.label)
    with open(service.state_dir / "ended", "a") as ended:  # one write of one line: whole, also among several processes
        ended.write(f"{service.name}\n")


def obey(service: Service, command: str) -> None:
    match command:
        case "hang":
            service.publish(CameraState(camera="main", state="live", label="hang"))
            time.sleep(HANG_S)
        case "busy":
            service.busy("thinking", 60.0)
            time.sleep(BUSY_S)
        case "crash":
            raise RuntimeError("told to crash")
        case "babble":
            Notifier().tell(EXTEND_TIMEOUT_USEC="soon", READY="\n\n=")
    service.publish(CameraState(camera="main", state="live", label=command))
