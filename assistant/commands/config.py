"""Check the settings of a profile, or show every one with the file that it comes from."""

import argparse
import re

import msgspec

from assistant.commands import OK, _settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("check", "show"), help="check: exit 78 with the first error; show: list all")
    _settings.arguments(parser, "camera-qa")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(asked: argparse.Namespace) -> int:
    found = _settings.load(asked)
    _settings.services(found)
    if asked.action == "check":
        print(_json({"ok": True, "profile": asked.profile}) if asked.json else f"{asked.profile}: in order")
        return OK
    rows = [(key, _told(value), origin) for key, value, origin in found.items()]
    if asked.json:
        print(_json({key: {"value": value, "from": origin} for key, value, origin in rows}))
        return OK
    lines = [(f"{key} = {_json(value)}", origin) for key, value, origin in rows]
    width = min(72, max((len(line) for line, _ in lines), default=0))
    for line, origin in lines:
        print(f"{line:<{width}}  # {origin}")
    return OK


def _told(value: object) -> object:
    """What is shown here ends up in bug reports: not with a camera's password in it."""
    return re.sub(r"(?<=://)[^\s/]*:[^\s]*@", "***@", value) if isinstance(value, str) else value


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
