"""What tests share: directories of their own, and nothing of the user's settings."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from assistant.bus import Bus

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
