"""Say what is wrong with this machine, and how to mend it: board, NPU, libraries, models, sound, camera, tuning.

Each check is ok, a warning, a failure, or not checked (with the reason). Exit code 0: all that was checked is well;
1: warnings; 2: failures; with --commands always 0. The microphone, the speaker and the camera that the settings name
are really opened, and a short sound is played.
Commands that tune a board are printed, each with the one that undoes it; none is run."""

import argparse
import os
from pathlib import Path
from typing import Any

import msgspec

from assistant import checkup
from assistant.checkup import record
from assistant.checkup.tree import Tree
from assistant.commands import FAILED, OK, USAGE, Failure, _doctorview, _opening, _settings
from assistant.config import ConfigError
from assistant.core import doctor
from assistant.core.doctor import tuning
from assistant.core.doctor.facts import Facts
from assistant.messages import Language

PROFILE = "camera-qa"


def arguments(parser: argparse.ArgumentParser) -> None:
    _settings.arguments(parser, None)
    parser.add_argument("--root", type=Path, metavar="DIR", help="judge a recorded or mounted system instead of this")
    parser.add_argument("--record", type=Path, metavar="DIR", help="also write what was seen there, to be sent")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--commands", action="store_true", help="print the tuning commands alone, each with its undo")
    parser.add_argument("--no-devices", action="store_true", help="do not open microphone, speaker and camera")
    parser.add_argument("--language", choices=("en", "zh"), default=None, help="of the texts (default: that of $LANG)")


def run(asked: argparse.Namespace) -> int:
    if asked.root and asked.record:
        raise Failure("--record writes down this machine: leave out --root", USAGE)
    if asked.root and not asked.root.is_dir():
        raise Failure(f"there is no directory {asked.root}; name one that --record wrote, or a mounted system", USAGE)
    tree = Tree(asked.root)
    facts = _facts(asked, tree)
    language = asked.language or _language()
    findings = doctor.examine(facts)
    if asked.commands:
        print("\n".join(f"{each.do}  # undo: {each.undo}" for each in tuning.commands(facts)))
    elif asked.json:
        print(msgspec.json.encode(_doctorview.table(findings, facts, language)).decode())
    else:
        _doctorview.show(findings, facts, language)
    if asked.record:
        _record(asked, tree, facts)
    return OK if asked.commands else doctor.worst(findings)


def _facts(asked: argparse.Namespace, tree: Tree) -> Facts:
    given = asked.profile or asked.board or asked.set
    if not tree.live and not given and record.read(tree.root).choices:
        return checkup.facts(tree, None)
    asked.profile = asked.profile or PROFILE
    try:
        resolved = _settings.load(asked).resolved()
    except ConfigError as error:
        return _told(checkup.facts(tree, {}), settings=str(error), not_opened="opened.settings")
    seen = _told(checkup.facts(tree, resolved), profile=asked.profile)
    if not tree.live or asked.no_devices or asked.commands or (seen.live and seen.live.running):
        return seen
    return _told(seen, opened=tuple(_opening.opened(resolved)), not_opened="")


def _told(seen: Facts, **changes: Any) -> Facts:
    return msgspec.structs.replace(seen, **changes)


def _record(asked: argparse.Namespace, tree: Tree, facts: Facts) -> None:
    try:
        count = record.write(asked.record, tree, facts)
    except record.RecordError as error:
        raise Failure(str(error), FAILED) from error
    if not asked.json:
        print(f"{asked.record}: {count} files; they name directories of yours, so look through them before you send")


def _language() -> Language:
    """As programs choose it: the first of these that is set."""
    chosen = next(filter(None, (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return "zh" if chosen.startswith("zh") else "en"
