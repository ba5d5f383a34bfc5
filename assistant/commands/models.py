"""Get models, see which are here and whether they are whole, and carry them to machines without network.

list                     what there is, what is installed, size and licence; then the sets
pull NAME|SET …          download; --from hf (default; HF_ENDPOINT and HF_TOKEN are honoured), modelscope, a URL or a
                         folder that is laid out like the models folder (or like the model). Goes on where it stopped.
verify [NAME|SET …]      read every file and compare its sha256; without names: all that are here
path NAME                the folder of an installed model
bundle NAME|SET … --out FILE.tar    put installed models into one file, for a USB stick
import FILE.tar          install what such a file holds"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from assistant import bundle, modelstore, paths
from assistant.bundle import BundleError
from assistant.commands import FAILED, OK, SETTINGS, UNAVAILABLE, USAGE, Failure
from assistant.core import fetching
from assistant.core.fetching import NoSource
from assistant.core.manifest import Entry, Manifest, ManifestError
from assistant.download import Conditions, DownloadError, Told, Unreachable
from assistant.modelstore import StoreError

# Action -> what its names are, how many of them, its options beside --manifest.
ACTIONS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "list": ("NAME", "*", ("--json",)),
    "pull": ("NAME", "+", ("--from",)),
    "verify": ("NAME", "*", ("--json",)),
    "path": ("NAME", "+", ()),
    "bundle": ("NAME", "+", ("--out",)),
    "import": ("FILE.tar", "+", ()),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "--from": {"dest": "given", "default": "hf", "metavar": "WHERE", "help": "hf, modelscope, a URL or a folder"},
    "--out": {"type": Path, "required": True, "metavar": "FILE.tar", "help": "the bundle to write"},
    "--manifest": {"type": Path, "default": None, "metavar": "FILE", "help": "another manifest than the shipped one"},
    "--json": {"action": "store_true", "help": "print one JSON object"},
}
EVERY_S = 5.0  # seconds between lines of progress where there is no terminal

# What can go wrong, the more special before the general.
CODES: dict[type[Exception], int] = {
    Unreachable: UNAVAILABLE,
    DownloadError: FAILED,
    BundleError: FAILED,
    StoreError: USAGE,
    NoSource: USAGE,
    ManifestError: SETTINGS,
}
NO_NETWORK = (
    "Without network: on a machine that has some, `assistant models pull` and `assistant models bundle NAME --out "
    "FILE.tar`; then here: assistant models import FILE.tar. Where only that hub is out of reach: --from modelscope, "
    "or HF_ENDPOINT=https://hf-mirror.com"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, (names, nargs, options) in ACTIONS.items():
        inner = actions.add_parser(action)
        inner.add_argument("names", nargs=nargs, metavar=names)
        for option in ("--manifest", *options):
            inner.add_argument(option, **OPTIONS[option])


def run(asked: argparse.Namespace) -> int:
    try:
        known = modelstore.load(asked.manifest)
        return DO[asked.action](asked, known)
    except tuple(CODES) as error:
        code = next(code for kind, code in CODES.items() if isinstance(error, kind))
        mend = f". {NO_NETWORK}" if isinstance(error, Unreachable) else ""
        raise Failure(f"{error}{mend}", code) from error


def show(asked: argparse.Namespace, known: Manifest) -> int:
    names = modelstore.expand(known, asked.names) if asked.names else list(known.models)
    states = {name: modelstore.state(name, known.models[name]) for name in names}
    if asked.json:
        models = {
            name: {
                "state": states[name],
                "path": str(modelstore.folder(name)),
                "size": known.models[name].size,
                **msgspec.to_builtins(known.models[name]),
            }
            for name in names
        }
        print(_json({"folder": str(paths.user_models()), "models": models, "sets": msgspec.to_builtins(known.sets)}))
        return OK
    rows = [("MODEL", "ROLE", "SIZE", "RUNS ON", "STATE", "LICENCE")]
    for name in names:
        entry = known.models[name]
        where = ",".join(entry.soc) or "any CPU"
        hub = "" if entry.source.hf else " (no hub)"
        size = fetching.megabytes(entry.size) if all(file.size for file in entry.files) else "?"
        doubt = "" if entry.verified else " ?"
        rows.append((name + doubt, entry.role, size, where, states[name] + hub, entry.licence))
    _table(rows)
    print("\n?  not verified: file names beside a model, or a size that no page states")
    if not asked.names:
        print()
        _table([("SET", "MODELS")] + [(name, ", ".join(chosen.models)) for name, chosen in known.sets.items()])
        print(f"\nthey lie in {paths.user_models()}")
    return OK


def pull(asked: argparse.Namespace, known: Manifest) -> int:
    """What one source does not have is told at the end; the others come all the same."""
    lacking = []
    for name in modelstore.expand(known, asked.names):
        try:
            _pull(name, known.models[name], asked.given)
        except NoSource as error:
            lacking.append(str(error))
    if lacking:
        raise NoSource("; ".join(lacking))
    return OK


def _pull(name: str, entry: Entry, given: str) -> None:
    if not entry.verified and entry.source.hf and given == "hf":
        _say(f"{name}: nobody could verify its file names beforehand; if one is not found, see {entry.source.page}")
    progress = Progress(name)
    came = modelstore.pull(name, entry, given, progress.file, Conditions(say=progress.say))
    progress.end()
    what = f"{len(came)} {'file' if len(came) == 1 else 'files'} came" if came else "is already here, and whole"
    print(f"{name}: {what}; {modelstore.folder(name)}")
    if came:
        print(f"{name}: licence {entry.licence}; {entry.source.page}")


def verify(asked: argparse.Namespace, known: Manifest) -> int:
    names = modelstore.expand(known, asked.names) if asked.names else _here(known)
    findings = {name: list(modelstore.verify(name, known.models.get(name))) for name in names}
    whole = all(finding.ok for found in findings.values() for finding in found)
    if asked.json:
        print(_json({"ok": whole, "models": {n: [f._asdict() for f in found] for n, found in findings.items()}}))
        return OK if whole else FAILED
    for name, found in findings.items():
        bad = [finding for finding in found if not finding.ok]
        print(f"{name}: {'is whole' if not bad else 'is NOT whole; pull it again'}")
        for finding in found:
            print(f"  {'ok ' if finding.ok else 'BAD'} {finding.path}  {finding.says}")
    if not findings:
        print(f"no models are in {paths.user_models()}")
    return OK if whole else FAILED


def path(asked: argparse.Namespace, known: Manifest) -> int:
    for name in asked.names:
        modelstore.installed_files(name, known.models.get(name))
        print(modelstore.folder(name))
    return OK


def bundled(asked: argparse.Namespace, known: Manifest) -> int:
    names = dict.fromkeys(
        model for name in asked.names for model in (known.sets[name].models if name in known.sets else (name,))
    )
    size = bundle.write(list(names), known.models, asked.out, _say, Conditions())
    print(
        f"{asked.out}: {', '.join(names)}; {fetching.megabytes(size)}. There: assistant models import {asked.out.name}"
    )
    return OK


def imported(asked: argparse.Namespace, known: Manifest) -> int:
    for name in asked.names:
        models = bundle.read(Path(name), _say, Conditions())
        print(f"installed: {', '.join(models) or 'nothing'}; {paths.user_models()}")
    return OK


DO = {"list": show, "pull": pull, "verify": verify, "path": path, "bundle": bundled, "import": imported}


class Progress:
    """How a pull goes, on stderr: one line that is rewritten on a terminal, else a line now and then."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._live = sys.stderr.isatty()

    def file(self, path: str) -> Told:
        started, first, last = time.monotonic(), -1, 0.0

        def told(done: int, total: int) -> None:
            nonlocal first, last
            now = time.monotonic()
            first = done if first < 0 else first
            ended = bool(total) and done >= total
            if not ended and now - last < (0.2 if self._live else EVERY_S):
                return
            last = now
            rate = (done - first) / max(now - started, 1e-3)
            line = fetching.progress(f"{self._name}/{path}", done, total, rate)
            print(
                f"\r\033[K{line}" if self._live else line, end="" if self._live else "\n", file=sys.stderr, flush=True
            )

        return told

    def say(self, text: str) -> None:
        _say(f"\r\033[K{text}" if self._live else text)

    def end(self) -> None:
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _here(known: Manifest) -> list[str]:
    """Models of which anything is here: the manifest's, and those that came in a bundle."""
    home = paths.user_models()
    found = [p.name for p in sorted(home.iterdir()) if (p / modelstore.RECORD).is_file()] if home.is_dir() else []
    mine = [name for name, entry in known.models.items() if modelstore.state(name, entry) != "absent"]
    return list(dict.fromkeys((*mine, *found)))


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        print("  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
