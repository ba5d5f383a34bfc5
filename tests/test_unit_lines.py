"""The command lines of the units, started as systemd would and heard by a notify socket of our own.

This needs no service manager; tests/e2e/test_systemd.py shows the same units under a real one.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from assistant import paths, unitfiles
from assistant.commands import main
from assistant.notify import parse
from assistant.service import BEAT_S, EXIT_CONFIG
from tests.processes import PATIENCE_S

AWKWARD = r"""it's 100% of "$HOME" \ C:\\"""  # what a value of a setting may look like


class Launcher:
    """Reads a unit's ExecStart=, Environment= and WatchdogSec= and starts it with a notify socket, as systemd does."""

    def __init__(self, units: Path, session: Path) -> None:
        self._units, self._session = units, session
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.heard.bind(str(session / "notify"))
        self.heard.settimeout(PATIENCE_S)

    def start(self, unit: str) -> "subprocess.Popen[str]":
        lines = [line.partition("=") for line in (self._units / unit).read_text().splitlines()]
        given = {key: self._words(value) for key, _, value in lines if key in ("ExecStart", "WatchdogSec")}
        environ = {**os.environ, "XDG_RUNTIME_DIR": str(self._session), "NOTIFY_SOCKET": str(self._session / "notify")}
        named = [word for key, _, value in lines if key == "Environment" for word in self._words(value)]
        environ |= dict(word.split("=", 1) for word in named)
        if "WatchdogSec" in given:
            environ["WATCHDOG_USEC"] = str(int(float(given["WatchdogSec"][0].rstrip("s")) * 1e6))
        return subprocess.Popen(given["ExecStart"], cwd="/", env=environ, stdin=subprocess.DEVNULL, text=True)

    def _words(self, value: str) -> list[str]:
        specifiers = {"%%": "%", "%t": str(self._session)}
        words = shlex.split(re.sub("%.", lambda found: specifiers[found[0]], value))
        return [word.replace("$$", "$") for word in words]

    def silent(self) -> bool:
        """Was nothing heard for as long as the patience is? (One more may have been on its way.)"""
        try:
            self.hear()
        except TimeoutError:
            return True
        return False

    def hear(self) -> dict[str, str]:
        return parse(self.heard.recv(4096))


@pytest.fixture
def launcher(runtime: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Launcher]:
    """With the units that a user of the demo would have, and a session's runtime directory."""
    root = runtime / "a 100% root"
    options = ["--profile", "demo", "--set", f"microphone.device={AWKWARD}"]
    assert main(["systemd", "install", "--user", "--root", str(root), *options]) == 0, capsys.readouterr().err
    made = Launcher(root / str(unitfiles.Place("user").units).lstrip("/"), runtime)
    yield made
    made.heard.close()


def run(launcher: Launcher, unit: str) -> int:
    with launcher.start(unit) as process:
        return process.wait(PATIENCE_S)


def ready(launcher: Launcher) -> Sequence[dict[str, str]]:
    """What is said up to READY."""
    said = [launcher.hear()]
    while "READY" not in said[-1]:
        said.append(launcher.hear())
    return said


def test_it_is_ready_only_after_loading_and_falls_silent_when_its_loop_hangs(launcher: Launcher, runtime: Path) -> None:
    assert run(launcher, "assistant-settings.service") == 0
    resolved = json.loads((runtime / paths.NAME / "settings.json").read_text())
    assert resolved["microphone"]["device"] == AWKWARD
    with launcher.start("assistant-vision.service") as process:
        try:
            said = ready(launcher)
            loading = next(at for at, fields in enumerate(said) if "EXTEND_TIMEOUT_USEC" in fields)
            assert loading < len(said) - 1
            assert said[loading]["STATUS"] == "loading the image encoder"
            longer = 20_000_000 + int(said[loading]["EXTEND_TIMEOUT_USEC"])
            assert said[loading]["WATCHDOG_USEC"] == str(longer)
            assert [f["WATCHDOG_USEC"] for f in said[loading + 1 :] if "WATCHDOG_USEC" in f] == ["20000000"]
            assert "WATCHDOG" in launcher.hear()  # from now on by itself
            assert "WATCHDOG" in launcher.hear()
            process.send_signal(signal.SIGSTOP)
            launcher.heard.settimeout(1.8 * BEAT_S)
            assert any(launcher.silent() for _ in range(3)), "it still said that all is well"
            process.send_signal(signal.SIGCONT)
            launcher.heard.settimeout(PATIENCE_S)
            assert "WATCHDOG" in launcher.hear()
        finally:
            process.send_signal(signal.SIGCONT)  # a stopped one would not hear that it is to end
            process.terminate()
    assert process.returncode == 0


def test_a_service_without_settings_gives_up_for_good(launcher: Launcher) -> None:
    """As where its ordering after assistant-settings.service is missing: RestartPreventExitStatus names this code."""
    assert run(launcher, "assistant-camera.service") == EXIT_CONFIG
    assert launcher.hear()["STATUS"].startswith("failed: ")
