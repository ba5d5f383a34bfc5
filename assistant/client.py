"""A program's end of the daemon: find a running one or start a private one, send to it, follow what it answers."""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from assistant.bus import PATH_LIMIT, Bus
from assistant.lock import holder
from assistant.messages import (
    LIVE,
    SERVICES,
    Ask,
    CameraState,
    Clear,
    Cleared,
    Heartbeat,
    Picture,
    PictureBound,
    ReplyEnded,
    ReplySentence,
    ReplyToken,
    SpeakerIdle,
    Speaking,
    Spoken,
    Thinking,
    Turn,
    TurnStarted,
)
from assistant.nursery import Nursery
from assistant.service import EXIT_CONFIG, SUPERVISOR_LOCK
from assistant.wire import Received

OF_A_TURN = (TurnStarted, PictureBound, Thinking, ReplyToken, ReplySentence, ReplyEnded, Speaking, Spoken, SpeakerIdle)
READY_S, CONFIRM_S = 60.0, 5.0
QUIET_S = 30.0  # without a word of an answer or a heartbeat of who gives it
TURN_S = 120.0  # until a question is taken up: another conversation's answer may have to end first
CHECK_S = 0.25  # between looks at whether a starting daemon still lives


class Unavailable(Exception):
    """There is no daemon to talk to; ``code`` is the exit code that says so."""

    def __init__(self, text: str, code: int = 69) -> None:
        super().__init__(text)
        self.code = code


def running(runtime: Path) -> bool:
    """Does a daemon run in this directory, started by our supervisor or by another one (systemd)?"""
    return any(holder(runtime / f"{name}.lock") for name in (Path(SUPERVISOR_LOCK).stem, "dialogue"))


@contextlib.contextmanager
def private(
    profile: str,
    sets: Sequence[str] = (),
    board: str = "",
    ready_s: float = READY_S,
    more: Sequence[str] = (),
    gateway: bool = False,
) -> Iterator[Path]:
    """A daemon of our own in directories of its own; gives the runtime directory. ``more``: further options of ``run``;
    ``gateway``: with that service too, at any free port (its Heartbeat tells where). All of it is gone afterwards, even
    if this process is killed with -9. Raises Unavailable when it does not become ready."""
    runtime = _home()
    command = [sys.executable, "-m", "assistant", "run", "--ephemeral", "--profile", profile, "--board", board]
    command += [
        "--runtime",
        str(runtime),
        "--state",
        str(runtime / "state"),
        *(f"--set={text}" for text in sets),
        *(["--set=gateway.port=0"] if gateway else ["--without", "gateway"]),
        *more,
    ]
    nursery = Nursery()
    try:
        child = nursery.start("daemon", command)
        deadline = time.monotonic() + ready_s
        status = ""
        while True:
            told = dict(field for _, fields in nursery.wait(CHECK_S) for field in fields.items())
            status = told.get("STATUS", status)
            if "READY" in told:
                break
            if child.process.poll() is not None:
                status = child.news().get("STATUS", status)
                _refuse(status, child.process.returncode)
            if time.monotonic() > deadline:
                raise Unavailable(f"the daemon was not ready within {ready_s:g} s ({status or 'no word from it'})")
        yield runtime
    finally:
        nursery.stop("daemon", 15.0)
        nursery.close()
        shutil.rmtree(runtime, ignore_errors=True)


def _home() -> Path:
    """A new directory whose sockets' paths are short enough, wherever $TMPDIR is."""
    home = Path(tempfile.mkdtemp(prefix="assistant-"))
    if len(os.fsencode(home)) + len("/microphone.pub") > PATH_LIMIT:
        home.rmdir()
        home = Path(tempfile.mkdtemp(prefix="assistant-", dir="/tmp"))
    return home


def _refuse(status: str, code: int) -> None:
    why = status.removeprefix("failed: ") or f"exit code {code}"
    raise Unavailable(f"the daemon did not start: {why}", EXIT_CONFIG if code == EXIT_CONFIG else 69)


@contextlib.contextmanager
def found(runtime: Path, profile: str, board: str = "", sets: Sequence[str] = ()) -> Iterator[Path]:
    """The running daemon's runtime directory, or a private daemon's if none runs there."""
    if running(runtime):
        yield runtime
    else:
        with private(profile, sets, board) as own:
            yield own


