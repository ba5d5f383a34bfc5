"""The daemon's systemd units on a machine: what stands in their way; written, compared, removed.

What was put where is recorded beside the machine's settings, with the sha256 of each file: an installation can be
brought up to date and removed exactly, and a file that the owner has edited is known as such.
"""

import contextlib
import grp
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from assistant.core import units
from assistant.core.units import State
from assistant.unitfiles import HOME, Choice, Place


class Refused(Exception):
    """The units cannot be installed or removed as they are; the text says what to do."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """systemd.json beside the settings."""

    choice: Choice
    files: dict[str, str] = {}  # path -> sha256 as it was installed


class Change(NamedTuple):
    path: str
    state: State  # before
    done: Literal["written", "kept", "removed"]
    backup: str = ""  # where an edited file was kept


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
