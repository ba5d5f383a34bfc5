"""Sound devices, through PortAudio (the sounddevice package, MIT): which there are, and the one that a name means.

PortAudio is one library for the whole process and lists the devices when it is initialised: to see one that was plugged
in later it must be initialised anew, which would close every open stream. So opening, closing and listing go through
one lock, and ``fresh`` does nothing while a stream is open.
"""

import threading
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Literal

import msgspec

from pipelines.audio import AudioError

Kind = Literal["input", "output"]
WORDS: dict[Kind, str] = {"input": "microphone", "output": "speaker"}
PORTAUDIO = "PortAudio is not installed: apt install libportaudio2 (in a checkout: make tools)"
NO_PACKAGE = "the package sounddevice is not installed: pip install sounddevice"

_LOCK = threading.RLock()  # held around everything that changes or reads PortAudio's list
_open: set[int] = set()  # streams
FORMATS = (-9999, -9998, -9997, -9994)  # PaErrorCode: of these another rate or channel count may be taken


class Device(msgspec.Struct, frozen=True):
    index: int  # PortAudio's; good until it is initialised again
    name: str
    api: str  # ALSA, JACK, Core Audio …
    inputs: int  # channels, 0: no microphone
    outputs: int  # channels, 0: no speaker
    rate: int  # Hz: its own
    default_input: bool = False
    default_output: bool = False

    @property
    def label(self) -> str:
        return f"{self.name}, {self.api}"

    def channels(self, kind: Kind) -> int:
        return self.inputs if kind == "input" else self.outputs


def library() -> Any:
    """The sounddevice module. Raises AudioError where it or PortAudio is missing."""
    try:
        import sounddevice
    except ImportError as error:
        raise AudioError(NO_PACKAGE) from error
    except OSError as error:  # its import loads PortAudio
        raise AudioError(PORTAUDIO) from error
    return sounddevice


def devices(fresh: bool = False) -> list[Device]:
    """All sound devices. ``fresh``: as they are now rather than at the first look, unless a stream is open.

    Raises AudioError where PortAudio is missing.
    """
    with _LOCK:
        sound = library()
        if fresh and not _open:
            sound._terminate()  # no public call lists anew; the package's own manual names this pair
            sound._initialize()
        apis = sound.query_hostapis()
        return [_device(row, apis) for row in sound.query_devices()]


def _device(row: Any, apis: Any) -> Device:
    api = apis[row["hostapi"]]
    return Device(
        index=row["index"],
        name=row["name"],
        api=api["name"],
        inputs=row["max_input_channels"],
        outputs=row["max_output_channels"],
        rate=int(row["default_samplerate"]),
        default_input=api["default_input_device"] == row["index"],
        default_output=api["default_output_device"] == row["index"],
    )


def find(among: Sequence[Device], name: str, kind: Kind) -> Device:
    """The device whose name holds ``name`` (in any case); "": the default one.

    Raises AudioError naming the candidates where none or several match.
    """
    able = [device for device in among if device.channels(kind)]
    word = WORDS[kind]
    if not able:
        raise AudioError(f"there is no {word}: plug one in, or start the sound server (PipeWire, PulseAudio)")
    if not name:
        defaults = [d for d in able if (d.default_input if kind == "input" else d.default_output)]
        return (defaults or able)[0]
    wanted = name.casefold()
    exact = [device for device in able if wanted in (device.name.casefold(), device.label.casefold())]
    found = exact or [device for device in able if wanted in device.label.casefold()]
    if len(found) == 1:
        return found[0]
    which = "no" if not found else "more than one"
    told = ", ".join(repr(device.label) for device in (found or able))
    raise AudioError(f"{which} {word} is called {name!r}; choose one by a part of its name: {told}")


def attempt(device: Device, kind: Kind, wanted: int, make: Callable[[int, int], Any]) -> Any:
    """Open and start a stream, ``make(rate, channels)``, with the wanted rate, else the device's own, else the usual
    ones; mono, else all of its channels. Raises AudioError if none is taken.
    """
    sound, refused = library(), ""
    rates = dict.fromkeys(rate for rate in (wanted, device.rate, 48_000, 44_100, 16_000) if rate)
    for rate, channels in product(rates, dict.fromkeys((1, device.channels(kind)))):
        try:
            return _started(make, rate, channels)
        except sound.PortAudioError as error:
            refused = str(error.args[0])
            if len(error.args) > 1 and error.args[1] not in FORMATS:
                break
    hint = "is another program using it?" if "unavailable" in refused.lower() else "assistant devices lists all"
    raise AudioError(f"the {WORDS[kind]} {device.label!r} cannot be opened ({refused}); {hint}")


def _started(make: Callable[[int, int], Any], rate: int, channels: int) -> Any:
    with _LOCK:
        stream = make(rate, channels)
        _open.add(id(stream))
    try:
        stream.start()
    except BaseException:
        shut(stream)
        raise
    return stream


def restart(stream: Any) -> bool:
    """Throw away what an output holds and go on; False if it cannot: the device is lost."""
    sound = library()
    stream.abort(ignore_errors=True)
    try:
        stream.start()
    except sound.PortAudioError:
        return False
    return True


def shut(stream: Any) -> None:
    """Close a stream at once, whatever has become of its device. May take as long as the sound server is stuck."""
    sound = library()
    try:
        stream.close(ignore_errors=True)
    except sound.PortAudioError:
        pass
    finally:
        with _LOCK:
            _open.discard(id(stream))
