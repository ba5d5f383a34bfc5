"""What was seen of a machine, before anything is made of it.

None, "" and () stand for what could not be seen; whoever judges must then say so and not guess. Everything that is no
file's text (``Live``) can be written down and read again, so that a machine can be judged elsewhere.
"""

from collections.abc import Mapping, Sequence

import msgspec


class _Fact(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Node(_Fact, frozen=True):
    """A device file of the NPU."""

    path: str
    group: str = ""
    usable: bool = False  # this user may read and write it


class Folder(_Fact, frozen=True):
    """A directory that the assistant writes to: as it is, or whether it could be made."""

    path: str
    state: str = "ok"  # ok, open (others may enter), foreign (another user's), closed (cannot be written or made)
    mode: int = 0o700


class Opened(_Fact, frozen=True):
    """What opening a device showed. ``problem`` "" means that it works; ``fatal``: it could not even be opened."""

    kind: str  # sound, camera
    name: str
    problem: str = ""
    fatal: bool = False


class Part(_Fact, frozen=True):
    """One file of a model."""

    path: str  # within the model's folder; its name where the model is one file
    size: int  # bytes
    head: bytes = b""


class Known(_Fact, frozen=True):
    """What the manifest says of a model."""

    name: str
    mend: str = ""  # how it gets here: a command, or the page to read
    runtime: str = ""
    ram_mb: float = 0
    files: Mapping[str, int] = {}  # path -> bytes, 0 where nobody knows


class Model(_Fact, frozen=True):
    """A file or folder that a setting names."""

    key: str  # of the setting
    path: str
    kind: str = "missing"  # file, folder, missing
    parts: Sequence[Part] = ()
    known: Known | None = None


class Library(_Fact, frozen=True):
    """A runtime library. ``problem``: missing, unreadable, damaged, machine (built for another), unknown (release)."""

    path: str
    release: str = ""
    problem: str = ""
    detail: str = ""  # what it is instead, or why it is not known


class Choice(_Fact, frozen=True):
    """An engine's place in the settings: which is chosen, and of those that are configured what concerns us."""

    key: str
    role: str
    engine: str
    order: Sequence[str] = ()  # what ``auto`` tries, best first
    tables: Mapping[
        str, Mapping[str, str]
    ] = {}  # engine -> option -> value, only of engines whose options are in order


class Door(_Fact, frozen=True):
    """The gateway, as the settings want it."""

    host: str
    port: int
    wide: bool = False  # other machines reach it
    secure: bool = False  # by HTTPS
    why: str = ""  # no token can be asked for; "" all is well
    unseen: bool = False  # … as far as anybody but the service itself can see


class Live(_Fact, frozen=True):
    """What only the running machine can tell."""

    machine: str = ""  # architecture
    python: tuple[int, int] = (0, 0)
    packages: Mapping[str, str] = {}  # module -> version; a module that is absent is not installed
    nodes: Sequence[Node] = ()
    runtime: Folder | None = None
    npu: Folder | None = None
    door: Door | None = None  # None: the gateway is not started
    running: bool = False  # the assistant itself, so that it holds devices and memory


class Governor(_Fact, frozen=True):
    """Who sets a clock. ``path`` is the folder in /sys; frequencies in its own unit, 0 where unknown."""

    kind: str  # cpu, npu, ddr
    path: str
    file: str  # within ``path``
    governor: str
    offered: Sequence[str] = ()
    limit: int = 0  # the highest that is allowed …
    top: int = 0  # … and the highest that there is


class Zone(_Fact, frozen=True):
    type: str
    celsius: float | None


class Facts(_Fact, frozen=True):
    compatible: Sequence[str] = ()  # of the device tree
    board: str = ""  # what it calls itself
    kernel: str = ""
    drivers: Sequence[str] = ()  # of what /sys shows as graphics and accelerator devices
    npu_compatible: str = ""  # of the NPU's device: names the SoC too
    driver: str = ""  # version of rknpu, as text
    load: str = ""  # of the NPU, as text
    rkllm: Library | None = None
    rknn: Library | None = None
    rknn_elsewhere: str = ""  # where librknnrt.so lies although it is not where it is looked for
    gomp: bool = False
    open_files: int | None = None
    memory_kb: Mapping[str, int] = {}  # of /proc/meminfo: MemTotal, MemAvailable, SwapTotal
    governors: Sequence[Governor] = ()
    swappiness: int | None = None
    dirty: tuple[int | None, int | None] = (None, None)  # percent: background, and where writers must wait
    zones: Sequence[Zone] = ()
    profile: str = ""  # whose settings these are
    settings: str = ""  # what is wrong with them; "" nothing
    choices: Sequence[Choice] = ()
    models: Sequence[Model] = ()
    live: Live | None = None  # None: nobody could look
    opened: Sequence[Opened] = ()
    not_opened: str = ""  # why no device was opened: a case of words.py

    @property
    def engines(self) -> frozenset[str]:
        """Those that the settings name: chosen, or within reach of ``auto``."""
        return frozenset(name for choice in self.choices for name in named(choice))


def named(choice: Choice) -> Sequence[str]:
    return tuple(choice.tables) if choice.engine == "auto" else (choice.engine,)
