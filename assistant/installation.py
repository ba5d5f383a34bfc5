"""The daemon's systemd units on a machine: made of the templates that ship, written, compared, removed.

What was put where is recorded beside the machine's settings, with the sha256 of each file: an installation can be
brought up to date and removed exactly, and a file that the owner has edited is known as such.
"""

import contextlib
import grp
import hashlib
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from assistant import paths
from assistant.config import Config
from assistant.core import units
from assistant.core.units import Fence, Manager, State, argument, word
from assistant.supervisor import Supervision

CODE = Path(__file__).resolve().parent.parent
HOME = Path("/var/lib/assistant")  # of the system user: history and models


class Refused(Exception):
    """The units cannot be installed or removed as they are; the text says what to do."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner asked for; installing again without options takes it from the record."""

    profile: str
    board: str = ""
    set: tuple[str, ...] = ()
    models: str = ""
    network: tuple[str, ...] = ()  # services that are let onto the network whatever the settings say


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """systemd.json beside the settings."""

    choice: Choice
    files: dict[str, str] = {}  # path -> sha256 as it was installed


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


class Change(NamedTuple):
    path: str
    state: State  # before
    done: Literal["written", "kept", "removed"]
    backup: str = ""  # where an edited file was kept


def _config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


# --- what is wanted ---


def fences(found: Config, services: Sequence[str], choice: Choice) -> dict[str, Fence]:
    """What each service needs, by the settings and as far as its unit provides for it."""
    values, needed = found.resolved(), {}
    for name in services:
        fence = units.fence(values[name], name in choice.network)
        own = units.heeded(_read(paths.shipped("systemd") / unit(name)))
        needed[name] = fence._replace(kinds=fence.kinds & (own | {"Offline", "Network"}))
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


# --- what stands in the way ---


def missing_groups(place: Place, files: Mapping[str, str]) -> dict[str, list[str]]:
    """Groups that the units name and the system has not, with these units. A tree that has no list of groups is not
    blamed."""
    listed = place.at("/etc/group")
    if place.root == Path("/"):
        known = {entry.gr_name for entry in grp.getgrall()}
    elif listed.is_file():
        known = {line.partition(":")[0] for line in listed.read_text().splitlines()}
    else:
        return {}
    return {group: names for group, names in units.groups(files).items() if group not in known}


def unreadable(place: Place, path: str) -> str:
    """The first of a path's folders, or the path itself, that other users may not read; "" where all is well.

    What is not there, and what lies in the daemon's own home, is nobody's concern here."""
    here = Path(path)
    if here.is_relative_to(HOME):
        return ""
    for part in [*reversed(here.parents), here]:
        with contextlib.suppress(OSError):
            mode = place.at(part).stat().st_mode
            needed = 0o004 if place.at(part).is_file() else 0o005 if part == here else 0o001
            if mode & needed != needed:
                return str(part)
    return ""


# --- on the disk ---


def record_path(place: Place) -> Path:
    return place.settings / "systemd.json"


def recorded(place: Place) -> Record | None:
    """What was installed here; None: nothing. Raises Refused for a record that cannot be read."""
    path = place.at(record_path(place))
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise Refused(f"{path}, which says what was installed, cannot be read ({error}); remove it") from error


def states(place: Place, files: Mapping[str, str], record: Record | None) -> dict[str, State]:
    """How each file is that is wanted or was installed."""
    installed = record.files if record else {}
    found: dict[str, State] = {}
    for path in dict.fromkeys((*files, *installed)):
        now = _bytes(place.at(path))
        wants = _sha256(files[path].encode()) if path in files else ""
        found[path] = units.state(now, installed.get(path, ""), wants, _sha256(now or b""))
    return found


def install(place: Place, choice: Choice, files: Mapping[str, str], force: bool = False) -> list[Change]:
    """Write the files, remove those of an older installation that are no longer wanted. Raises Refused, OSError."""
    record = recorded(place)
    before = states(place, files, record)
    _refuse_edited(before, force, "install")
    changes = []
    for path, was in before.items():
        backup = _keep(place, path) if was == "edited" else ""
        if path not in files:
            place.at(path).unlink(missing_ok=True)
        elif was != "same":
            _write(place.at(path), files[path].encode())
        done: Literal["written", "kept", "removed"] = "kept" if was == "same" else "written"
        changes.append(Change(path, was, done if path in files else "removed", backup))
    written = Record(choice=choice, files={path: _sha256(text.encode()) for path, text in files.items()})
    _write(place.at(record_path(place)), msgspec.json.format(msgspec.json.encode(written), indent=1))
    return changes


def uninstall(place: Place, record: Record, force: bool = False) -> list[Change]:
    """Remove the files that were installed, and nothing else. Raises Refused, OSError."""
    before = states(place, {}, record)
    _refuse_edited(before, force, "uninstall")
    changes = []
    for path, was in before.items():
        backup = _keep(place, path) if was == "edited" else ""
        place.at(path).unlink(missing_ok=True)
        changes.append(Change(path, was, "removed", backup))
    place.at(record_path(place)).unlink()
    return changes


def edited(before: Mapping[str, State]) -> list[str]:
    return [path for path, was in before.items() if was == "edited"]


def _refuse_edited(before: Mapping[str, State], force: bool, action: str) -> None:
    if edited(before) and not force:
        raise Refused(
            f"{', '.join(edited(before))}: not as they were installed. Move your lines into a drop-in (systemctl edit "
            f"UNIT), which is kept; then: assistant systemd {action} --force (the edited file is kept as .bak)"
        )


def _keep(place: Place, path: str) -> str:
    backup = f"{path}.bak"
    place.at(path).replace(place.at(backup))
    return backup


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    """Never half a file under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.chmod(0o644)
    part.replace(path)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