class Client:
    """Sends to a daemon and follows what comes back. One conversation; ``bus`` is there for whatever else."""

    def __init__(self, runtime: Path, conversation: str = LIVE) -> None:
        self.runtime, self.conversation = runtime, conversation
        self.bus = Bus(runtime)
        # Subscribed before the heartbeat: when that has come, none of the others can be missed any more.
        self.bus.listen(*OF_A_TURN, CameraState, Cleared)
        self._pictures = 0

    def close(self) -> None:
        self.bus.close()

    def pid(self, service: str) -> int | None:
        """The process id of a service, if it runs."""
        return holder(self.runtime / f"{service}.lock")

    def await_ready(self, services: Sequence[str] = (), timeout_s: float = READY_S) -> None:
        """Return when each service (none named: each that runs) has said that it is ready.

        Raises Unavailable naming those that did not.
        """
        self.bus.listen(Heartbeat)
        missing = set(services or [name for name in SERVICES if self.pid(name)])
        for received in self._until(timeout_s):
            if isinstance(received.message, Heartbeat) and received.message.state in ("ready", "degraded"):
                missing.discard(received.stamp.sender)
            if not missing:
                return
        raise Unavailable(f"not ready within {timeout_s:g} s: {', '.join(sorted(missing))}")

    def show(self, encoded: bytes) -> str:
        """Show a picture (an encoded image file) to a camera of its own; gives that camera's name, for ``ask``.

        Raises Unavailable when the camera cannot read it or does not confirm it.
        """
        self._pictures += 1
        name = f"upload-{os.getpid()}-{self._pictures}"
        self._show(name, encoded)
        return name

    def _show(self, camera: str, encoded: bytes) -> None:
        label = f"{camera}@{time.monotonic_ns()}"
        self._catch_up()
        self.bus.send(Picture(camera=camera, label=label), encoded)
        state = self.bus.wait_for(CameraState, CONFIRM_S, lambda state: state.label == label)
        if state is None or state.state == "lost":
            why = state.detail if state else f"the camera said nothing for {CONFIRM_S:g} s"
            raise Unavailable(f"the picture cannot be shown: {why}")

    def ask(self, text: str, camera: str = "", picture: bytes = b"") -> Iterator[Received]:
        """Ask; gives every message of the turn as it comes, up to its ReplyEnded.

        ``camera`` names another picture source than the daemon's own; ``picture`` is shown to it anew for this
        question (a picture has an age, like all others). Raises Unavailable where nothing is answered: at once if the
        process that should have done it died.
        """
        if picture:
            self._show(camera, picture)
        self.bus.listen(Heartbeat)
        self._catch_up()
        turn, pid = Turn(self.conversation, time.monotonic_ns()), self.pid("dialogue")
        self.bus.send(Ask(turn=turn, text=text, camera=camera))
        asked, begun = time.monotonic(), False

        def counts(received: Received) -> bool:
            """A dialogue that lives and has taken the question up knows best how long its model may think: it gives an
            answer up by itself, and says so."""
            alive = isinstance(received.message, Heartbeat) and received.stamp.sender == "dialogue"
            return turn.concerns(received.message) or (alive and (begun or time.monotonic() < asked + TURN_S))

        for received in self._until(QUIET_S, counts):
            if turn.concerns(received.message):
                begun = True
                yield received
                if isinstance(received.message, ReplyEnded):
                    return
            elif pid is not None and _is_another(received, "dialogue", pid):
                raise Unavailable("dialogue died over this question and was started again; ask once more")
        why = f"dialogue has said nothing for {QUIET_S:g} s" if begun else "nobody has taken the question up"
        raise Unavailable(f"no answer after {time.monotonic() - asked:.0f} s: {why}; see the daemon's log")

    def clear(self) -> bool:
        """Forget this client's conversation; True when that was confirmed."""
        self._catch_up()
        self.bus.send(Clear(conversation=self.conversation))
        cleared = self.bus.wait_for(Cleared, CONFIRM_S, lambda message: message.conversation == self.conversation)
        return cleared is not None

    def _catch_up(self) -> None:
        """Drop what has arrived while nobody looked: a queue that is full would lose the answer."""
        while self.bus.receive(0.0) is not None:
            pass

    def _until(self, quiet_s: float, counts: Callable[[Received], bool] = lambda _: False) -> Iterator[Received]:
        """Messages until for ``quiet_s`` seconds none has arrived that counts."""
        deadline = time.monotonic() + quiet_s
        while (left := deadline - time.monotonic()) > 0:
            received = self.bus.receive(left)
            if received is None:
                continue
            if counts(received):
                deadline = time.monotonic() + quiet_s
            yield received


def _is_another(received: Received, service: str, pid: int) -> bool:
    """Does this say that a service is no longer the process that it was?"""
    beat = received.message
    return isinstance(beat, Heartbeat) and received.stamp.sender == service and beat.figures.get("pid", pid) != pid
