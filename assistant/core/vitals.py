"""What each part of the daemon last told of itself, and when what should flow was last seen to: folded from messages.

For whoever shows it as a metric, or must say whether the daemon is ready.
"""

from collections import Counter

import msgspec

from assistant.messages import SERVICES, CameraState, DialogueState, Heartbeat, Message, MicrophoneState, SpeakerState

MOST = 64  # cameras and flows that are kept: a name is told by a configuration, but nobody counts those


class Beat(msgspec.Struct, frozen=True):
    """A service's newest heartbeat, and when it was sent, ns."""

    at: int
    told: Heartbeat


class Flow(msgspec.Struct, frozen=True):
    """A count that is to grow: how far it is, and when it was last seen to have grown, ns."""

    count: float
    at: int


class Vitals:
    """Give it every message (``fold``)."""

    def __init__(self) -> None:
        self.beats: dict[str, Beat] = {}  # by service
        self.restarts: Counter[str] = Counter()  # of each service, as far as it was watched
        self.cameras: dict[str, CameraState] = {}  # the configured ones, by name
        self.microphone: MicrophoneState | None = None
        self.speaker: SpeakerState | None = None
        self.dialogue: DialogueState | None = None
        self.flows: dict[str, Flow] = {}  # by the figure that counts it

    def fold(self, message: Message, sender: str, sent_at: int) -> None:
        """``sender``: the service that the message is from; ``sent_at``: ns."""
        match message:
            case Heartbeat() if sender in SERVICES:
                self._beat(message, sender, sent_at)
            case CameraState(camera=name, called=called) if called and (name in self.cameras or self._room):
                self.cameras[name] = message  # one that a program shows for a question is nobody's to watch
                self._begin_anew(f"frames.{name}", sent_at)
            case MicrophoneState():
                self.microphone = message
                self._begin_anew("heard_s", sent_at)
            case SpeakerState():
                self.speaker = message
            case DialogueState():
                self.dialogue = message

    @property
    def _room(self) -> bool:
        return len(self.cameras) < MOST

    def _beat(self, beat: Heartbeat, sender: str, sent_at: int) -> None:
        before = self.beats.get(sender)
        if before is not None and _pid(before.told) != _pid(beat):
            self.restarts[sender] += 1
        self.beats[sender] = Beat(sent_at, beat)
        for name, count in beat.figures.items():
            if name.partition(".")[0] in COUNTED and (name in self.flows or len(self.flows) < MOST):
                flow = self.flows.get(name)
                if flow is None or flow.count != count:
                    self.flows[name] = Flow(count, sent_at)

    def _begin_anew(self, name: str, at: int) -> None:
        """What was closed or lost until now has its time to begin to flow."""
        flow = self.flows.get(name, Flow(0.0, 0))
        self.flows[name] = Flow(flow.count, at)


COUNTED = ("frames", "heard_s")  # figures of what is to flow; after a dot, of which camera


def _pid(beat: Heartbeat) -> float:
    return beat.figures.get("pid", 0.0)
