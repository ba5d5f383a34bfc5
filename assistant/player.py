"""Plays a scenario on a running daemon, in real time: a virtual microphone, and steps that wait for what they cause.

One thread does all of it. Each step is a generator that is handed every message and ends when what it did has had its
effect; between two messages the microphone sends its next block, so that the sound never stops for anything.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
from msgspec import UNSET

from assistant.client import Client
from assistant.core.ledger import LOST_S, Ledger
from assistant.messages import (
    LIVE,
    TOPICS,
    Ask,
    AudioOut,
    CameraState,
    Clear,
    Cleared,
    Frame,
    Heartbeat,
    Interrupt,
    Message,
    MicrophoneState,
    Mute,
    Picture,
    PushToTalk,
    SpeakerState,
    Turn,
)
from assistant.outcome import Claim, Line
from assistant.scenario import Device, Scenario, Step
from assistant.soundstream import STREAM, SoundStream
from assistant.wire import BusError, Received
from pipelines.audio import resample, wav

log = logging.getLogger(__name__)

# What confirms a Mute.
State = CameraState | MicrophoneState | SpeakerState
STATES: dict[str, type[State]] = {"camera": CameraState, "microphone": MicrophoneState, "speaker": SpeakerState}
NO_SPEECH = "no speech was noticed"
FORGOTTEN_S = {"dialogue": 2.0, "speaker": 5.0}  # of silence about a turn, after that process died
CONFIRM_S, RESTART_S = 5.0, 30.0  # how long an effect may take; how long a killed service
Effect = Generator[None, Received | None, None]


class Player:
    """``play`` gives a Line for each turn as it completes; ``troubles`` are effects that never came."""

    def __init__(self, scenario: Scenario, watch: Callable[[Received], None] = lambda _: None) -> None:
        """``watch`` is shown every message. Raises AudioError for a WAV that cannot be read."""
        self._scenario, self._watch = scenario, watch
        self.troubles: list[str] = []
        self._ledger = Ledger()
        self._claims: list[Claim] = []
        self._held: Claim | None = None  # opened by the button, which is still down
        self._lines: list[Line] = []
        self._turns = 0
        self._shown: Path | None = None  # what the camera was last told to show
        self._quiet = NO_SPEECH  # why nothing may be noticed of what is played
        self._pids: dict[str, float] = {}
        self._reborn_at: dict[str, int] = {}  # service -> when it was last seen to be another process, ns
        paths = [step.hear for step in scenario.steps if step.hear is not None]
        read = {path: wav.read(path) for path in paths}
        self._rate = rate = next(iter(read.values())).rate if read else resample.SPEECH_RATE
        self._sounds = {path: resample.convert(sound.pcm, sound.rate, rate) for path, sound in read.items()}
        self._pictures = {step.camera: step.camera.read_bytes() for step in scenario.steps if step.camera is not None}

    def play(self, client: Client) -> Iterator[Line]:
        """Play all of it on a daemon. Raises Unavailable when that is not ready."""
        self._client, self._bus = client, client.bus
        # Everything, pixels too: a frame that was captured later says that the camera really shows the new picture.
        self._bus.listen(*(kind for kind, entry in TOPICS.items() if entry.publishers))
        client.await_ready()
        microphone = self._microphone = SoundStream(self._rate)
        steps = list(enumerate(self._scenario.steps, 1))
        active: list[Effect] = []
        began = time.monotonic_ns()
        while steps or active:
            while steps and self._due(steps[0][1], began, bool(active)):
                began = time.monotonic_ns()
                effect = self._perform(*steps.pop(0))
                next(effect, None)
                active.append(effect)
            microphone.pump(self._bus)
            received = self._bus.receive(microphone.wait_s())
            if received is not None:
                self._note(received)
            active = [effect for effect in active if _goes_on(effect, received)]
            yield from self._lines
            self._lines.clear()
        microphone.end(self._bus)

    def _due(self, step: Step, began: int, busy: bool) -> bool:
        if step.at_ms is None:
            return not busy
        return time.monotonic_ns() >= began + step.at_ms * 1_000_000

    def _note(self, received: Received) -> None:
        self._watch(received)
        message, sent_at = received.message, received.stamp.sent_at
        if isinstance(message, MicrophoneState):
            self._quiet = "muted" if message.state == "muted" else NO_SPEECH
        if isinstance(message, Heartbeat):
            self._notice_restart(received.stamp.sender, message.figures.get("pid", 0.0))
        for claim in self._claims:
            if claim.note(message, sent_at, STREAM):
                break
        if isinstance(message, AudioOut) and self._scenario.echo_db is not None:
            self._echo(message, received.payload, self._scenario.echo_db)
        samples = len(received.payload) // 2 if isinstance(message, AudioOut) else 0
        done = self._ledger.fold(message, sent_at, samples) + self._ledger.expire(sent_at, self._patience_s())
        for record in done:
            for claim in self._claims:
                claim.complete(record)

    def _echo(self, played: AudioOut, payload: bytes | memoryview, echo_db: float) -> None:
        """The microphone stands in the room in which the reply is heard."""
        pcm = resample.convert(np.frombuffer(payload, np.int16), played.rate, self._rate)
        softer = np.rint(pcm * 10 ** (echo_db / 20)).astype(np.int16)
        self._microphone.mix(played.first_sample_at + self._scenario.echo_ms * 1_000_000, softer)

    def _notice_restart(self, service: str, pid: float) -> None:
        if self._pids.setdefault(service, pid) != pid:
            self._pids[service] = pid
            self._reborn_at[service] = time.monotonic_ns()

    def _patience_s(self) -> float:
        """How long silence about the open turns is borne: what a process had not done when it died, it never will."""
        newest = max((claim.since for claim in self._claims), default=0)
        return min([LOST_S, *(s for name, s in FORGOTTEN_S.items() if self._reborn_at.get(name, 0) > newest)])

    # --- a step, in the order that assistant.scenario tells ---

    def _perform(self, number: int, step: Step) -> Effect:
        if step.camera is not None:
            yield from self._show(step.camera)
        if step.mute is not None:
            yield from self._mute(step.mute, True)
        if step.unmute is not None:
            yield from self._mute(step.unmute, False)
        if step.clear:
            yield from self._clear()
        if step.kill is not None:
            yield from self._kill(step.kill)
        claim = yield from self._speak(number, step)
        if claim is not None and claim is not self._held:
            yield from self._finish(claim)
        yield from self._pause(step.wait_ms)

    def _speak(self, number: int, step: Step) -> Generator[None, Received | None, Claim | None]:
        """What is pressed, said and typed in this step; gives the claim on the turn that should come of it."""
        if not any((step.press, step.hear, step.ask is not None, step.release)):
            return None
        if self._held is None or step.press or step.ask is not None:
            claim = Claim(number, step, time.monotonic_ns(), typed=step.ask is not None)
            self._claims.insert(0, claim)  # the newest is asked first whether a turn is its own
        else:
            claim = self._held
            claim.join(number, step)
        if step.press:
            self._held = claim
            yield from self._send(PushToTalk(pressed=True, at=claim.since, stream=STREAM))
        if step.ask is not None:
            yield from self._send(Ask(turn=Turn(LIVE, claim.since), text=step.ask))
        if step.hear is not None:
            begins, ends = self._microphone.play(self._sounds[step.hear])
            claim.since = claim.since if self._held is claim else begins
            while time.monotonic_ns() < ends:
                yield
        if step.release:
            self._held, claim.released_at = None, time.monotonic_ns()
            yield from self._send(PushToTalk(pressed=False, at=claim.released_at, stream=STREAM))
        claim.asked_at = time.monotonic_ns()
        return claim

    def _finish(self, claim: Claim) -> Effect:
        """Wait for what becomes of the claim, interrupt the reply where that is asked, and tell the outcome."""
        after, interrupted = claim.interrupt_after_ms, False
        while not claim.over(time.monotonic_ns()):
            due = claim.sounded_at + (after or 0) * 1_000_000
            if after is not None and not interrupted and claim.sounded_at and time.monotonic_ns() >= due:
                interrupted = True
                yield from self._send(Interrupt(before=time.monotonic_ns()))
            yield
        self._claims.remove(claim)
        for line in claim.lines(self._quiet):
            self._turns += line.dropped is UNSET
            line.turn = self._turns if line.dropped is UNSET else None
            self._lines.append(line)

    # --- effects ---

    def _show(self, path: Path) -> Effect:
        self._shown = path
        label = f"{path.name}@{time.monotonic_ns()}"
        yield from self._send(Picture(label=label), self._pictures[path])
        state = yield from self._await(_shows(label), f"the camera to show {path.name}", CONFIRM_S)
        if state is not None and isinstance(state.message, CameraState) and state.message.state == "live":
            since = state.stamp.sent_at  # by the time that this frame is here, the first one is everywhere
            yield from self._await(_later(since), f"a frame of {path.name}", CONFIRM_S)
        elif state is not None and isinstance(state.message, CameraState) and state.message.state == "lost":
            self._trouble(f"the camera cannot show {path.name}: {state.message.detail}")

    def _mute(self, device: Device, muted: bool) -> Effect:
        yield from self._send(Mute(device=device, muted=muted))
        word = "muted" if muted else "not muted"
        yield from self._await(_state(STATES[device], muted), f"the {device} to be {word}", CONFIRM_S)

    def _clear(self) -> Effect:
        yield from self._send(Clear())
        yield from self._await(lambda r: isinstance(r.message, Cleared), "the conversation to be cleared", CONFIRM_S)

    def _kill(self, service: str) -> Effect:
        pid = self._client.pid(service)
        if pid is None:
            self._trouble(f"{service} does not run: there is nothing to kill")
            return
        os.kill(pid, signal.SIGKILL)
        log.info("killed %s (process %d)", service, pid)
        yield from self._await(_reborn(service, pid), f"{service} to be ready again", RESTART_S)
        if service == "camera" and self._shown is not None:
            yield from self._show(self._shown)  # what a real camera would still be pointed at

    def _pause(self, milliseconds: int) -> Effect:
        until = time.monotonic_ns() + milliseconds * 1_000_000
        while time.monotonic_ns() < until:
            yield

    def _send(self, message: Message, payload: bytes | None = None) -> Effect:
        """Send without ever keeping the microphone waiting: a service that restarts may not listen yet."""
        deadline = time.monotonic() + RESTART_S
        while True:
            try:
                self._bus.send(message, payload, timeout_s=0.0)
                return
            except BusError as error:
                if time.monotonic() > deadline:
                    self._trouble(str(error))
                    return
                yield

    def _await(
        self, matches: Callable[[Received], bool], what: str, limit_s: float
    ) -> Generator[None, Received | None, Received | None]:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            received = yield
            if received is not None and matches(received):
                return received
        self._trouble(f"waited {limit_s:g} s in vain for {what}")
        return None

    def _trouble(self, text: str) -> None:
        log.error("%s", text)
        self.troubles.append(text)


def _goes_on(effect: Effect, received: Received | None) -> bool:
    try:
        effect.send(received)
    except StopIteration:
        return False
    return True


def _shows(label: str) -> Callable[[Received], bool]:
    return lambda r: isinstance(r.message, CameraState) and r.message.label == label


def _later(since: int) -> Callable[[Received], bool]:
    return lambda r: isinstance(r.message, Frame) and r.message.captured_at > since


def _state(kind: type[State], muted: bool) -> Callable[[Received], bool]:
    return lambda r: isinstance(r.message, kind) and _muted(r.message) == muted


def _muted(state: State) -> bool:
    return state.muted if isinstance(state, SpeakerState) else state.state == "muted"


def _reborn(service: str, old: int) -> Callable[[Received], bool]:
    def matches(received: Received) -> bool:
        beat = received.message
        if not isinstance(beat, Heartbeat) or received.stamp.sender != service:
            return False
        return beat.state in ("ready", "degraded") and beat.figures.get("pid", old) != old

    return matches
