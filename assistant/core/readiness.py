"""Whether the daemon does what its profile asks for: what is missing for that, and why."""

from collections.abc import Sequence

import msgspec

from assistant.core.vitals import Beat, Vitals
from assistant.messages import CameraState

SILENT_S = 10.0  # without a heartbeat: vision does not beat while it encodes, which may take some seconds
DRY_S = 5.0  # without a frame, or without sound …
FRAMES = 3  # … or so many frames, of a camera that shows fewer


class Missing(msgspec.Struct, frozen=True):
    """``what`` names a service or a device ("camera main"); ``why`` is for people."""

    what: str
    why: str


def missing(vitals: Vitals, wanted: Sequence[str], now: int) -> tuple[Missing, ...]:
    """What does not work though it is asked for and not muted; () when the daemon is ready.

    ``wanted``: the services of the profile. ``now``: ns, on the clock of the messages.
    """
    found = []
    for service in wanted:
        why = _service(vitals.beats.get(service), now)
        if why:
            found.append(Missing(service, why))
        else:
            found += _work(vitals, service, now)
    return tuple(found)


def alive(turned_at: int, now: int, patience_s: float = SILENT_S) -> bool:
    """Has a loop that last turned at ``turned_at`` (ns) done so in time?"""
    return now - turned_at <= patience_s * 1e9


def _service(beat: Beat | None, now: int) -> str:
    """Why a service is not there; "" if it is. What it can do without being whole is asked of its work."""
    if beat is None:
        return "nothing was heard of it yet"
    if now - beat.at > SILENT_S * 1e9:
        return f"nothing was heard of it for {(now - beat.at) / 1e9:.0f} s"
    if beat.told.state in ("starting", "stopping"):
        return f"it is {beat.told.state}"
    return ""


def _work(vitals: Vitals, service: str, now: int) -> list[Missing]:
    match service:
        case "camera":
            why = {name: _camera(vitals, state, now) for name, state in vitals.cameras.items()}
            return [Missing(f"camera {name}", told) for name, told in why.items() if told]
        case "microphone":
            told = _microphone(vitals, now)
        case "speaker":
            told = _speaker(vitals.beats["speaker"])
        case "dialogue":
            told = _model(vitals)
        case _:
            told = ""
    return [Missing(service, told)] if told else []


def _camera(vitals: Vitals, state: CameraState, now: int) -> str:
    if state.state == "muted":
        return ""
    if state.state != "live":
        return state.detail or "it is being opened"
    flow = vitals.flows.get(f"frames.{state.camera}")
    fps = vitals.beats["camera"].told.figures.get(f"fps.{state.camera}", 0.0)
    patience_s = max(DRY_S, FRAMES / fps) if fps > 0 else DRY_S
    return _dry(flow.at if flow is not None else 0, now, patience_s, "no frame came")


def _microphone(vitals: Vitals, now: int) -> str:
    state = vitals.microphone
    if state is None:
        return "it has not told how it is yet"
    if state.state == "lost":
        return state.detail or "it is lost"
    if state.state != "live":  # muted, or listening to what programs send
        return ""
    flow = vitals.flows.get("heard_s")
    return _dry(flow.at if flow is not None else 0, now, DRY_S, "no sound came from it")


def _speaker(beat: Beat) -> str:
    return "" if beat.told.figures.get("open", 1.0) else beat.told.detail or "it is being opened"


def _model(vitals: Vitals) -> str:
    if vitals.dialogue is None:
        return "it has not told its language model yet"
    return "" if vitals.dialogue.model else vitals.beats["dialogue"].told.detail or "there is no language model"


def _dry(since: int, now: int, patience_s: float, what: str) -> str:
    dry_s = (now - since) / 1e9
    return f"{what} for {dry_s:.0f} s" if dry_s > patience_s else ""
