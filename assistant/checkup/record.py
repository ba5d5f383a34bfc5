"""A machine's facts as a directory that its owner can send: the texts that were read, and ``doctor.json``.

Nothing else is copied: no model, no library, no settings but the engines' names and files (models.PLAIN and FILES).
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from assistant.checkup.tree import Tree
from assistant.core.doctor.facts import Choice, Facts, Library, Live, Model, Opened

FILE = "doctor.json"


class RecordError(Exception):
    """A recording cannot be written; the text says why."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What no file of the tree tells."""

    profile: str = ""
    live: Live | None = None
    choices: Sequence[Choice] = ()
    models: Sequence[Model] = ()
    rkllm: Library | None = None
    rknn: Library | None = None
    opened: Sequence[Opened] = ()


def write(target: Path, tree: Tree, facts: Facts) -> int:
    """Into a directory that is new or empty; returns how many files. Raises RecordError."""
    try:
        if target.exists() and any(target.iterdir()):
            raise RecordError(f"{target} is not empty; name a new directory")
        for path in tree.met - tree.read.keys():
            if _ours(path) and not tree.is_folder(path):  # that it is there is the fact; it was not read
                _put(target, path, b"")
        for path, data in tree.read.items():
            _put(target, path, data)
        recorded = Recorded(
            profile=facts.profile,
            live=facts.live,
            choices=facts.choices,
            models=facts.models,
            rkllm=facts.rkllm,
            rknn=facts.rknn,
            opened=facts.opened,
        )
        (target / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(recorded)))
    except OSError as error:
        raise RecordError(f"{target} cannot be written ({error.strerror}); name another directory") from error
    return sum(1 for path in target.rglob("*") if path.is_file())


def read(root: Path) -> Recorded:
    """What stands beside a recorded tree; nothing where it is missing or makes no sense: then that is not checked."""
    try:
        return msgspec.json.decode((root / FILE).read_bytes(), type=Recorded)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Recorded()


def _ours(path: str) -> bool:
    """Names below the system's directories; not a model's files, which doctor.json holds."""
    return path.startswith(("/sys/", "/usr/", "/lib/", "/opt/"))


def _put(target: Path, path: str, data: bytes) -> None:
    place = target / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
