"""What tests share: directories of their own, and nothing of the user's settings."""

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from assistant.bus import Bus
from tests import soundserver
from tests.soundserver import SoundServer

# How long an example takes says more about who else uses the machine than about the code.
hypothesis.settings.register_profile("edge-assistant", deadline=None)
hypothesis.settings.load_profile("edge-assistant")


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("CONFIG", "STATE", "DATA"):
            patch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
        for name in ("ASSISTANT_RUNTIME", "ASSISTANT_STATE", "ASSISTANT_MODELS", "NOTIFY_SOCKET"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A runtime directory whose path is short enough for a socket's, as pytest's own need not be."""
    directory = Path(tempfile.mkdtemp(prefix="ea-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def join(runtime: Path) -> Iterator[Callable[..., Bus]]:
    """Opens ends of one bus: ``join("camera")`` for a service's, ``join()`` for a client's."""
    opened: list[Bus] = []

    def open_one(name: str = "") -> Bus:
        opened.append(Bus(runtime, name))
        return opened[-1]

    yield open_one
    for bus in reversed(opened):
        bus.close()


def need(tool: str) -> None:
    """Skip this test: a tool that is no Python package is not installed. The run's last line counts it."""
    pytest.skip(f"needs {tool}: make tools")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The run's last line: how many tests were skipped for which missing tool."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    told = (re.search(r"needs (.+): make tools", str(report.longrepr)) for report in reporter.stats.get("skipped", []))
    tools = Counter(found.group(1) for found in told if found)
    each = ", ".join(f"{count} for {tool}" for tool, count in tools.most_common())
    reporter.write_line(f"skipped for want of a tool: {f'{each} (make tools installs them)' if tools else 'none'}")


@pytest.fixture(scope="session")
def _sound_server() -> Iterator[SoundServer]:
    if tool := soundserver.missing():
        need(tool)
    home = Path(tempfile.mkdtemp(prefix="ea-sound-", dir="/tmp"))
    server = SoundServer(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def sound_server(_sound_server: SoundServer, monkeypatch: pytest.MonkeyPatch) -> SoundServer:
    """A running sound server with devices of its own, which this process and those that it starts use."""
    for name, value in _sound_server.environ.items():
        if name != "HOME":
            monkeypatch.setenv(name, value)
    _sound_server.start()  # if the last test left it stopped
    return _sound_server
