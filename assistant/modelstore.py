"""The models of this machine: what is there, what is whole, and how one gets here.

A model is a folder NAME among the user's models (assistant.paths). Beside its files lies ``.pulled.json`` with the
sha256 of each as it came, so that damage is seen later also where the manifest knows no sha256.
"""

import contextlib
import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from assistant import config, download, paths
from assistant.core import fetching, manifest
from assistant.core.manifest import Entry, File, Manifest
from assistant.download import Conditions, Fetched, Told
from assistant.lock import Held, Lock, holder

RECORD = ".pulled.json"

State = Literal["installed", "partial", "absent"]


class StoreError(Exception):
    """A model is not as it should be here; the text says what to do."""


class Record(msgspec.Struct, frozen=True):
    """How one file came."""

    bytes: int
    sha256: str
    checked: str  # see download.Fetched


class Pulled(msgspec.Struct, frozen=True):
    """.pulled.json"""

    source: str
    revision: str
    files: dict[str, Record]


class Finding(NamedTuple):
    """What verify says of one file."""

    path: str
    ok: bool
    says: str


def load(path: Path | None = None) -> Manifest:
    """The manifest that ships, or another. Raises ManifestError, ConfigError."""
    chosen = path or paths.shipped("models") / "manifest.toml"
    return manifest.read(config.read(chosen).values, str(chosen))


def folder(name: str) -> Path:
    """Where a model lies, or would. Raises StoreError for what can be no model's name."""
    if not manifest.safe_name(name):
        raise StoreError(f"{name!r} cannot be the name of a model")
    return paths.user_models() / name


def state(name: str, entry: Entry) -> State:
    """What of a model is here, by names and lengths alone."""
    there = [_in_place(folder(name), file) for file in entry.files]
    return "installed" if all(there) else "partial" if any(there) else "absent"


def pull(name: str, entry: Entry, given: str, told: Callable[[str], Told], conditions: Conditions) -> list[str]:
    """Bring a model here from ``given`` (see fetching.kind_of); returns the files that came.

    Raises StoreError, DownloadError, NoSource. What is here and whole is left alone, what is damaged comes again.
    """
    home = folder(name)
    known = recorded(home)
    noted = known.files if known else {}
    missing = [file for file in entry.files if not _compared(home, file, noted.get(file.path)).ok]
    plans = {file.path: fetching.plan(name, entry, file, given, os.environ.get("HF_ENDPOINT", "")) for file in missing}
    if not missing:
        return []
    with claimed(name):
        download.room(home, sum(file.size - _begun(home, file) for file in missing), conditions)
        files = dict(noted)
        for file in missing:
            came = _bring(name, plans[file.path], home / file.path, file, given, told(file.path), conditions)
            files[file.path] = Record(came.bytes, came.sha256, came.checked)
            record(home, Pulled(given, entry.source.revision, files))
    return [file.path for file in missing]


def _bring(
    name: str, plan: fetching.Plan, target: Path, file: File, given: str, told: Told, conditions: Conditions
) -> Fetched:
    if plan.kind == "folder":
        source = _within(Path(given).expanduser(), name, plan.where)
        return download.copy(source, target, file.bytes, file.sha256, told, conditions)
    token = os.environ.get("HF_TOKEN", "").strip() if plan.kind == "hf" else ""
    return download.fetch(plan.where, target, file.bytes, file.sha256, token, told, conditions)


def verify(name: str, entry: Entry | None) -> Iterator[Finding]:
    """Read every file of a model and compare it with the manifest, or with what was noted when it came."""
    home = folder(name)
    known = recorded(home)
    noted = known.files if known else {}
    wanted = {file.path: file for file in entry.files} if entry else {}
    for path in dict.fromkeys((*wanted, *noted)):
        file = wanted.get(path) or File(path=path, bytes=noted[path].bytes, sha256="")
        yield _compared(home, file, noted.get(path))


