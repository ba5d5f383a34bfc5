"""A private PulseAudio without hardware: a microphone that tests feed and speakers that they record.

Null sinks need ``norewinds=1``: without it they run in blocks of two seconds. Devices have names of their own through
an ALSA configuration, as real cards have.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.audio import wav

PATIENCE_S = 30.0
DEVICES = """\
<{base}>
pcm.desk_microphone {{ type pulse; server "unix:{socket}"; device mic }}
pcm.desk_speaker {{ type pulse; server "unix:{socket}"; device spk }}
pcm.kitchen_speaker {{ type pulse; server "unix:{socket}"; device spare }}
pcm.echo_of_the_desk {{ type pulse; server "unix:{socket}"; device spk.monitor }}
"""
DESK = "module-null-sink sink_name=spk norewinds=1 rate=48000 channels=2"
PCM = NDArray[np.int16]


def missing() -> str:
    """A tool that is not installed; "" if all are there."""
    there = {tool: bool(shutil.which(tool)) for tool in ("pulseaudio", "paplay", "parec", "pactl")}
    there["the pulse plug-in of ALSA"] = any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    loaded = subprocess.run([sys.executable, "-c", "import sounddevice"], capture_output=True)
    there["PortAudio"] = loaded.returncode == 0
    return next((tool for tool, found in there.items() if not found), "")


class SoundServer:
    def __init__(self, home: Path) -> None:
        """``home``: an empty directory with a short path."""
        self._home = home
        self.socket = home / "native"
        base = Path("/usr/share/alsa/alsa.conf")
        (home / "alsa.conf").write_text(DEVICES.format(base=base, socket=self.socket))
        self.environ = {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "PULSE_RUNTIME_PATH": str(home),
            "PULSE_SERVER": f"unix:{self.socket}",
            "PULSE_SOURCE": "mic",
            "PULSE_SINK": "spk",
            "ALSA_CONFIG_PATH": str(home / "alsa.conf"),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers; at once if it runs already."""
        if self._process is not None:
            return
        load = [
            f"module-native-protocol-unix socket={self.socket} auth-anonymous=1",
            DESK,
            "module-null-sink sink_name=spare norewinds=1 rate=48000 channels=2",
            "module-null-sink sink_name=vmic norewinds=1 rate=16000 channels=1",
            "module-remap-source source_name=mic master=vmic.monitor",
        ]
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes"]
        command += ["--use-pid-file=no", "--log-target=stderr", "--log-level=error"]
        command += [argument for module in load for argument in ("-L", module)]
        log = (self._home / "log").open("ab")
        self._process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + PATIENCE_S
        while self._ask("pactl", "info") != 0:
            assert self._process.poll() is None, (self._home / "log").read_text()
            assert time.monotonic() < deadline, "PulseAudio did not start"

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE_S)
            self._process = None

    def unplug_the_desk_speaker(self) -> None:
        told = subprocess.run(
            ["pactl", "list", "short", "modules"], env=self.environment, capture_output=True, text=True
        )
        number = next(line.split()[0] for line in told.stdout.splitlines() if "sink_name=spk " in line)
        assert self._ask("pactl", "unload-module", number) == 0

    def plug_the_desk_speaker(self) -> None:
        assert self._ask("pactl", "load-module", *DESK.split()) == 0

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _ask(self, *command: str) -> int:
        return subprocess.run(command, env=self.environment, capture_output=True).returncode

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to use these devices and no others."""
        return {**os.environ, **self.environ}

    def feed(self, rate: int, pcm: PCM, latency_ms: int = 100) -> "subprocess.Popen[bytes]":
        """Begin to play this into the microphone; the process ends when all of it was played."""
        path = self._home / f"feed-{time.monotonic_ns()}.wav"
        wav.write(path, rate, pcm)
        return subprocess.Popen(
            ["paplay", "--device=vmic", f"--latency-msec={latency_ms}", str(path)], env=self.environment
        )

    @contextlib.contextmanager
    def recording(self, sink: str = "spk", rate: int = 48_000, latency_ms: int = 20) -> Iterator["Recorder"]:
        """Record a speaker; it has begun when the block is entered."""
        recorder = Recorder(sink, rate, latency_ms, self.environment)
        try:
            yield recorder
        finally:
            recorder.stop()


class Recorder:
    def __init__(self, sink: str, rate: int, latency_ms: int, environ: Mapping[str, str]) -> None:
        self.rate = rate
        command = ["parec", f"--device={sink}.monitor", f"--rate={rate}", "--channels=1", "--format=s16le", "--raw"]
        self._process = subprocess.Popen(
            [*command, f"--latency-msec={latency_ms}"], env=environ, stdout=subprocess.PIPE
        )
        self._data = bytearray()
        self.read_until(lambda pcm: len(pcm) > 0)
        self.began = time.monotonic_ns()  # about: of the first sample

    @property
    def pcm(self) -> PCM:
        return np.frombuffer(bytes(self._data[: len(self._data) // 2 * 2]), "<i2").astype(np.int16)

    def read_until(self, holds: Callable[[PCM], bool | np.bool_], timeout_s: float = PATIENCE_S) -> PCM:
        """Record until what was recorded is as wanted."""
        deadline = time.monotonic() + timeout_s
        while not holds(self.pcm):
            assert self._process.stdout is not None
            left = deadline - time.monotonic()
            assert left > 0, "what was waited for did not sound"
            if select.select([self._process.stdout], [], [], left)[0]:
                data = os.read(self._process.stdout.fileno(), 65_536)
                assert data, "the recorder ended"
                self._data += data
        return self.pcm

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
