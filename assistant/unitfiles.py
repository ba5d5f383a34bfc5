"""The files that let systemd run the daemon, made of the templates that ship for the settings of this machine.

A service is one template (systemd/assistant-NAME.service) and its name in messages.SERVICES; all else follows.
"""

import contextlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from assistant import paths
from assistant.config import Config
from assistant.core import units
from assistant.core.units import Fence, Manager, argument, word
from assistant.supervisor import Supervision

CODE = Path(__file__).resolve().parent.parent
HOME = Path("/var/lib/assistant")  # of the system user: history and models


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner asked for; installing again without options takes it from the record."""

    profile: str
    board: str = ""
    set: tuple[str, ...] = ()
    models: str = ""
    network: tuple[str, ...] = ()  # services that are let onto the network whatever the settings say


class Place(NamedTuple):
    """Where units go: for the system's manager or the user's, in this system or in a tree."""

    manager: Manager
    root: Path = Path("/")

    def at(self, path: Path | str) -> Path:
        """A path of the installed system, in the tree."""
        return self.root / str(path).lstrip("/")

    @property
    def units(self) -> Path:
        return Path("/etc/systemd/system") if self.manager == "system" else _config_home() / "systemd" / "user"

    @property
    def settings(self) -> Path:
        return Path("/etc/assistant") if self.manager == "system" else _config_home() / paths.NAME

    @property
    def models(self) -> Path:
        return HOME / "models" if self.manager == "system" else paths.user_models()


def _config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


@contextlib.contextmanager
def as_the_units(place: Place, choice: Choice) -> Iterator[None]:
    """Inside, settings are found as the units will find them: their models, and not root's own settings."""
    theirs = {"ASSISTANT_MODELS": choice.models}
    if place.manager == "system":
        theirs["XDG_CONFIG_HOME"] = str(HOME / ".config")
    before = {name: os.environ.get(name) for name in theirs}
    os.environ.update(theirs)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def fences(found: Config, services: Sequence[str], choice: Choice) -> dict[str, Fence]:
    """What each service needs, by the settings and as far as its unit provides for it."""
    values, needed = found.resolved(), {}
    for name in services:
        fence = units.fence(values[name], name in choice.network)
        own = units.heeded(_read(paths.shipped("systemd") / unit(name)))
        needed[name] = fence._replace(kinds=fence.kinds & (own | {"Offline", "Network", "Local"}))
    return needed


def wanted(place: Place, choice: Choice, found: Config, services: Sequence[str]) -> dict[str, str]:
    """Path -> text of every file of an installation. Raises UnitError for a path that no unit can name."""
    shipped = paths.shipped("systemd")
    fenced = {"settings": Fence(frozenset({"Offline"}), (), ()), **fences(found, services, choice)}
    common = _values(place, choice, found, services, _seen(place, choice, fenced))
    texts: dict[str, str] = {}
    for name in ("assistant.target", "assistant.slice"):
        texts[name] = units.render([_read(shipped / name)], _kinds(place), common)
    for name, needed in fenced.items():
        shared = ["unit.conf"] if name == "settings" else ["unit.conf", "service.conf"]
        templates = [_read(shipped / "common" / part) for part in shared] + [_read(shipped / unit(name))]
        keys = "\n".join(_credential(place, key) for key in needed.keys)
        values = {**common, "name": name, "credentials": keys}
        texts[unit(name)] = units.render(templates, _kinds(place) | needed.kinds, values)
    files = {str(place.units / name): text for name, text in texts.items()}
    if place.manager == "system":
        files["/etc/sysusers.d/edge-assistant.conf"] = _read(shipped / "sysusers.conf")
        files["/etc/tmpfiles.d/edge-assistant.conf"] = _read(shipped / "tmpfiles.conf")
    return files


def unit(service: str) -> str:
    return f"assistant-{service}.service"


def read_by_units(place: Place, choice: Choice, needed: Mapping[str, Fence]) -> list[str]:
    """What the units' processes read outside the system's own folders: interpreter, code, settings, models."""
    profile = [str(Path(name).parent) for name in (choice.profile, choice.board) if "/" in name]
    engines = [path for fence in needed.values() for path in fence.paths]
    python = [sys.prefix, sys.base_prefix, os.path.realpath(sys.executable), str(CODE)]
    return list(dict.fromkeys([*python, *profile, choice.models, *engines]))


def _seen(place: Place, choice: Choice, needed: Mapping[str, Fence]) -> list[str]:
    return units.hidden(read_by_units(place, choice, needed)) if place.manager == "system" else []


def _kinds(place: Place) -> frozenset[str]:
    return frozenset({"System" if place.manager == "system" else "User"})


def _values(
    place: Place, choice: Choice, found: Config, services: Sequence[str], seen: Sequence[str]
) -> dict[str, str]:
    system = place.manager == "system"
    limits = found.section("supervisor", Supervision)
    chosen = ["--profile", choice.profile, *(["--board", choice.board] if choice.board else [])]
    chosen += [part for text in choice.set for part in ("--set", text)]
    installed = CODE in (Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib"))
    return {
        "python": word(sys.executable),
        "code": "" if installed else f"Environment={word(f'PYTHONPATH={CODE}')}",
        "models": word(f"ASSISTANT_MODELS={choice.models}"),
        "runtime": "%t/assistant" if system else f"%t/{paths.NAME}",
        "state": "%S/assistant" if system else word(str(paths.state())),
        "chosen": " ".join(part if part.startswith("--") else argument(part) for part in chosen),
        "wants": " ".join(unit(name) for name in services),
        "window": f"{limits.restart_window_s:g}s",
        "starts": str(limits.restarts + 1),  # systemd counts the first start too
        "watchdog": f"{limits.watchdog_s:g}s",
        "stop": f"{limits.stop_patience_s:g}s",
        "home": "tmpfs" if seen else "yes",
        "binds": "\n".join(f"BindReadOnlyPaths={word(f'-{path}')}" for path in seen),
    }


def _credential(place: Place, key: str) -> str:
    """The line that hands a key to a unit; one that systemd-creds encrypted has the suffix .cred."""
    path = place.settings / "credentials" / key
    sealed = path.with_name(f"{key}.cred")
    if place.at(sealed).exists():
        return f"LoadCredentialEncrypted={word(key)}:{word(str(sealed))}"
    return f"LoadCredential={word(key)}:{word(str(path))}"


def _read(path: Path) -> str:
    return path.read_text("utf-8")
