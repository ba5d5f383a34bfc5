"""Let systemd run the daemon: at boot, each service a unit of its own with only the devices and network that it needs.

install      write the units for this profile and board, and enable them. Again without a profile: bring them up to
             date, with the options of the last time where they are not given anew
status       each unit: installed, as this version would install it, running, what it last said
uninstall    stop and remove what was installed; settings, models and history stay

System units run as the user "assistant" and use ALSA; --user units run in your own session and use its sound server.
--root DIR writes into the tree of another system (an image) and starts nothing."""

import argparse
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from assistant import installation, unitfiles
from assistant.commands import FAILED, OK, UNAVAILABLE, USAGE, Failure, _settings
from assistant.commands._systemctl import call, end, shown, systemctl
from assistant.config import Config
from assistant.core.units import Fence, UnitError
from assistant.installation import Change, Record, Refused
from assistant.messages import SERVICES
from assistant.unitfiles import Choice, Place


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action in DO:
        inner = actions.add_parser(action)
        inner.add_argument("--user", action="store_true", help="units of your own session, not of the system")
        inner.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="the tree of another system")
        if action != "status":
            inner.add_argument("--force", action="store_true", help="also files that were edited; each is kept as .bak")
        if action != "uninstall":
            inner.add_argument("--json", action="store_true", help="print one JSON object")
        if action == "install":
            _settings.arguments(inner, None)
            inner.add_argument("--models", type=Path, default=None, metavar="DIR", help="the folder of the models")
            inner.add_argument(
                "--network", action="append", default=None, choices=SERVICES, help="let a service onto the network"
            )
            inner.add_argument("--now", action="store_true", help="start it as well")


def run(asked: argparse.Namespace) -> int:
    place = Place("user" if asked.user else "system", asked.root.resolve())
    try:
        return DO[asked.action](asked, place)
    except Refused as error:
        raise Failure(str(error), FAILED) from error
    except UnitError as error:
        raise Failure(str(error), USAGE) from error
    except PermissionError as error:
        raise Failure(f"{error.filename}: not yours to write; {_as_root()}", USAGE) from error
    except OSError as error:
        raise Failure(f"{error}; nothing else was done", FAILED) from error


def install(asked: argparse.Namespace, place: Place) -> int:
    _able(place)
    before = installation.recorded(place)
    choice = _choice(asked, place, before)
    found, services = _load(place, choice)
    needed = unitfiles.fences(found, services, choice)
    files = unitfiles.wanted(place, choice, found, services)
    _fits(place, choice, needed, files)
    changes = installation.install(place, choice, files, asked.force)
    here = place.root == Path("/")
    if here and place.manager == "system":
        call("systemd-sysusers", "/etc/sysusers.d/edge-assistant.conf")
        call("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/edge-assistant.conf")
    if here:
        end(place, [Path(change.path).name for change in changes if change.done == "removed"])
        systemctl(place, "daemon-reload")
        systemctl(place, "enable", "assistant.target")
    if here and asked.now:
        systemctl(place, "restart", "assistant.target")
    if asked.json:
        print(_json({"ok": True, "profile": choice.profile, "changes": [change._asdict() for change in changes]}))
        return OK
    _tell(changes)
    keys = [key for fence in needed.values() for key in fence.keys]
    for line in _next(place, choice, bool(before), asked.now, keys):
        print(line)
    return OK


def status(asked: argparse.Namespace, place: Place) -> int:
    record = installation.recorded(place)
    if record is None:
        raise Failure(f"no units are installed in {place.at(place.units)}; assistant systemd install", FAILED)
    found, services = _load(place, record.choice)
    files = unitfiles.wanted(place, record.choice, found, services)
    states = installation.states(place, files, record)
    rows = []
    for path, state in states.items():
        name = Path(path).name
        live = shown(place, name) if Path(path).parent == place.units and place.root == Path("/") else {}
        rows.append(
            {
                "unit": name if live or Path(path).parent == place.units else path,
                "path": path,
                "file": state,
                "wanted": path in files,
                **live,
            }
        )
    running = all(row.get("ActiveState", "active") == "active" for row in rows if row["wanted"])
    well = running and all(row["file"] == "same" and row["wanted"] for row in rows)
    if asked.json:
        print(_json({"ok": well, "profile": record.choice.profile, "board": record.choice.board, "units": rows}))
        return OK if well else FAILED
    for row in rows:
        is_now = " ".join(str(row[key]) for key in ("ActiveState", "SubState") if row.get(key))
        again = f"restarted {row['NRestarts']} times" if row.get("NRestarts", "0") not in ("0", "") else ""
        told = "  ".join(str(text) for text in (is_now, again, row.get("StatusText", "")) if text)
        print(
            f"{row['unit']:<38} {FILES[str(row['file'])] if row['wanted'] else 'no longer wanted':<18} {told}".rstrip()
        )
    if any(row["file"] != "same" or not row["wanted"] for row in rows):
        print("Not all is as this version and these settings want it: assistant systemd install brings it up to date.")
    return OK if well else FAILED


def uninstall(asked: argparse.Namespace, place: Place) -> int:
    record = installation.recorded(place)
    if record is None:
        print(f"no units are installed in {place.at(place.units)}")
        return OK
    here = place.root == Path("/")
    if here:
        _able(place)
    if here and (asked.force or not installation.edited(installation.states(place, {}, record))):
        systemctl(place, "disable", "--now", "assistant.target")
        end(place, [Path(path).name for path in record.files if Path(path).parent == place.units])
    changes = installation.uninstall(place, record, asked.force)
    if here:
        systemctl(place, "daemon-reload")
    _tell(changes)
    kept = f"{place.settings} (settings, keys), {record.choice.models} (models)"
    history = f" and {unitfiles.HOME} (history), and the user assistant" if place.manager == "system" else ", history"
    print(f"Not removed: {kept}{history}.")
    return OK


