"""Where things lie: beside the package in a checkout, inside it in a wheel; and the user's own directories."""

import os
import tempfile
from pathlib import Path

NAME = "edge-assistant"
_PACKAGE = Path(__file__).resolve().parent


def shipped(kind: str) -> Path:
    """The folder ``config``, ``models`` or ``systemd`` that ships with this code."""
    inside = _PACKAGE / "shipped" / kind
    return inside if inside.is_dir() else _PACKAGE.parent / kind


def web() -> Path:
    """The folder of the page that the gateway serves."""
    return _PACKAGE / "web"


def runtime() -> Path:
    """Sockets and locks of a running daemon: $ASSISTANT_RUNTIME, systemd's, the user session's, or under /tmp."""
    if chosen := os.environ.get("ASSISTANT_RUNTIME") or os.environ.get("RUNTIME_DIRECTORY"):
        return Path(chosen)
    if session := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(session) / NAME
    return Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}"


def state() -> Path:
    """What outlives a run (the conversation): $ASSISTANT_STATE, systemd's, or ~/.local/state."""
    if chosen := os.environ.get("ASSISTANT_STATE") or os.environ.get("STATE_DIRECTORY"):
        return Path(chosen)
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / NAME


def user_models() -> Path:
    """Where the user's own model folders lie: $ASSISTANT_MODELS or ~/.local/share."""
    if chosen := os.environ.get("ASSISTANT_MODELS"):
        return Path(chosen)
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / NAME / "models"


def own_token() -> Path:
    """Where `assistant gateway token` puts the user's own token."""
    return user_settings()[-1].with_name("gateway-token")


def user_settings() -> list[Path]:
    """Settings files that apply to every run of this machine or user, weakest first."""
    home = os.environ.get("XDG_CONFIG_HOME")
    own = (Path(home) if home else Path.home() / ".config") / NAME / "assistant.toml"
    return [Path("/etc/assistant/assistant.toml"), own]
