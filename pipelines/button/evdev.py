"""A key of a keyboard, foot switch, presenter or headset, read from Linux' input devices (/dev/input/event*).

Needs nothing but the right to read them: the group ``input``. The events are those of linux/input.h and
https://www.kernel.org/doc/html/latest/input/input.html; key names are those of linux/input-event-codes.h.
"""

import fcntl
import os
import select
import struct
import time
from pathlib import Path
from typing import TypeAlias

from pipelines import engine
from pipelines.button import Edge, Unplugged

EVENT = struct.Struct("@llHHi")  # struct input_event: seconds, microseconds, type, code, value
KEY, DROPPED = 1, (0, 3)  # EV_KEY; (EV_SYN, SYN_DROPPED): the kernel's queue ran over
CLOCK_MONOTONIC = struct.pack("i", time.CLOCK_MONOTONIC)
_WRITE, _READ, _INPUT = 1 << 30, 2 << 30, ord("E") << 8  # parts of an ioctl's number
GRAB, SET_CLOCK, STATE = (
    _WRITE | 4 << 16 | _INPUT | 0x90,
    _WRITE | 4 << 16 | _INPUT | 0xA0,
    _READ | 96 << 16 | _INPUT | 0x18,
)
NAME, KEYS = _READ | 256 << 16 | _INPUT | 0x06, _READ | 96 << 16 | _INPUT | 0x21  # EVIOCGNAME, EVIOCGBIT(EV_KEY)

# What buttons to talk with usually send; any other key by its number (evtest shows it).
CODES: dict[str, int] = {
    "KEY_ESC": 1, "KEY_ENTER": 28, "KEY_LEFTCTRL": 29, "KEY_B": 48, "KEY_SPACE": 57, "KEY_CAPSLOCK": 58,
    "KEY_SCROLLLOCK": 70, "KEY_RIGHTCTRL": 97, "KEY_PAGEUP": 104, "KEY_PAGEDOWN": 109, "KEY_MUTE": 113,
    "KEY_VOLUMEDOWN": 114, "KEY_VOLUMEUP": 115, "KEY_POWER": 116, "KEY_PAUSE": 119, "KEY_MEDIA": 226,
    "KEY_NEXTSONG": 163, "KEY_PLAYPAUSE": 164, "KEY_PREVIOUSSONG": 165, "KEY_PLAYCD": 200, "KEY_MICMUTE": 248,
    "KEY_VOICECOMMAND": 582, "BTN_0": 256, "BTN_1": 257, "BTN_LEFT": 272, "BTN_RIGHT": 273, "BTN_MIDDLE": 274,
    "BTN_TRIGGER": 288, **{f"KEY_F{n}": 58 + n for n in range(1, 11)}, "KEY_F11": 87, "KEY_F12": 88,
    **{f"KEY_F{n}": 170 + n for n in range(13, 25)},
}  # fmt: skip


class Options(engine.Options, frozen=True, kw_only=True):
    device: str  # a part of its name, or its path; a wrong one is answered with all that there are
    key: str | int = "KEY_F13"  # a name of linux/input-event-codes.h, or its number
    grab: bool = False  # what is typed on this device reaches nobody else


class Engine:
    """See ``pipelines.button.Contacts``."""

    Options: TypeAlias = Options
    folder = Path("/dev/input")

    def __init__(self, options: Options) -> None:
        """Raises EngineError where the device is not there, may not be read, or has no such key."""
        self._code = code(options.key)
        path, self.name = self._find(options.device)
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise engine.EngineError(_unreadable(path, error)) from error
        try:
            if options.grab:
                fcntl.ioctl(self._file, GRAB, 1)
        except OSError as error:
            os.close(self._file)
            raise engine.EngineError(
                f"button: {self.name} cannot be kept from others ({error.strerror}); leave out 'grab'"
            ) from error
        self._stamped = _ioctl(self._file, SET_CLOCK, CLOCK_MONOTONIC) is not None
        self._rest = b""

    def edges(self, timeout_s: float) -> list[Edge]:
        """See the protocol. A key that repeats while it is held is no edge."""
        try:
            if not select.select([self._file], [], [], timeout_s)[0]:
                return []
            read = os.read(self._file, 64 * EVENT.size)
        except BlockingIOError:
            return []
        except (OSError, ValueError) as error:  # ENODEV, or closed
            raise Unplugged(f"{self.name} is unplugged") from error
        if not read:
            raise Unplugged(f"{self.name} is unplugged")
        return self._parsed(read)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _parsed(self, read: bytes) -> list[Edge]:
        data = self._rest + read
        whole = len(data) // EVENT.size * EVENT.size
        self._rest = data[whole:]
        edges, now = [], time.monotonic_ns()
        for seconds, micros, kind, number, value in EVENT.iter_unpack(data[:whole]):
            at = seconds * 1_000_000_000 + micros * 1000 if self._stamped else now
            if kind == KEY and number == self._code and value in (0, 1):
                edges.append(Edge(bool(value), at))
            elif (kind, number) == DROPPED:  # events are lost: what the key is now, counts
                held = _ioctl(self._file, STATE, bytes(96))
                edges += [Edge(_bit(held, self._code), at)] if held else []
        return edges

    def _find(self, wanted: str) -> tuple[Path, str]:
        if wanted.startswith("/"):
            path = Path(wanted)
            if not path.exists():
                raise engine.EngineError(f"button: there is no {path}; is it plugged in?")
            return path, self._name(path) or str(path)
        named = {path: name for path in sorted(self.folder.glob("event*"), key=_number) if (name := self._name(path))}
        fitting = [path for path, name in named.items() if wanted.lower() in name.lower()]
        with_key = [path for path in fitting if self._has_key(path)]
        if with_key:
            return with_key[0], named[with_key[0]]
        if fitting:
            raise engine.EngineError(
                f"button: {named[fitting[0]]} has no key {self._code}; see what it sends with evtest, and set 'key'"
            )
        known = ", ".join(dict.fromkeys(named.values())) or "none that may be read: is the user in the group 'input'?"
        raise engine.EngineError(f"button: no input device is called {wanted!r}; there are: {known}")

    def _name(self, path: Path) -> str:
        return _asked(path, NAME, 256).split(b"\0")[0].decode(errors="replace")

    def _has_key(self, path: Path) -> bool:
        return _bit(_asked(path, KEYS, 96), self._code)


def code(key: str | int) -> int:
    """The number of a key. Raises EngineError."""
    if isinstance(key, int):
        return key
    if (known := CODES.get(key.upper()) or CODES.get(f"KEY_{key.upper()}")) is None:
        raise engine.EngineError(f"button: there is no key {key!r}; give its number, or one of: {', '.join(CODES)}")
    return known


def _asked(path: Path, request: int, size: int) -> bytes:
    """What a device says of itself; b"" where it may not be asked."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return _ioctl(file, request, bytes(size)) or b""
    finally:
        os.close(file)


def _ioctl(file: int, request: int, argument: bytes) -> bytes | None:
    try:
        return fcntl.ioctl(file, request, argument)
    except OSError:  # no input device: a pipe, in tests
        return None


def _bit(bits: bytes, number: int) -> bool:
    return number // 8 < len(bits) and bool(bits[number // 8] >> number % 8 & 1)


def _number(path: Path) -> int:
    digits = path.name.removeprefix("event")
    return int(digits) if digits.isdigit() else 0


def _unreadable(path: Path, error: OSError) -> str:
    mend = "add the user to the group 'input'" if isinstance(error, PermissionError) else "is it plugged in?"
    return f"button: {path} cannot be read ({error.strerror}); {mend}"
