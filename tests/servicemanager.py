"""A machine for tests whose first process is systemd: real units, really started, and nothing of it stays.

It shares this machine's kernel, network and files, but what it writes goes into memory (an overlay), and its processes,
mounts and control groups are its own. It needs root; where it cannot be had, ``missing`` says why.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from assistant.notify import parse
from tests.processes import PATIENCE_S

SYSTEMD = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(path).exists()), "")

LOOK_S = 0.5  # between two looks at whether it still boots

# $1: an empty folder. Boots no more than a journal: what else this system would start (which sets kernel variables,
# loads modules, asks a network for the time) is none of ours.
# Mounts are shared inside, as at a real boot: without that no unit sees its credentials.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
for each in /dev /sys; do mount --rbind $each root$each; done
mount -t proc proc root/proc
umount -R root/sys/fs/cgroup
mount -t cgroup2 cgroup2 root/sys/fs/cgroup
for each in /run /tmp /var/log /etc/systemd/system; do mount -t tmpfs -o mode=755 tmpfs root$each; done
chmod 1777 root/tmp
for each in root/usr/lib/systemd/system/*.wants; do mount -t tmpfs tmpfs $each; done
for each in "$2" "$3"; do mkdir -p "root$each"; mount --bind "$each" "root$each"; done
printf '[Unit]\\nDefaultDependencies=no\\nWants=systemd-journald.service\\n' > root/etc/systemd/system/sysinit.target
printf '[Unit]\\nRequires=sysinit.target\\nAfter=sysinit.target\\n' > root/etc/systemd/system/basic.target
# A tool that knows only the way through the folders of whoever installed Python must get there.
chmod go+x root/root root/home/* 2>/dev/null || true
mkdir root/tmp/old
pivot_root root root/tmp/old
cd /
umount -l /tmp/old
mount --make-rshared /
exec "$4" --unit=basic.target --log-target=journal
"""


class NoBoot(Exception):
    """This machine's kernel or its keeper does not allow it; the text says what was refused."""


class Machine:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._enter = ["nsenter", "-t", str(pid), "-m", "-p", "-u", "-i", "-C"]

    def run(self, *command: str, user: int = 0, **environ: str) -> "subprocess.CompletedProcess[str]":
        """A command there, in its root folder; as root or as another user, with nothing of our environment."""
        who = ["-S", str(user), "-G", str(user)] if user else []
        clean = [
            "env",
            "-i",
            "-C",
            "/",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
        ]
        named = [f"{name}={value}" for name, value in environ.items()]
        return subprocess.run(
            [*self._enter, *who, *clean, *named, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def said(self, *command: str, user: int = 0, **environ: str) -> str:
        """What a command that succeeds prints."""
        done = self.run(*command, user=user, **environ)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        self.said("sh", "-c", 'mkdir -p "$(dirname "$0")"; printf %s "$1" > "$0"', path, text)


def missing() -> str:
    """Why there can be no such machine here; "": there can."""
    if not SYSTEMD:
        return "systemd"
    for tool in ("unshare", "nsenter", "pivot_root", "systemctl"):
        if shutil.which(tool) is None:
            return tool
    if os.geteuid() != 0:
        return "root, for a systemd of the tests' own"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--cgroup", "mount", "-t", "cgroup2", "cgroup2", "/mnt"],
        capture_output=True,
        text=True,
    )
    return f"a kernel that lets systemd run inside ({tried.stderr.strip()})" if tried.returncode else ""


@contextmanager
def booted(folder: Path, *shown: Path) -> Iterator[Machine]:
    """``folder``: an empty one; ``shown``: two that the machine sees as they are (others may be hidden by a mount).

    Raises NoBoot."""
    with _own_group() as group, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("")  # the kernel picks an abstract name
        heard.settimeout(LOOK_S)
        environ = {
            "PATH": os.environ["PATH"],
            "container": "edge-assistant-test",
            "NOTIFY_SOCKET": "@" + heard.getsockname()[1:].decode(),
        }
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc"]
        command += ["sh", "-c", BOOT, "boot", str(folder), *map(str, shown), SYSTEMD]
        enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', str(group)]
        with (
            open(folder / "said", "w+") as said,
            subprocess.Popen([*enter, *command], env=environ, stdin=subprocess.DEVNULL, stderr=said) as process,
        ):
            try:
                _await(heard, process, folder / "said")
                yield Machine(psutil.Process(process.pid).children()[0].pid)
            finally:
                first = psutil.Process(process.pid).children() if process.poll() is None else []
                for child in first:
                    child.kill()  # with the first process of its space all others end
                psutil.wait_procs(first, PATIENCE_S)
                process.kill()


def _await(heard: socket.socket, process: "subprocess.Popen[bytes]", said: Path) -> None:
    """Return when it has booted. Raises NoBoot where the way there was refused."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(TimeoutError):
            if "READY" in parse(heard.recv(4096)):
                return
        if process.poll() is not None:
            raise NoBoot(f"a machine that can be divided ({' '.join(said.read_text().split())})")
    raise AssertionError("systemd never said that it has booted")


@contextmanager
def _own_group() -> Iterator[Path]:
    """A control group below ours: what systemd makes of it is gone with it. Raises NoBoot."""
    ours = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    home = next(p for p in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")) if (p / "cgroup.procs").exists())
    group = home / ours.lstrip("/") / f"edge-assistant-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        raise NoBoot(f"control groups of its own ({error})") from error
    try:
        yield group
    finally:
        for path, _, _ in os.walk(group, topdown=False):
            os.rmdir(path)
