"""A lock file per service: only its holder may bind the service's sockets."""

import fcntl
import os
import struct
import time
from pathlib import Path


class Held(Exception):
    """Another process holds the lock; the text names it."""


class Lock:
    """A file that exactly one living process holds; the kernel lets go of it when the process dies, however it dies.

    An ipc bind would silently steal the endpoint from a running service: whoever binds holds this first. ``patience_s``
    is for a holder that is known to be about to let go.
    """

    def __init__(self, path: Path, patience_s: float = 0.0) -> None:
        self.path = path
        deadline = time.monotonic() + patience_s
        while not self._take():
            if time.monotonic() >= deadline:
                raise Held(f"{path.stem} already runs in {path.parent} (process {holder(path) or '?'})")
            time.sleep(0.01)

    def _take(self) -> bool:
        while True:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _request())
            except BlockingIOError:
                os.close(self._fd)
                return False
            # The holder before us may have removed the file between our open and our lock.
            if os.fstat(self._fd).st_nlink:
                break
            os.close(self._fd)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)
        return True

    def release(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self._fd)


def holder(path: Path) -> int | None:
    """The process id written in a lock file, if some process holds it now.

    Only asks the kernel: to try the lock, however briefly, would turn away a service that starts at that moment.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _request())
        if struct.unpack(_FLOCK, answer)[0] == fcntl.F_UNLCK:
            return None
        text = os.pread(fd, 32, 0)
        return int(text) if text.isdigit() else None
    finally:
        os.close(fd)


# An open-file-description lock (fcntl(2)): like flock it belongs to the open file and not to the process, but it can
# be asked about without being taken. Struct flock: type, whence, start, length (0: to the end), process.
_FLOCK = "hhqqi0q"


def _request() -> bytes:
    return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