DO = {"install": install, "status": status, "uninstall": uninstall}
FILES = {"same": "installed", "old": "installed, old", "edited": "edited", "absent": "MISSING"}


# --- what is asked ---


def _choice(asked: argparse.Namespace, place: Place, before: Record | None) -> Choice:
    """The options that were given; for the others, what an earlier installation was given."""
    if any(re.search(r"://[^\s/]*:[^\s/]*@", text) for text in asked.set):
        raise Failure(
            "units can be read by everyone: a password belongs into a settings file, "
            f"{place.settings}/assistant.toml, that only its reader may read (chmod 640, chgrp assistant)",
            USAGE,
        )
    old = before.choice if before else Choice(profile="camera-qa", models=str(place.models))
    if asked.profile:  # a profile that is named begins anew
        old = Choice(profile=asked.profile, models=old.models)
    return Choice(
        profile=_named(old.profile),
        board=_named(asked.board or old.board),
        set=tuple(asked.set or old.set),
        models=str(asked.models.absolute()) if asked.models else old.models,
        network=tuple(asked.network or old.network),
    )


def _named(profile: str) -> str:
    """A file's path from anywhere; a name stays a name."""
    return str(Path(profile).absolute()) if "/" in profile or profile.endswith(".toml") else profile


def _load(place: Place, choice: Choice) -> tuple[Config, Sequence[str]]:
    asked = argparse.Namespace(profile=choice.profile, board=choice.board, set=list(choice.set))
    with unitfiles.as_the_units(place, choice):
        found = _settings.load(asked)
    return found, _settings.services(found)


# --- what must be there ---


def _able(place: Place) -> None:
    """Raises Failure where this machine or this user cannot do it."""
    if place.root != Path("/"):
        return
    if place.manager == "system" and os.geteuid() != 0:
        raise Failure(f"system units are root's to install: {_as_root()}", USAGE)
    session = Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere")) / "systemd"
    running = Path("/run/systemd/system") if place.manager == "system" else session
    if not running.is_dir() or shutil.which("systemctl") is None:
        mend = (
            "log in as this user, or: sudo loginctl enable-linger" if place.manager == "user" else "use assistant run"
        )
        whose = "of your own" if place.manager == "user" else "on this machine"
        raise Failure(f"no systemd runs {whose}; {mend}; or write into another system's tree: --root DIR", UNAVAILABLE)


def _as_root() -> str:
    again = shlex.join([sys.executable, "-m", "assistant", "systemd", *sys.argv[2:]])
    return f"sudo {again}; or units of your own session: --user"


def _fits(place: Place, choice: Choice, needed: Mapping[str, Fence], files: Mapping[str, str]) -> None:
    """Raises Refused for what would keep the units from starting."""
    if absent := installation.missing_groups(place, files):
        names = dict.fromkeys(Path(path).name for named in absent.values() for path in named)
        mend = " && ".join(f"sudo groupadd --system {group}" for group in absent)
        raise Refused(
            f"this system has no group {' and no group '.join(absent)}, through which {', '.join(names)} would reach "
            f"the devices; {mend}; and see that these belong to it "
            "(ls -l /dev/dri /dev/snd /dev/video* /dev/input /dev/gpiochip*)"
        )
    if place.manager == "user":
        return
    for path in unitfiles.read_by_units(place, choice, needed):
        if closed := installation.unreadable(place, path):
            raise Refused(
                f"{path} cannot be read by the user assistant, as {closed} is closed to others; move it (a virtual "
                "environment: python3 -m venv /opt/edge-assistant, and install there), or use --user"
            )


# --- doing and telling ---


def _tell(changes: Sequence[Change]) -> None:
    words = {"absent": "new", "old": "updated", "edited": "replaced", "same": "unchanged"}
    for change in changes:
        what = "removed" if change.done == "removed" else words[change.state]
        backup = f" (the edited one is {change.backup})" if change.backup else ""
        print(f"{what:<10} {change.path}{backup}")


def _next(place: Place, choice: Choice, again: bool, started: bool, keys: Sequence[str]) -> list[str]:
    """What the owner does now."""
    of_user = " --user" if place.manager == "user" else ""
    pull = (
        f"ASSISTANT_MODELS={shlex.quote(choice.models)} {shlex.join([sys.executable, '-m', 'assistant'])} models pull"
    )
    lines = [f"Models are read from {choice.models}: {'' if of_user else 'sudo env '}{pull} NAME"]
    for key in keys:
        path = place.settings / "credentials" / key
        lines.append(f"The key {key!r} is read from {path} (mode 0600), or {key}.cred made by systemd-creds encrypt.")
    if place.root != Path("/"):
        lines.append(f"There: systemd-sysusers; systemd-tmpfiles --create; systemctl{of_user} enable assistant.target")
    elif not started:
        lines.append(f"Now: systemctl{of_user} {'restart' if again else 'start'} assistant.target")
    if of_user:
        lines.append("To run without being logged in: sudo loginctl enable-linger $USER")
    else:
        this = shlex.join([sys.executable, "-m", "assistant"])
        lines.append(f"Watch it: sudo env ASSISTANT_RUNTIME=/run/assistant {this} tap")
    return [*lines, f"Its log: journalctl{of_user} -u 'assistant-*'"]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
