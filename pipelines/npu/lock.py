"""One NPU, one job at a time: boards stall or freeze where the image encoder and the language model overlap (#315).

The NPU is possessed by a kernel lock on a file, so it dies with its holder, however that dies. Whoever waits holds a
shared lock on the file of its rank beside it; who waits at a lower rank sees that and lets it go first. Nothing is left
behind by a process that is killed, and nothing needs to be cleaned up.
"""

import contextlib
import enum
import fcntl
import logging
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipelines.engine import EngineError

log = logging.getLogger(__name__)

POLL_S = 0.005  # between two looks at a lock that is taken
REPORT_S = 2.0  # a longer wait is reported with the holder's name
FOLDER = "ASSISTANT_NPU"  # environment: where the lock files lie, for all processes of a board


class Rank(enum.IntEnum):
    """Who goes first where several wait."""

    USER_WAITS = 0  # for an answer
    USER_SPEAKS = 1  # work ahead of the question's end, and questions that nobody hears
    IDLE = 2


class NpuBusy(EngineError):
    """The NPU did not become free in time; the text names who holds it."""


class Holder(msgspec.Struct, frozen=True):
    name: str
    pid: int


class Figures(msgspec.Struct):
    """What a job's possession cost it, for the turn's record."""

    wait_ms: float = 0.0
    hold_ms: float = 0.0
    behind: str = ""  # who held the NPU when it was asked for; empty: nobody


class Claim:
    """A place in the queue at ``rank``, then the NPU itself; ``release`` gives up either."""

    def __init__(self, folder: Path, name: str, rank: Rank) -> None:
        self.figures = Figures()
        self._folder, self._name, self._rank = folder, name, rank
        self._began, self._taken_at, self._reported = time.monotonic(), 0.0, False
        self._queue = _open(folder / f"rank-{rank.value}")
        self._possession: int | None = None
        _lock(self._queue, fcntl.F_RDLCK)

    def take(self) -> bool:
        """The NPU, if it is free and nobody of a better rank waits. Never blocks; again while held: True."""
        if self._possession is not None:
            return True
        if self._outranked() or not self._try():
            self._wait()
            return False
        self._taken_at = time.monotonic()
        self.figures.wait_ms = (self._taken_at - self._began) * 1000
        os.close(self._queue)  # no longer waiting
        self._queue = -1
        return True

    def so_far(self) -> Figures:
        """The figures; of a job that still holds the NPU, up to now."""
        held = self._possession is not None
        hold_ms = (time.monotonic() - self._taken_at) * 1000 if held else self.figures.hold_ms
        return Figures(self.figures.wait_ms, hold_ms, self.figures.behind)

    def release(self) -> None:
        """Again: nothing. Also ends a wait."""
        if self._queue >= 0:
            os.close(self._queue)
            self._queue = -1
        if self._possession is not None:
            self.figures.hold_ms = (time.monotonic() - self._taken_at) * 1000
            os.ftruncate(self._possession, 0)
            os.close(self._possession)
            self._possession = None

    def _outranked(self) -> bool:
        return any(_held(self._folder / f"rank-{better}") for better in range(self._rank.value))

    def _try(self) -> bool:
        possession = _open(self._folder / "npu")
        if not _lock(possession, fcntl.F_WRLCK):
            os.close(possession)
            return False
        os.ftruncate(possession, 0)
        os.pwrite(possession, msgspec.json.encode(Holder(self._name, os.getpid())), 0)
        self._possession = possession
        return True

    def _wait(self) -> None:
        found = holder(self._folder)
        if found is not None:
            self.figures.behind = self.figures.behind or found.name
        waited = time.monotonic() - self._began
        if waited > REPORT_S and not self._reported:
            self._reported = True
            log.warning("%s waits for the NPU since %.1f s; it is held by %s", self._name, waited, _named(found))


class Npu:
    """The board's NPU, as one of its users, called ``name``, sees it."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        """``folder``: the lock files', the same for all users. Raises EngineError where it cannot be made."""
        self.name, self.folder = name, folder or default_folder()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(
                f"the NPU's lock cannot be kept in {self.folder} ({error.strerror}); set {FOLDER}"
            ) from error

    def claim(self, rank: Rank) -> Claim:
        """A place in the queue, for who has something else to do while waiting."""
        return Claim(self.folder, self.name, rank)

    @contextlib.contextmanager
    def hold(self, rank: Rank, patience_s: float = 60.0) -> Iterator[Claim]:
        """Has the NPU inside. Raises NpuBusy after ``patience_s`` of waiting, with the holder's name."""
        claim = self.claim(rank)
        deadline = time.monotonic() + patience_s
        try:
            while not claim.take():
                if time.monotonic() > deadline:
                    by = _named(holder(self.folder))
                    raise NpuBusy(f"{self.name} waited {patience_s:g} s for the NPU; it is held by {by}")
                time.sleep(POLL_S)
            yield claim
        finally:
            claim.release()


def holder(folder: Path) -> Holder | None:
    """Who holds the NPU now, if it has written its name yet."""
    path = folder / "npu"
    if not _held(path):
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def default_folder() -> Path:
    if configured := os.environ.get(FOLDER):
        return Path(configured)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "edge-assistant-npu" if runtime else Path(tempfile.gettempdir()) / f"ea-npu-{os.getuid()}"


def _named(found: Holder | None) -> str:
    return f"{found.name} (process {found.pid})" if found else "nobody any more"


# An open-file-description lock (fcntl(2)): like flock it belongs to the open file and not to the process, but it can
# be asked about without being taken. Struct flock: type, whence, start, length (0: to the end), process.
_FLOCK = "hhqqi0q"


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True


def _held(path: Path) -> bool:
    """Whether somebody's lock is on the file; only asks."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        request = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return bool(struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_OFD_GETLK, request))[0] != fcntl.F_UNLCK)
    finally:
        os.close(fd)
