"""systemd's own tools, asked to do something or what they know."""

import shlex
import subprocess
from collections.abc import Sequence

from assistant.installation import Refused
from assistant.unitfiles import Place

SHOWN = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts", "StatusText")


def systemctl(place: Place, *arguments: str) -> None:
    call(*manager(place), *arguments)


def end(place: Place, names: Sequence[str]) -> None:
    """Stop units that go, and let systemd forget how they ended (of which it may know nothing: no fault)."""
    if names:
        systemctl(place, "stop", *names)
        subprocess.run([*manager(place), "reset-failed", *names], capture_output=True)


def manager(place: Place) -> list[str]:
    return ["systemctl", *(["--user"] if place.manager == "user" else [])]


def call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Refused(f"`{shlex.join(command)}` failed: {' '.join(done.stderr.split()) or done.returncode}")


def shown(place: Place, name: str) -> dict[str, str]:
    """What systemd says of a unit; empty without systemd."""
    command = [*manager(place), "show", name, *(f"-p{key}" for key in SHOWN)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return {"ActiveState": "unknown"}
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    return found if done.returncode == 0 else {"ActiveState": "unknown"}
