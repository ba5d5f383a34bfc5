"""Say what is wrong with this machine, and how to mend it: board, NPU, libraries, models, sound, camera, tuning.

Each check is ok, a warning, a failure, or not checked (with the reason). Exit code 0: all that was checked is well;
1: warnings; 2: failures. The microphone, the speaker and the camera are really opened; a short sound is played.
Commands that tune a board are printed, each with the one that undoes it; none is run."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from assistant import checkup
from assistant.checkup import record
from assistant.checkup.tree import Tree
from assistant.commands import FAILED, OK, USAGE, Failure, _doctorview, _opening, _settings
from assistant.config import Config, ConfigError, Engine
from assistant.core import doctor
from assistant.core.doctor import tuning
from assistant.core.doctor.facts import Facts
from assistant.core.personas import Language
from assistant.messages import SERVICES

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
    recorded = not tree.live and not given and bool(record.read(tree.root).choices)
    problem, found = "", None
    if not recorded:
        asked.profile = asked.profile or PROFILE
        try:
            found = _settings.load(asked)
        except ConfigError as error:
            problem = str(error)
    seen = checkup.facts(tree, None if recorded else list(_named(found)))
    changes: dict[str, Any] = {"settings": problem}
    if not tree.live or found is None:
        changes["not_opened"] = "opened.settings" if problem else "" if seen.opened else "opened.recorded"
    elif asked.no_devices or asked.commands:
        changes["not_opened"] = "opened.declined"
    elif seen.live and seen.live.running:
        changes["not_opened"] = "opened.running"
    else:
        changes["opened"] = tuple(_opening.opened(found))
    return msgspec.structs.replace(seen, **changes)


def _named(found: Config | None) -> Iterator[tuple[str, str, Engine]]:
    for name in SERVICES if found is not None else ():
        assert found is not None
        yield from _settings.engines(found, name)


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
