"""Check the settings of a profile, or show every one with the file that it comes from.

check      exit 78 with the first error
show       list every setting
resolve    write them into the runtime directory, as services that are started one by one read them (see systemd/)"""

import argparse
import re

import msgspec

from assistant import paths
from assistant.commands import OK, UNAVAILABLE, Failure, _settings
from assistant.config import Config
from assistant.lock import holder
from assistant.service import RESOLVED, SUPERVISOR_LOCK, hand_over


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("check", "show", "resolve"))
    _settings.arguments(parser, "camera-qa")
    _settings.directories(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(asked: argparse.Namespace) -> int:
    found = _settings.load(asked)
    _settings.services(found)
    if asked.action == "check":
        print(_json({"ok": True, "profile": asked.profile}) if asked.json else f"{asked.profile}: in order")
        return OK
    if asked.action == "resolve":
        return _resolve(asked, found)
    rows = [(key, _told(value), origin) for key, value, origin in found.items()]
    if asked.json:
        print(_json({key: {"value": value, "from": origin} for key, value, origin in rows}))
        return OK
    lines = [(f"{key} = {_json(value)}", origin) for key, value, origin in rows]
    width = min(72, max((len(line) for line, _ in lines), default=0))
    for line, origin in lines:
        print(f"{line:<{width}}  # {origin}")
    return OK


def _resolve(asked: argparse.Namespace, found: Config) -> int:
    runtime = asked.runtime or paths.runtime()
    if pid := holder(runtime / SUPERVISOR_LOCK):
        raise Failure(f"`assistant run` (process {pid}) uses {runtime}: its settings are its own; end it", UNAVAILABLE)
    try:
        hand_over(runtime, asked.state or paths.state(), found.resolved())
    except OSError as error:
        raise Failure(f"the settings cannot be written: {error}; name other directories", UNAVAILABLE) from error
    print(_json({"settings": str(runtime / RESOLVED)}) if asked.json else runtime / RESOLVED)
    return OK


def _told(value: object) -> object:
    """What is shown here ends up in bug reports: not with a camera's password in it."""
    return re.sub(r"(?<=://)[^\s/]*:[^\s]*@", "***@", value) if isinstance(value, str) else value


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