def _compared(home: Path, file: File, noted: Record | None) -> Finding:
    target = home / file.path
    if not target.is_file():
        return Finding(file.path, False, "is missing")
    length = file.bytes or (noted.bytes if noted else 0)
    have = target.stat().st_size
    if length and have != length:
        return Finding(file.path, False, f"has {have} bytes, not {length}")
    sha256 = file.sha256 or (noted.sha256 if noted else "")
    if not sha256:
        return Finding(file.path, True, "is there; nobody states its sha256")
    if download.digest(target) != sha256:
        return Finding(file.path, False, "has another sha256 than it should have")
    against = "" if file.sha256 else " as it came" + (", as the hub stated" if noted and noted.checked == "hub" else "")
    return Finding(file.path, True, f"sha256 is right{against}")


def installed_files(name: str, entry: Entry | None) -> list[str]:
    """The files of a model that is whole, for a bundle: the manifest's, or all of a folder of the user's own.

    Raises StoreError.
    """
    home = folder(name)
    if entry is not None:
        lacking = [file.path for file in entry.files if not _in_place(home, file)]
        if lacking:
            raise StoreError(f"{name} is not whole here: {lacking[0]} is missing; pull it first")
        return [file.path for file in entry.files]
    if not home.is_dir():
        raise StoreError(f"there is no model {name}, neither in the manifest nor in {home.parent}")
    found = [path.relative_to(home).as_posix() for path in sorted(home.rglob("*")) if path.is_file()]
    found = [path for path in found if not path.endswith(manifest.OURS) and "/." not in f"/{path}"]
    if not found:
        raise StoreError(f"{home} holds no files")
    for path in found:
        if not manifest.safe_path(path):
            raise StoreError(f"{home} holds {path!r}; only letters, digits and _.,+@=- can be carried: rename it")
    return found


@contextlib.contextmanager
def claimed(name: str) -> Iterator[None]:
    """A model that nobody else pulls meanwhile. Raises StoreError naming who does."""
    home = folder(name)
    path = home.parent / f".{name}.lock"
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = Lock(path)
    except Held as error:
        who = holder(path)
        raise StoreError(f"{name} is being pulled by another process ({who or '?'}); wait for it") from error
    except OSError as error:
        raise StoreError(
            f"cannot write into {home}: {error.strerror}; set ASSISTANT_MODELS to a folder of yours"
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            home.rmdir()  # of a pull that brought nothing; any other is not empty
        lock.release()


def recorded(home: Path) -> Pulled | None:
    """What was noted of a model when it came; None where nothing was, or it cannot be read."""
    try:
        return msgspec.json.decode((home / RECORD).read_bytes(), type=Pulled)
    except (OSError, msgspec.DecodeError):
        return None


def record(home: Path, pulled: Pulled) -> None:
    """Note it. Raises StoreError."""
    half = home / f"{RECORD}.part"
    try:
        half.write_bytes(msgspec.json.format(msgspec.json.encode(pulled)))
        half.replace(home / RECORD)
    except OSError as error:
        raise StoreError(f"cannot write {home / RECORD}: {error.strerror}") from error


def expand(known: Manifest, names: Sequence[str]) -> list[str]:
    """Models for names of models and sets, each once. Raises StoreError for a name that is neither."""
    found: dict[str, None] = {}
    for name in names:
        if name not in known.models and name not in known.sets:
            close = difflib.get_close_matches(name, (*known.sets, *known.models), n=1, cutoff=0.4)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise StoreError(f"there is no model and no set {name!r}; {hint}`assistant models list` shows them")
        found |= dict.fromkeys(known.sets[name].models if name in known.sets else (name,))
    return list(found)


def _within(given: Path, name: str, path: str) -> Path:
    """A file in a folder that is laid out like the user's models, or that is the model's own. Raises StoreError."""
    for candidate in (given / name / path, given / path):
        if candidate.is_file():
            return candidate
    raise StoreError(f"{given} holds neither {name}/{path} nor {path}")


def _in_place(home: Path, file: File) -> bool:
    target = home / file.path
    return target.is_file() and (not file.bytes or target.stat().st_size == file.bytes)


def _begun(home: Path, file: File) -> int:
    half = home / f"{file.path}.part"
    return half.stat().st_size if half.is_file() else 0
