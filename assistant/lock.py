"""A lock file per service: only its holder may bind the service's sockets."""

import fcntl
import os
from pathlib import Path


class Held(Exception):
    """Another process holds the lock; the text names it."""


class Lock:
    """A file that exactly one living process holds; the kernel lets go of it when the process dies, however it dies.

    An ipc bind would silently steal the endpoint from a running service: whoever binds holds this first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        while True:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._fd)
                raise Held(f"{path.stem} already runs in {path.parent} (process {holder(path) or '?'})") from None
            # The holder before us may have removed the file between our open and our lock.
            if path.exists() and os.fstat(self._fd).st_ino == path.stat().st_ino:
                break
            os.close(self._fd)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self._fd)


def holder(path: Path) -> int | None:
    """The process id written in a lock file, if some process holds it now."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(fd, 32, 0)
        return int(text) if text.isdigit() else None
    finally:
        os.close(fd)
    return None
